/** The small windows: asking for something, and doing it when it is answered. */

import { byId } from './dom.js';
import { inWords } from './words.js';

/**
 * @typedef {object} Ask
 * @property {string} id of the `dialog` in `index.html`
 * @property {(fields: Record<string, string>) => Promise<void>} submit closes the dialog when it succeeds
 * @property {Record<number, string>} [words] for failures with a special meaning here
 */

/** @param {Ask} ask @returns {{ open: () => void }} */
export function askDialog({ id, submit, words }) {
  const dialog = plainDialog(id);
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
  onSubmit(form, async (fields) => {
    await submit(fields);
    dialog.close();
  }, words);
  return {
    open() {
      form.reset();
      showError(form, '');
      dialog.showModal();
    },
  };
}

/** @param {string} id @returns {HTMLDialogElement} with its closing buttons at work */
export function plainDialog(id) {
  const dialog = byId(id, HTMLDialogElement);
  dialog.addEventListener('click', (event) => {
    const { target } = event;
    if (target instanceof Element && target.closest('[data-close]')) dialog.close();
    // A click on the backdrop counts as one on the dialog itself, outside of its box.
    if (target === dialog && isOutside(event, dialog)) dialog.close();
  });
  return dialog;
}

/**
 * Hands a form's fields on, once at a time, and shows in the form what went wrong.
 *
 * @param {HTMLFormElement} form
 * @param {(fields: Record<string, string>) => Promise<void>} submit
 * @param {Record<number, string>} [words]
 */
export function onSubmit(form, submit, words) {
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    form.setAttribute('aria-busy', 'true');
    showError(form, '');
    try {
      /** @type {Record<string, string>} */
      const fields = {};
      for (const [name, value] of new FormData(form)) fields[name] = String(value);
      await submit(fields);
    } catch (error) {
      showError(form, inWords(error, words));
    } finally {
      busy = false;
      form.removeAttribute('aria-busy');
    }
  });
}

/** @param {HTMLFormElement} form @param {string} words */
export function showError(form, words) {
  const place = form.querySelector('.error');
  if (place) place.textContent = words;
}

/** @param {MouseEvent} event @param {HTMLElement} node */
function isOutside({ clientX, clientY }, node) {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
