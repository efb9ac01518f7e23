/** @import { Ack, Position } from './types.js' */

import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { Failure } from './failure.js';
import { newIdentifier } from './identifier.js';
import { isLater } from './wire.js';

/**
 * @typedef {object} Entry A message that is not in the archive yet, as far as we know.
 * @property {string} id the client message id, the same for every attempt: that is what makes repeating safe
 * @property {string} room
 * @property {any} body
 * @property {number} time when it was written, by this computer's clock
 * @property {'waiting' | 'sending' | 'sent' | 'failed'} state `sent`: acknowledged as `seq` of `epoch`; it may have to go
 *   out again all the same
 * @property {number} [seq]
 * @property {string} [epoch]
 * @property {Failure} [failure] why it was refused; only with `failed`
 * @property {boolean} seen its event has been delivered: it is in the room
 * @property {boolean} due it has to go out, at first or again
 * @property {string} [under] the epoch that its room was known to be in when it was last sent
 * @property {string} [proven] the same for when it was last answered: it was there in that epoch too
 * @property {string} [after] the message before it, without which the server was asked not to take it when it was last sent
 * @property {number} [lacked] how often in a row the server said that it lacks that one
 *
 * @typedef {object} Lane What is known of a room with messages.
 * @property {boolean} busy a message is under way, or pausing after one was refused for the moment
 * @property {string} epoch the latest that the room is known to be in; empty if none is
 * @property {Position | null} mark how far the archive has the room
 * @property {ReturnType<typeof setTimeout> | undefined} timer until the first message is asked for again
 *
 * @typedef {object} Storage Where messages outlive a reload.
 * @property {() => Entry[]} load
 * @property {(entries: Entry[]) => void} save
 */

/** Somebody who writes more than this without a connection is told so, rather than losing the oldest. */
const LIMIT = 200;
/** The same for messages that the server has taken, and not archived. */
const KEPT_LIMIT = 1000;
/** How long to wait for word that a message is archived before asking. */
const PATIENCE = 10_000;
/** How often a server is asked, before it counts as one that never says what is archived. */
const CHECKS = 3;

/** What a server says that lacks the message before: `conflict`. */
const CONFLICT = 409;
/** How often it is believed, one time after the other. */
const LACKED_LIMIT = 8;

/**
 * Messages from writing until the archive has them. A room's messages go out one at a time, so that they stay in order
 * even when one has to be repeated; rooms do not wait for each other. What the server has taken is sent again, before
 * anything newer, when Redis may have lost it: then the answer names its new place, or the old one.
 *
 * - `change`: something about a room's messages is to be shown anew.
 * - `sent`: acknowledged.
 * - `durable`: in the archive.
 *
 * @extends {Emitter<{ change: { room: string }, sent: { room: string, seq: number }, durable: { room: string, id: string } }>}
 */
export class Outbox extends Emitter {
  /** @type {Map<string, Entry>} in order of writing */
  #entries = new Map();
  /** @type {Map<string, Lane>} */
  #lanes = new Map();
  #open = false;
  /** Whether the server says what is archived; `null` while that is not known. @type {boolean | null} */
  #marks = null;
  #checks = 0;
  /** Whether the server refuses a message if it lacks the one before it. */
  #keepsOrder = false;

  /**
   * @param {object} settings
   * @param {(entry: Entry) => Promise<Ack>} settings.send
   * @param {Storage} [settings.storage]
   * @param {Backoff} [settings.backoff]
   * @param {() => number} [settings.random]
   */
  constructor({ send, storage, backoff = new Backoff({ base: 1000 }), random = Math.random }) {
    super();
    this.#send = send;
    this.#storage = storage;
    this.#backoff = backoff;
    this.#random = random;
    for (const entry of storage?.load() ?? []) this.#entries.set(entry.id, { ...entry, state: 'waiting', seen: false, due: true, lacked: 0 });
  }

  #send;
  #storage;
  #backoff;
  #random;

  /** @param {string} room @returns {Entry[]} those that have not been seen in the room, in order of writing */
  in(room) {
    return this.#of(room).filter(({ seen }) => !seen);
  }

  /** Whether a message is not in the archive yet. @param {string} id */
  keeps(id) {
    return this.#entries.has(id);
  }

  /** How many messages the server has not acknowledged. */
  get unsent() {
    return [...this.#entries.values()].filter(isUnsent).length;
  }

  /**
   * @param {string} room
   * @param {any} body
   * @param {string} [id]
   * @returns {Entry}
   */
  add(room, body, id = newIdentifier()) {
    if (this.unsent >= LIMIT || this.#entries.size >= KEPT_LIMIT) {
      throw new Failure({ code: 106, message: `more than ${LIMIT} unsent messages` });
    }
    /** @type {Entry} */
    const entry = { id, room, body, time: Date.now(), state: 'waiting', seen: false, due: true };
    this.#entries.set(id, entry);
    this.#changed(room);
    this.#pump(room);
    return entry;
  }

  /** Sends a refused message again. @param {string} id */
  retry(id) {
    const entry = this.#entries.get(id);
    if (entry?.state !== 'failed') return;
    entry.state = 'waiting';
    entry.due = true;
    this.#changed(entry.room);
    this.#pump(entry.room);
  }

  /** Gives a refused message up. @param {string} id */
  discard(id) {
    const entry = this.#entries.get(id);
    if (entry?.state !== 'failed') return;
    this.#entries.delete(id);
    this.#changed(entry.room);
  }

  /**
   * Its event has been seen: the message is in the room, which is as good as an answer.
   *
   * @param {string} id
   * @param {Position} position
   */
  confirm(id, { epoch, seq }) {
    const entry = this.#entries.get(id);
    if (!entry) return;
    Object.assign(entry, { state: 'sent', seq, epoch, seen: true, due: false, proven: epoch });
    this.#enter(entry.room, epoch);
    this.#settle(entry.room);
  }

  /** Everything up to this number has been seen or passed over. @param {string} room @param {Position} position */
  arrived(room, { epoch, seq }) {
    for (const entry of this.#of(room)) {
      if (entry.state === 'sent' && entry.seq && entry.seq <= seq && !isLater(entry.epoch ?? '', epoch)) entry.seen = true;
    }
    this.#changed(room);
  }

  /** The archive has everything of a room up to here. @param {string} room @param {Position} mark */
  marked(room, mark) {
    this.#marks = true;
    if (this.#of(room).length === 0) return;
    const lane = this.#lane(room);
    if (!lane.mark || isLater(mark.epoch, lane.mark.epoch) || (mark.epoch === lane.mark.epoch && mark.seq > lane.mark.seq)) {
      lane.mark = mark;
    }
    this.#enter(room, mark.epoch);
    this.#settle(room);
    this.#await(room);
  }

  /** Some of what was seen of a room is not there any more: all that was acknowledged has to be found again. @param {string} room */
  rewound(room) {
    for (const entry of this.#of(room)) {
      if (entry.state !== 'failed') Object.assign(entry, { seen: false, due: true, proven: undefined });
    }
    this.#changed(room);
    this.#pump(room);
  }

  /**
   * The connection is up. What was acknowledged and not seen since may have been lost meanwhile.
   *
   * @param {{ after?: boolean, marks?: boolean }} [server] what it says of itself: that it knows senders' order, and that it
   *   will say what is archived
   */
  resume({ after = false, marks = false } = {}) {
    this.#open = true;
    this.#keepsOrder = after === true;
    if (marks === true) this.#marks = true;
    for (const entry of this.#entries.values()) if (entry.state !== 'failed' && !entry.seen) entry.due = true;
    for (const room of this.#rooms()) {
      this.#pump(room);
      this.#await(room);
    }
  }

  /** The connection is down. */
  pause() {
    this.#open = false;
    for (const { timer } of this.#lanes.values()) clearTimeout(timer);
  }

  /** @param {string} room */
  #of(room) {
    return [...this.#entries.values()].filter((entry) => entry.room === room);
  }

  #rooms() {
    return new Set([...this.#entries.values()].map(({ room }) => room));
  }

  /** @param {string} room @returns {Lane} */
  #lane(room) {
    const lane = this.#lanes.get(room) ?? { busy: false, epoch: '', mark: null, timer: undefined };
    this.#lanes.set(room, lane);
    return lane;
  }

  /** @param {string} room */
  #pump(room) {
    const lane = this.#lane(room);
    if (!this.#open || lane.busy) return;
    const line = this.#of(room).filter(({ state }) => state !== 'failed');
    const at = line.findIndex(({ due }) => due);
    const entry = line[at];
    if (!entry) return;
    lane.busy = true;
    entry.due = false;
    entry.after = this.#keepsOrder && (entry.lacked ?? 0) < LACKED_LIMIT ? line[at - 1]?.id : undefined;
    entry.under = lane.epoch;
    if (entry.state === 'waiting') entry.state = 'sending';
    this.#changed(room);
    this.#send(entry).then(
      (ack) => this.#acknowledged(entry, ack),
      (error) => this.#refused(entry, Failure.from(error)),
    );
  }

  /** @param {Entry} entry @param {Ack} ack */
  #acknowledged(entry, { seq, epoch, durability }) {
    const { room } = entry;
    this.#backoff.reset();
    const lane = this.#lane(room);
    lane.busy = false;
    const news = entry.state !== 'sent';
    // An answer of the epoch that raised a doubt puts an end to it.
    if (entry.due && epoch === lane.epoch) entry.due = false;
    if (entry.seen && (entry.seq !== seq || entry.epoch !== epoch)) entry.seen = false;
    Object.assign(entry, { state: 'sent', seq, epoch, proven: entry.under, lacked: 0 });
    if (durability === 'archived') this.marked(room, { epoch, seq });
    this.#enter(room, epoch);
    if (news || !entry.seen) this.emit('sent', { room, seq });
    this.#settle(room);
    this.#pump(room);
    this.#await(room);
  }

  /** @param {Entry} entry @param {Failure} failure */
  #refused(entry, failure) {
    const { room } = entry;
    const lacks = failure.code === CONFLICT && entry.after !== undefined;
    // An entry that is gone from the map, or was seen, is over: only the answer was lost.
    if (lacks) this.#doubt(entry);
    else if (failure.temporary) entry.due ||= !entry.seen;
    else if (!entry.seen) Object.assign(entry, { state: 'failed', failure, due: false });
    if (entry.state === 'sending') entry.state = 'waiting';
    this.#changed(room);
    const again = () => {
      this.#lane(room).busy = false;
      this.#pump(room);
    };
    // Who lacks something for the first time has just come to know, and is given it at once.
    const waits = lacks ? entry.lacked !== 1 : failure.temporary;
    if (waits && this.#open) setTimeout(again, failure.retryAfter ?? this.#backoff.next());
    else again();
  }

  /** The message before this one is not there any more: all of the room goes out again. @param {Entry} entry */
  #doubt(entry) {
    entry.lacked = (entry.lacked ?? 0) + 1;
    for (const other of this.#of(entry.room)) if (other.state !== 'failed') other.due = true;
  }

  /** A room is known to be in this epoch: what was not found in it has to be. @param {string} room @param {string} epoch */
  #enter(room, epoch) {
    const lane = this.#lane(room);
    if (!epoch || epoch === lane.epoch || isLater(lane.epoch, epoch)) return;
    lane.epoch = epoch;
    for (const entry of this.#of(room)) {
      if (entry.state !== 'failed' && entry.epoch !== epoch && entry.proven !== epoch) entry.due = true;
    }
    this.#pump(room);
  }

  /** Lets go of what is in the archive; where the server never says what is, of what it has taken. @param {string} room */
  #settle(room) {
    const { mark } = this.#lane(room);
    for (const entry of this.#of(room)) {
      const done = this.#marks === false ? entry.state === 'sent' && entry.seen : mark !== null && isArchived(entry, mark);
      // One that is to be seen yet is kept for the page until it is.
      if (!done) continue;
      this.#entries.delete(entry.id);
      this.emit('durable', { room, id: entry.id });
    }
    this.#changed(room);
  }

  /** Asks for the first message of a room once more, if no word comes. @param {string} room */
  #await(room) {
    const lane = this.#lane(room);
    clearTimeout(lane.timer);
    const first = this.#of(room).find(({ state }) => state !== 'failed');
    if (!first || !this.#open) return;
    lane.timer = setTimeout(() => {
      if (first.state === 'sent' && this.#entries.has(first.id)) {
        this.#checks += 1;
        if (this.#marks === null && this.#checks > CHECKS) this.#marks = false;
        if (this.#marks === false) return this.#settle(room);
        first.due = true;
        this.#pump(room);
      }
      this.#await(room);
    }, PATIENCE * (0.75 + this.#random() / 2));
  }

  /** @param {string} room */
  #changed(room) {
    // What was refused for good is not kept: after a reload it would be refused again.
    this.#storage?.save([...this.#entries.values()].filter(({ state }) => state !== 'failed'));
    this.emit('change', { room });
    const lane = this.#lanes.get(room);
    if (!lane || lane.busy || this.#of(room).length > 0) return;
    clearTimeout(lane.timer);
    this.#lanes.delete(room);
  }
}

/** @param {Entry} entry */
function isUnsent({ state }) {
  return state === 'waiting' || state === 'sending' || state === 'failed';
}

/**
 * A mark counts in the epoch of the message's place, and in a later one only if the message was found in that one.
 *
 * @param {Entry} entry
 * @param {Position} mark
 */
function isArchived({ state, seq, epoch, proven }, mark) {
  if (state !== 'sent' || !seq || seq > mark.seq) return false;
  return epoch === mark.epoch || (proven === mark.epoch && isLater(mark.epoch, epoch ?? ''));
}
