import { element } from './dom.js';

/** What was said is removed after this, so that who comes by with a reader's cursor does not find a heap. */
const KEPT = 10;
/** A reader that is flooded says nothing useful: what comes faster is summed up. */
const PAUSE = 700;
const LONGEST = 300;

/**
 * Says aloud what happens, through a hidden live region of its own. The visible list of messages is no live region: pages
 * of old messages are added to it, and those must not be read out.
 */
export class Announcer {
  /** @type {string[]} */
  #waiting = [];
  #pausing = false;

  /** @param {HTMLElement} region with `role="log"` */
  constructor(region) {
    this.#region = region;
  }

  #region;

  /** @param {string} text */
  say(text) {
    this.#waiting.push(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
    if (!this.#pausing) this.#speak();
  }

  #speak() {
    const texts = this.#waiting.splice(0);
    if (texts.length === 0) {
      this.#pausing = false;
      return;
    }
    this.#pausing = true;
    const shown = texts.length > 3 ? [`${texts.length - 1} new messages`, texts[texts.length - 1]] : texts;
    for (const text of shown) this.#region.append(element('p', { dir: 'auto' }, text));
    while (this.#region.childElementCount > KEPT) this.#region.firstElementChild?.remove();
    setTimeout(() => this.#speak(), PAUSE);
  }
}
