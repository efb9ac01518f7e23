/** @import { State } from '../client/link.js' */
/** @import { Announcer } from './announcer.js' */

import { byId } from './dom.js';
import { inWords } from './words.js';

/** A connection that is back this soon was not worth a word. */
const PATIENCE = 1000;

/**
 * Tells that there is no connection, and when the next attempt is. The countdown is for the eye only; the ear hears when
 * the connection goes and when it is back.
 */
export class Banner {
  /** @type {State} */
  #state = { name: 'idle' };
  #wasConnected = false;
  #told = false;
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);

  /** @param {{ announcer: Announcer, retry: () => void }} settings */
  constructor({ announcer, retry }) {
    this.#announcer = announcer;
    this.#banner = byId('banner');
    this.#text = byId('banner-text');
    this.#action = byId('banner-action', HTMLButtonElement);
    this.#action.addEventListener('click', retry);
  }

  #announcer;
  #banner;
  #text;
  #action;

  /** @param {State} state */
  show(state) {
    this.#state = state;
    if (state.name === 'connected') return this.#connected();
    if (this.#told) return this.#tick();
    if (state.name === 'closed' || !this.#wasConnected) return this.#tell();
    // Not anew for each attempt: those may come faster than the patience ends.
    this.#timer ??= setTimeout(() => this.#tell(), PATIENCE);
  }

  #connected() {
    this.#stop();
    this.#banner.hidden = true;
    if (this.#told) this.#announcer.say('Connected again.');
    this.#told = false;
    this.#wasConnected = true;
  }

  #tell() {
    // The first attempt is on its way; there is nothing to tell before it has failed.
    if (this.#state.name === 'connecting' && !this.#wasConnected) return;
    this.#told = true;
    this.#announcer.say(this.#state.name === 'closed' ? this.#words() : 'No connection. Trying again.');
    this.#tick();
  }

  #tick() {
    this.#stop();
    this.#banner.hidden = false;
    const words = this.#words();
    if (this.#text.textContent !== words) this.#text.textContent = words;
    this.#action.hidden = this.#state.name === 'connecting';
    if (this.#state.name === 'waiting') this.#timer = setTimeout(() => this.#tick(), 250);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #words() {
    const state = this.#state;
    if (state.name === 'closed') return `The server ended the connection. ${inWords(state.failure)}`;
    if (state.name !== 'waiting') return 'No connection. Trying now …';
    const seconds = Math.ceil((state.until - Date.now()) / 1000);
    return seconds > 0 ? `No connection. Trying again in ${seconds}\u00a0s.` : 'No connection. Trying now …';
  }
}
