/** @import { Page, Position, Publication, RoomEvent, Subscription } from './types.js' */

import { Emitter } from './emitter.js';
import { Failure } from './failure.js';
import { Sequence } from './sequence.js';

/**
 * @typedef {object} Track What is known of one channel.
 * @property {Sequence | null} sequence null for channels without positions, such as the personal one
 * @property {boolean} subscribed
 * @property {boolean} repairing
 */

/** More missing events than this are not fetched one page after another; the reader starts again at the newest. */
const REPAIR_LIMIT = 1000;
const REPAIR_PAGE = 200;
const REPAIR_PAUSE = 1000;

/** The `type`s of publications that are events of a chat room; anything else in a channel is raw data. */
const EVENT_TYPES = new Set(['message', 'member', 'room', 'publication']);

/**
 * The streams of all channels: keeps positions, drops what came before, fetches what is missing.
 *
 * - `event`: the next event of a room, exactly once and in order. `live` is false when it was caught up with.
 * - `reset`: continuity with the events so far is lost (history was rewound, or too much was missed); whoever shows the
 *   room fetches it again.
 * - `signal`: something said once and not stored.
 *
 * @extends {Emitter<{
 *   event: { room: string, event: RoomEvent, live: boolean },
 *   reset: { room: string },
 *   signal: { room: string, data: any, info?: object },
 * }>}
 */
export class Feed extends Emitter {
  /** @type {Map<string, Track>} */
  #tracks = new Map();

  /** @param {{ page: (request: { room: string, after: number, limit: number }) => Promise<Page> }} settings */
  constructor({ page }) {
    super();
    this.#page = page;
  }

  #page;

  /** @returns {Record<string, { recover: true, epoch: string, offset: number }>} for the connect request */
  positions() {
    /** @type {Record<string, { recover: true, epoch: string, offset: number }>} */
    const positions = {};
    for (const [room, { sequence }] of this.#tracks) {
      if (sequence) positions[room] = { recover: true, epoch: sequence.epoch, offset: sequence.seq };
    }
    return positions;
  }

  /** @param {string} room @returns {Position | null} */
  position(room) {
    const sequence = this.#tracks.get(room)?.sequence;
    return sequence ? { epoch: sequence.epoch, seq: sequence.seq } : null;
  }

  /** @param {string} room */
  isSubscribed(room) {
    return this.#tracks.get(room)?.subscribed === true;
  }

  /** The connection is gone, and all subscriptions with it; positions stay. */
  disconnected() {
    for (const track of this.#tracks.values()) track.subscribed = false;
  }

  /** @param {string} room whose position stays of use */
  unsubscribed(room) {
    this.#track(room).subscribed = false;
  }

  /** @param {string} room no longer ours to see */
  forget(room) {
    this.#tracks.delete(room);
  }

  /**
   * The reader has seen the room up to here, before there was a subscription that could say so: what comes to be until
   * there is one is then missed, and fetched.
   *
   * @param {string} room
   * @param {Position} position
   */
  seen(room, position) {
    this.#track(room).sequence ??= new Sequence(position);
  }

  /**
   * The server's answer to subscribing, with or without recovery.
   *
   * @param {string} room
   * @param {Subscription} subscription
   */
  subscribed(room, { epoch, offset = 0, publications = [], recovered = false }) {
    const track = this.#track(room);
    track.subscribed = true;
    if (epoch === undefined) return;
    const { sequence } = track;
    if (!sequence) {
      track.sequence = new Sequence({ epoch, seq: offset });
      return;
    }
    // In a later epoch only the server knows whether what was seen is still there.
    if (recovered && offset >= sequence.seq) sequence.epoch = epoch;
    if (epoch !== sequence.epoch || offset < sequence.seq) return this.#reset(room, sequence, { epoch, seq: offset });
    for (const publication of publications) this.#take(room, sequence, publication, false);
    sequence.expect(offset);
    this.#mend(room);
  }

  /**
   * @param {string} room
   * @param {Publication} publication
   */
  published(room, publication) {
    const { data, offset, info } = publication;
    if (!offset) return this.emit('signal', { room, data, info });
    const track = this.#track(room);
    track.sequence ??= new Sequence({ epoch: '', seq: offset - 1 });
    this.#take(room, track.sequence, publication, true);
    this.#mend(room);
  }

  /**
   * Something with this number exists (one's own message was acknowledged): make sure that it comes.
   *
   * @param {string} room
   * @param {number} seq
   */
  expect(room, seq) {
    this.#tracks.get(room)?.sequence?.expect(seq);
    this.#mend(room);
  }

  /** @param {string} room @returns {Track} */
  #track(room) {
    const track = this.#tracks.get(room) ?? { sequence: null, subscribed: false, repairing: false };
    this.#tracks.set(room, track);
    return track;
  }

  /** @param {string} room @param {Sequence} sequence @param {Publication} publication @param {boolean} live */
  #take(room, sequence, { data, offset = 0, info }, live) {
    const isEvent = EVENT_TYPES.has(data?.type) && data.seq === offset;
    /** @type {RoomEvent} */
    const event = isEvent
      ? data
      : { type: 'publication', seq: offset, time: Date.now(), user: info?.user ?? '', data };
    this.#deliver(room, sequence.offer(event), live);
  }

  /** @param {string} room @param {RoomEvent[]} events @param {boolean} live */
  #deliver(room, events, live) {
    for (const event of events) this.emit('event', { room, event, live });
  }

  /** @param {string} room @param {Sequence} sequence @param {Position} position */
  #reset(room, sequence, position) {
    const events = sequence.restart(position);
    this.emit('reset', { room });
    this.#deliver(room, events, false);
  }

  /** Fetches what is missing, if anything is. @param {string} room */
  #mend(room) {
    const track = this.#tracks.get(room);
    if (!track?.sequence || track.repairing || track.sequence.missing === 0) return;
    track.repairing = true;
    this.#repair(room, track.sequence)
      .catch((error) => {
        // Without a connection the next subscription mends; with one, the server was busy and is asked again.
        if (Failure.from(error).temporary && track.subscribed) setTimeout(() => this.#mend(room), REPAIR_PAUSE);
      })
      .finally(() => {
        track.repairing = false;
      });
  }

  /** @param {string} room @param {Sequence} sequence */
  async #repair(room, sequence) {
    while (sequence.missing > 0) {
      if (sequence.missing > REPAIR_LIMIT) {
        return this.#reset(room, sequence, { epoch: sequence.epoch, seq: sequence.top });
      }
      const before = sequence.seq;
      const page = await this.#page({ room, after: before, limit: REPAIR_PAGE });
      if (this.#tracks.get(room)?.sequence !== sequence) return;
      if (page.epoch !== sequence.epoch && sequence.epoch !== '') {
        return this.#reset(room, sequence, { epoch: page.epoch, seq: page.seq });
      }
      this.#deliver(room, sequence.fill(page), false);
      // A page that brings nothing and yet promises more would have us ask for ever.
      if (sequence.seq === before) throw new Failure({ code: 100, message: 'history brings nothing', temporary: true });
    }
  }
}
