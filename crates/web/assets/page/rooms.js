/** @import { Chinwag } from '../chinwag.js' */
/** @import { Room, RoomEvent } from '../client/types.js' */

import { Emitter } from '../client/emitter.js';
import { Unread } from './unread.js';

const PAGE = 200;

/**
 * The reader's rooms, kept current by events. The server's word replaces ours on every connection, so nothing that is
 * counted here can drift for long.
 *
 * @extends {Emitter<{ change: {}, gone: { room: string } }>}
 */
export class Rooms extends Emitter {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** When something last happened in a room; the server knows even where it does not show what. @type {Map<string, number>} */
  #active = new Map();
  /** @type {Map<string, Unread>} */
  #unread = new Map();
  /** Rooms being asked for, and whether to ask once more when the answer is there. @type {Map<string, boolean>} */
  #asking = new Map();

  /** @param {{ chat: Pick<Chinwag, 'rpc'>, me: string }} settings */
  constructor({ chat, me }) {
    super();
    this.#chat = chat;
    this.#me = me;
  }

  #chat;
  #me;
  /** Whether the list has come from the server at least once. */
  loaded = false;

  /** @param {string} id @returns {Room | undefined} */
  get(id) {
    return this.#rooms.get(id);
  }

  /** @returns {Room[]} the most recently active first; what was opened and is still empty before all */
  sorted() {
    const time = (/** @type {Room} */ { id }) => this.#active.get(id) ?? 0;
    return [...this.#rooms.values()].sort((one, other) => time(other) - time(one));
  }

  /** Rooms with something unread. */
  get unread() {
    return [...this.#rooms.values()].filter((room) => room.unread > 0).length;
  }

  /** Fetches the whole list. */
  async load() {
    /** @type {Room[]} */
    const listed = [];
    let before;
    do {
      const page = await this.#chat.rpc('room.list', { limit: PAGE, ...(before === undefined ? {} : { before }) });
      listed.push(...page.rooms);
      before = page.next;
    } while (before !== undefined && before !== null);
    const ids = new Set(listed.map(({ id }) => id));
    for (const room of [...this.#rooms.values()]) {
      if (!ids.has(room.id) && !isDraft(room)) this.#forget(room.id);
    }
    // The list is in order of activity, which places those without a last event between their neighbours.
    let active = Date.now();
    for (const room of listed) {
      active = room.last?.time ?? active;
      this.#keep(room, active);
    }
    this.loaded = true;
    this.emit('change', {});
  }

  /** Fetches one room. What is asked while an answer is under way is asked once more. @param {string} id */
  async refresh(id) {
    if (this.#asking.has(id)) return void this.#asking.set(id, true);
    this.#asking.set(id, false);
    try {
      const { room } = await this.#chat.rpc('room.get', { room: id });
      // Open rooms are shown to everybody, but they are not everybody's.
      if (room.role) this.put(room);
      else this.remove(id);
    } catch {
      // Not ours (any more), or no connection: the list that is fetched on connecting decides.
    }
    const again = this.#asking.get(id);
    this.#asking.delete(id);
    if (again) await this.refresh(id);
  }

  /** @param {Room} room */
  put(room) {
    this.#keep(room, room.last?.time ?? (isDraft(room) ? Number.MAX_SAFE_INTEGER : this.#active.get(room.id) ?? 0));
    this.emit('change', {});
  }

  /** @param {string} id */
  remove(id) {
    if (!this.#forget(id)) return;
    this.emit('gone', { room: id });
    this.emit('change', {});
  }

  /** @param {{ room: string, event: RoomEvent }} happened */
  apply({ room: id, event }) {
    const room = this.#rooms.get(id);
    if (!room) return void this.refresh(id);
    if (event.seq <= room.seq) return;
    room.seq = event.seq;
    room.last = event;
    this.#active.set(id, event.time);
    if (event.type === 'message') this.#count(room, event);
    if (event.type === 'member' && this.#moved(room, event)) return this.remove(id);
    if (event.type === 'room') {
      room.name = event.name ?? room.name;
      room.topic = event.topic ?? room.topic;
    }
    this.emit('change', {});
  }

  /** Something happened in a room whose events do not reach us. @param {{ room: string, seq: number }} activity */
  heard({ room: id, seq }) {
    const room = this.#rooms.get(id);
    if (!room || seq > room.seq) void this.refresh(id);
  }

  /** @param {{ room: string, seq: number, unread: number }} mark */
  read({ room: id, seq, unread }) {
    const room = this.#rooms.get(id);
    if (!room) return;
    if (this.#unread.get(id)?.read(seq, unread) === false) void this.refresh(id);
    this.#mark(room);
    this.emit('change', {});
  }

  /** @param {Room} room @param {RoomEvent} event */
  #count(room, { user, seq }) {
    room.messages += 1;
    const unread = this.#unread.get(room.id);
    // Who writes has read: the server moves the cursor along.
    if (user === this.#me) unread?.read(seq, 0);
    else unread?.add(seq);
    this.#mark(room);
  }

  /** @param {string} id @returns {boolean} whether it was there */
  #forget(id) {
    this.#active.delete(id);
    this.#unread.delete(id);
    return this.#rooms.delete(id);
  }

  /** @param {Room} room */
  #mark(room) {
    const unread = this.#unread.get(room.id);
    if (!unread) return;
    room.unread = unread.count;
    room.read_seq = unread.readSeq;
  }

  /** @param {Room} room @param {RoomEvent} event @returns {boolean} whether the reader is out */
  #moved(room, { user, member = user, change, role }) {
    if (change === 'joined' || change === 'invited') room.members += 1;
    if (change === 'left' || change === 'removed') room.members -= 1;
    if (member !== this.#me) return false;
    room.role = role ?? room.role;
    return change === 'left' || change === 'removed';
  }

  /** An answer may be older than events that came while it was under way. @param {Room} room @param {number} active */
  #keep(room, active) {
    const known = this.#rooms.get(room.id);
    const continues = known?.epoch === room.epoch;
    const unread = new Unread(room);
    const before = this.#unread.get(room.id);
    if (continues && before) unread.follow(before);
    this.#unread.set(room.id, unread);
    if (!known || !continues || known.seq <= room.seq) {
      this.#rooms.set(room.id, room);
      this.#active.set(room.id, active);
    }
    this.#mark(this.#rooms.get(room.id) ?? room);
  }
}

/** A direct room that nobody has written in: the server does not list it yet. @param {Room} room */
function isDraft({ kind, seq }) {
  return kind === 'dm' && seq === 0;
}
