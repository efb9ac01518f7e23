/** @import { Item } from './message-row.js' */

import { roving } from './roving.js';

/** @typedef {{ version: string, node: HTMLLIElement, seq: number }} Row an item as drawn */

/** This close to the end, in pixels, the reader is taken to follow the conversation. */
const NEAR = 60;
/** This close to either end, more is fetched. */
const AHEAD = 800;

/**
 * Draws the lines of a conversation and keeps what is being read where it is: at the end, new lines push the old ones up;
 * anywhere else, lines that come or go above move nothing.
 */
export class MessageList {
  /** In order of the list. @type {Map<string, Row>} */
  #rows = new Map();
  /** Whether the reader is at the end and wants to stay there. */
  following = true;

  /**
   * @param {object} settings
   * @param {HTMLElement} settings.scroller
   * @param {HTMLElement} settings.list
   * @param {() => void} settings.onScroll the position has changed
   */
  constructor({ scroller, list, onScroll }) {
    this.#scroller = scroller;
    this.#list = list;
    this.#roving = roving(list, 'li[tabindex]');
    scroller.addEventListener('scroll', () => {
      this.following = this.#belowFold() < NEAR;
      onScroll();
    }, { passive: true });
    // The keyboard of a phone, a growing composer: the end of the conversation stays in sight.
    new ResizeObserver(() => {
      if (this.following) this.toEnd();
    }).observe(scroller);
  }

  #scroller;
  #list;
  #roving;

  get nearStart() {
    return this.#scroller.scrollTop < AHEAD;
  }

  get nearEnd() {
    return this.#belowFold() < AHEAD;
  }

  /** @param {Item[]} items */
  show(items) {
    const anchor = this.following ? null : this.#anchor();
    const wanted = new Set(items.map(({ key }) => key));
    for (const [key, { node }] of this.#rows) {
      if (wanted.has(key)) continue;
      node.remove();
      this.#rows.delete(key);
    }
    this.#arrange(items);
    this.#roving.refresh('last');
    if (this.following) this.toEnd();
    else if (anchor) this.#hold(anchor);
  }

  /** Begins another conversation. */
  clear() {
    this.following = true;
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  toEnd() {
    this.following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Scrolls so that this line is near the top. @param {string} key */
  toLine(key) {
    const row = this.#rows.get(key);
    if (!row) return;
    const below = row.node.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    this.#scroller.scrollTop += below - this.#scroller.clientHeight / 4;
    this.following = this.#belowFold() < NEAR;
  }

  /** @returns {number} the newest event of which at least the beginning is in sight; 0 for none */
  seenUpTo() {
    const end = this.#scroller.getBoundingClientRect().bottom;
    let seen = 0;
    for (const { node, seq } of [...this.#rows.values()].reverse()) {
      if (seq === 0) continue;
      if (node.getBoundingClientRect().top < end - 20) {
        seen = seq;
        break;
      }
    }
    return seen;
  }

  /** @param {Item[]} items */
  #arrange(items) {
    /** @type {Map<string, Row>} */
    const rows = new Map();
    let cursor = this.#list.firstElementChild;
    for (const { key, version, seq, draw } of items) {
      let row = this.#rows.get(key);
      if (!row) {
        row = { version, seq, node: draw() };
        this.#list.insertBefore(row.node, cursor);
      } else if (row.version !== version) {
        const node = draw();
        if (cursor === row.node) cursor = node;
        replaceKeepingFocus(row.node, node);
        row = { version, seq, node };
      }
      if (cursor === row.node) cursor = cursor.nextElementSibling;
      else if (row.node.nextElementSibling !== cursor) this.#list.insertBefore(row.node, cursor);
      rows.set(key, row);
    }
    this.#rows = rows;
  }

  /** The first line in sight, and where it stands. */
  #anchor() {
    const { top } = this.#scroller.getBoundingClientRect();
    for (const [key, { node }] of this.#rows) {
      const place = node.getBoundingClientRect();
      if (place.bottom > top) return { key, top: place.top };
    }
    return null;
  }

  /** @param {{ key: string, top: number }} anchor */
  #hold({ key, top }) {
    const node = this.#rows.get(key)?.node;
    if (node) this.#scroller.scrollTop += node.getBoundingClientRect().top - top;
  }

  #belowFold() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }
}

/** @param {HTMLElement} old @param {HTMLElement} fresh */
function replaceKeepingFocus(old, fresh) {
  const focused = old.contains(document.activeElement);
  if (old.hasAttribute('tabindex')) fresh.tabIndex = old.tabIndex;
  old.replaceWith(fresh);
  if (focused) fresh.focus({ preventScroll: true });
}
