/** @import { Page, Position, RoomEvent } from './types.js' */

/**
 * One room's events put in order: each comes out once, by rising number, whatever way and however often it came in.
 * What arrives ahead of a hole is held until the hole is filled from a page of history.
 */
export class Sequence {
  /** @type {Map<number, RoomEvent>} */
  #held = new Map();

  /** @param {Position} position where the reader is: `seq` has been seen, the next one has not */
  constructor({ epoch, seq }) {
    this.epoch = epoch;
    this.seq = seq;
    /** The highest number known to exist. */
    this.top = seq;
  }

  /** How many events are known to exist and have not come out. */
  get missing() {
    return this.top - this.seq;
  }

  /** @param {number} seq a number that the server says exists */
  expect(seq) {
    this.top = Math.max(this.top, seq);
  }

  /**
   * @param {RoomEvent} event
   * @returns {RoomEvent[]} what is now in order: none when seen before or ahead of a hole, more when it ends a hole
   */
  offer(event) {
    if (event.seq <= this.seq) return [];
    this.expect(event.seq);
    // Beyond this the hole is filled by pages anyway, which will bring the event again.
    if (this.#held.size < HELD_LIMIT) this.#held.set(event.seq, event);
    return this.#inOrder();
  }

  /**
   * Takes a page that begins right after `seq`. The page is the truth: numbers that it leaves out are gone for good.
   *
   * @param {Page} page
   * @returns {RoomEvent[]}
   */
  fill({ events, seq, has_after }) {
    const ready = events.filter((event) => event.seq > this.seq);
    this.seq = ready.at(-1)?.seq ?? this.seq;
    if (!has_after) {
      this.seq = Math.max(this.seq, seq);
      this.top = Math.max(this.seq, ...this.#held.keys());
    }
    return [...ready, ...this.#inOrder()];
  }

  /**
   * Begins anew elsewhere, giving up what lies between.
   *
   * @param {Position} position
   * @returns {RoomEvent[]} held events that follow it directly
   */
  restart({ epoch, seq }) {
    if (epoch !== this.epoch) this.#held.clear();
    this.epoch = epoch;
    this.seq = seq;
    const ready = this.#inOrder();
    this.top = Math.max(this.seq, ...this.#held.keys());
    return ready;
  }

  #inOrder() {
    const ready = [];
    for (let event; (event = this.#held.get(this.seq + 1)); ) {
      this.seq = event.seq;
      ready.push(event);
    }
    for (const seq of this.#held.keys()) if (seq <= this.seq) this.#held.delete(seq);
    return ready;
  }
}

const HELD_LIMIT = 1000;
