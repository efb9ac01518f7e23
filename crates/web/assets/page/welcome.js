/** @import { Accounts, Session } from '../client/accounts.js' */

import { onSubmit, showError } from './dialogs.js';
import { byId } from './dom.js';

/** @type {Record<number, string>} */
const WORDS = {
  101: 'The user name or the password is not right.',
  103: 'This server does not take new accounts.',
  409: 'That user name is taken.',
};

/**
 * Logging in, or making an account.
 *
 * @param {object} settings
 * @param {Accounts} settings.accounts
 * @param {string} [settings.notice] why one is here again
 * @returns {Promise<Session>}
 */
export function welcome({ accounts, notice = '' }) {
  const form = byId('welcome-form', HTMLFormElement);
  let registering = false;

  const show = () => {
    byId('welcome-submit').textContent = registering ? 'Create the account' : 'Log in';
    byId('welcome-question').textContent = registering ? 'Have an account?' : 'New here?';
    byId('welcome-switch').textContent = registering ? 'Log in' : 'Create an account';
    for (const part of form.querySelectorAll('[data-register]')) if (part instanceof HTMLElement) part.hidden = !registering;
    byId('welcome-password', HTMLInputElement).autocomplete = registering ? 'new-password' : 'current-password';
    showError(form, '');
  };
  byId('welcome-switch').addEventListener('click', () => {
    registering = !registering;
    show();
    byId('welcome-name').focus();
  });
  show();
  byId('welcome-notice').textContent = notice;
  byId('welcome-notice').hidden = notice === '';
  byId('welcome').hidden = false;
  byId('welcome-name').focus();

  return new Promise((resolve) => {
    onSubmit(form, async ({ name = '', display_name = '', password = '' }) => {
      const shown = display_name.trim();
      const session = registering
        ? await accounts.register({ name: name.trim(), password, ...(shown === '' ? {} : { display_name: shown }) })
        : await accounts.logIn({ name: name.trim(), password });
      byId('welcome').hidden = true;
      form.reset();
      resolve(session);
    }, WORDS);
  });
}
