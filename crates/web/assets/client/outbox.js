/** @import { Ack } from './types.js' */

import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { Failure } from './failure.js';
import { newIdentifier } from './identifier.js';

/**
 * @typedef {object} Entry A message on its way.
 * @property {string} id the client message id, the same for every attempt: that is what makes repeating safe
 * @property {string} room
 * @property {any} body
 * @property {number} time when it was written, by this computer's clock
 * @property {'waiting' | 'sending' | 'sent' | 'failed'} state `sent`: acknowledged as `seq`, its event still to come
 * @property {number} [seq]
 * @property {Failure} [failure] why it was refused; only with `failed`
 *
 * @typedef {object} Storage Where unsent messages outlive a reload.
 * @property {() => Entry[]} load
 * @property {(entries: Entry[]) => void} save
 */

/** Somebody who writes more than this without a connection is told so, rather than losing the oldest. */
const LIMIT = 200;

/**
 * Messages from writing to acknowledgement. A room's messages go out one at a time, so that they stay in order even when
 * one has to be repeated; rooms do not wait for each other.
 *
 * @extends {Emitter<{ change: { room: string }, sent: { room: string, seq: number } }>}
 */
export class Outbox extends Emitter {
  /** @type {Map<string, Entry>} in order of writing */
  #entries = new Map();
  /** Rooms with a message under way, or pausing after one was refused for the moment. @type {Set<string>} */
  #busy = new Set();
  #open = false;

  /**
   * @param {object} settings
   * @param {(entry: Entry) => Promise<Ack>} settings.send
   * @param {Storage} [settings.storage]
   * @param {Backoff} [settings.backoff]
   */
  constructor({ send, storage, backoff = new Backoff({ base: 1000 }) }) {
    super();
    this.#send = send;
    this.#storage = storage;
    this.#backoff = backoff;
    for (const entry of storage?.load() ?? []) this.#entries.set(entry.id, { ...entry, state: 'waiting' });
  }

  #send;
  #storage;
  #backoff;

  /** @param {string} room @returns {Entry[]} in order of writing */
  in(room) {
    return [...this.#entries.values()].filter((entry) => entry.room === room);
  }

  /** How many messages the server has not acknowledged. */
  get unsent() {
    return this.#unsent().length;
  }

  /**
   * @param {string} room
   * @param {any} body
   * @param {string} [id]
   * @returns {Entry}
   */
  add(room, body, id = newIdentifier()) {
    if (this.unsent >= LIMIT) throw new Failure({ code: 106, message: `more than ${LIMIT} unsent messages` });
    /** @type {Entry} */
    const entry = { id, room, body, time: Date.now(), state: 'waiting' };
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
    this.#changed(entry.room);
    this.#pump(entry.room);
  }

  /** Gives a refused message up. @param {string} id */
  discard(id) {
    this.#remove(id, (entry) => entry.state === 'failed');
  }

  /** Its event has been seen: the message is in the room. @param {string} id */
  confirm(id) {
    this.#remove(id, () => true);
  }

  /** Everything up to this number has been seen or passed over. @param {string} room @param {number} seq */
  arrived(room, seq) {
    for (const entry of this.in(room)) if (entry.seq && entry.seq <= seq) this.confirm(entry.id);
  }

  /** The connection is up. */
  resume() {
    this.#open = true;
    for (const room of new Set(this.#unsent().map((entry) => entry.room))) this.#pump(room);
  }

  /** The connection is down. */
  pause() {
    this.#open = false;
  }

  /** @param {string} room */
  #pump(room) {
    if (!this.#open || this.#busy.has(room)) return;
    const entry = this.in(room).find(({ state }) => state === 'waiting');
    if (!entry) return;
    this.#busy.add(room);
    entry.state = 'sending';
    this.#changed(room);
    this.#send(entry).then(
      (ack) => this.#acknowledged(entry, ack),
      (error) => this.#refused(entry, Failure.from(error)),
    );
  }

  /** @param {Entry} entry @param {Ack} ack */
  #acknowledged(entry, { seq }) {
    this.#backoff.reset();
    this.#busy.delete(entry.room);
    entry.state = 'sent';
    entry.seq = seq;
    this.#changed(entry.room);
    this.emit('sent', { room: entry.room, seq });
    this.#pump(entry.room);
  }

  /** @param {Entry} entry @param {Failure} failure */
  #refused(entry, failure) {
    // An entry that was confirmed meanwhile is gone from the map: its event came, only the answer was lost.
    entry.state = failure.temporary ? 'waiting' : 'failed';
    if (!failure.temporary) entry.failure = failure;
    this.#changed(entry.room);
    const again = () => {
      this.#busy.delete(entry.room);
      this.#pump(entry.room);
    };
    if (failure.temporary && this.#open) setTimeout(again, failure.retryAfter ?? this.#backoff.next());
    else again();
  }

  /** @param {string} id @param {(entry: Entry) => boolean} condition */
  #remove(id, condition) {
    const entry = this.#entries.get(id);
    if (!entry || !condition(entry)) return;
    this.#entries.delete(id);
    this.#changed(entry.room);
  }

  #unsent() {
    return [...this.#entries.values()].filter(({ state }) => state !== 'sent');
  }

  /** @param {string} room */
  #changed(room) {
    // What was refused for good is not kept: after a reload it would be refused again.
    this.#storage?.save(this.#unsent().filter(({ state }) => state !== 'failed'));
    this.emit('change', { room });
  }
}
