/** @import { Page, RoomEvent } from '../client/types.js' */

/**
 * The part of a room's history that is on screen: a stretch without holes that grows at either end and, being bounded,
 * shrinks at the other, so that ten thousand messages of scrolling cost no more than a few hundred.
 */
export class Timeline {
  /** @type {RoomEvent[]} ascending */
  events = [];
  /** Whether a first page has come. */
  loaded = false;
  /** Nothing is older than the first event. */
  atStart = false;
  /** Nothing is newer than the last event. */
  atEnd = false;
  /** The newest number that came live, shown or not. */
  #top = 0;
  /** Live events that came before the first page. @type {RoomEvent[]} */
  #early = [];

  /** @param {number} [limit] how many events are kept */
  constructor(limit = 300) {
    this.#limit = limit;
  }

  #limit;

  get first() {
    return this.events[0]?.seq ?? 0;
  }

  get last() {
    return this.events.at(-1)?.seq ?? 0;
  }

  /** Begins with this page, forgetting what was there. @param {Page} page */
  load(page) {
    this.events = [...page.events];
    this.loaded = true;
    this.atStart = !page.has_before;
    this.atEnd = !page.has_after;
    for (const event of this.#early.splice(0)) this.live(event, true);
    this.#checkEnd();
  }

  /** Adds a page that ends right before the first event. @param {Page} page */
  prepend({ events, has_before }) {
    const first = this.first;
    this.events.unshift(...events.filter(({ seq }) => first === 0 || seq < first));
    this.atStart = !has_before;
    if (this.events.length <= this.#limit) return;
    this.events.length = this.#limit;
    this.atEnd = false;
  }

  /** Adds a page that begins right after the last event. @param {Page} page */
  append(page) {
    const { last } = this;
    this.events.push(...page.events.filter(({ seq }) => seq > last));
    this.atEnd = !page.has_after;
    this.#checkEnd();
    this.#dropOldest();
  }

  /**
   * Adds an event as it happens, unless newer events than the last shown are missing in between.
   *
   * @param {RoomEvent} event
   * @param {boolean} following whether the reader is at the end; one who is not keeps what they are reading
   * @returns {boolean} whether it is now part of the stretch
   */
  live(event, following) {
    if (!this.loaded) {
      if (this.#early.length < this.#limit) this.#early.push(event);
      this.#top = Math.max(this.#top, event.seq);
      return false;
    }
    if (event.seq <= this.last) return false;
    this.#top = Math.max(this.#top, event.seq);
    if (this.atEnd && !following && this.events.length >= this.#limit) this.atEnd = false;
    if (!this.atEnd) return false;
    this.events.push(event);
    this.#dropOldest();
    return true;
  }

  /** An event may have come while the page was under way; then the page was not the end after all. */
  #checkEnd() {
    if (this.last < this.#top) this.atEnd = false;
  }

  #dropOldest() {
    const surplus = this.events.length - this.#limit;
    if (surplus <= 0) return;
    this.events.splice(0, surplus);
    this.atStart = false;
  }
}
