import { byId } from './dom.js';

/** A message's body may take this many bytes of JSON. */
const LIMIT = 32 * 1024;

/** Where messages are written. What is written in one room stays there while another is looked at. */
export class Composer {
  /** @type {Map<string, string>} */
  #drafts = new Map();
  /** @type {string | null} */
  #room = null;

  /** @param {{ send: (room: string, text: string) => void }} settings `send` may throw: the text then stays */
  constructor({ send }) {
    this.#send = send;
    this.#text = byId('composer-text', HTMLTextAreaElement);
    this.#note = byId('composer-note');
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener('keydown', (event) => {
      if (!sends(event)) return;
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener('input', () => this.#changed());
  }

  #send;
  #text;
  #note;

  /** @param {string | null} room @param {string} [name] */
  open(room, name = '') {
    this.#room = room;
    this.#text.placeholder = name ? `Message ${name}` : 'Message';
    this.#text.value = (room && this.#drafts.get(room)) || '';
    this.#changed();
  }

  focus() {
    this.#text.focus();
  }

  #submit() {
    const text = this.#text.value.trim();
    if (!this.#room || text === '' || this.#tooLong() > 0) return;
    try {
      this.#send(this.#room, text);
    } catch (error) {
      this.#note.textContent = error instanceof Error ? `Not sent: ${error.message}.` : '';
      return;
    }
    this.#text.value = '';
    this.#changed();
    this.#text.focus();
  }

  #changed() {
    if (this.#room) {
      if (this.#text.value === '') this.#drafts.delete(this.#room);
      else this.#drafts.set(this.#room, this.#text.value);
    }
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    const surplus = this.#tooLong();
    this.#note.textContent = surplus > 0 ? `Too long to send, by about ${surplus} characters.` : '';
  }

  /** @returns {number} bytes over the limit */
  #tooLong() {
    const { value } = this.#text;
    // Not worth encoding at every key while it cannot be: a character is at most three bytes, or six when escaped.
    if (value.length * 6 < LIMIT - 20) return 0;
    return new TextEncoder().encode(JSON.stringify({ text: value.trim() })).length - LIMIT;
  }
}

/**
 * Enter sends, but not while an input method is composing: there it chooses a word. Safari ends the composition before
 * it tells of the key, and only the code 229 is left to know it by. On a phone Enter is the only way to a new line, and
 * there is a button to send.
 *
 * @param {KeyboardEvent} event
 */
function sends({ key, shiftKey, isComposing, keyCode }) {
  return key === 'Enter' && !shiftKey && !isComposing && keyCode !== 229 && !matchMedia('(pointer: coarse)').matches;
}
