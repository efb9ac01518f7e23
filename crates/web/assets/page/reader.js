/** @import { Chinwag } from '../chinwag.js' */
/** @import { Rooms } from './rooms.js' */

import { Failure } from '../client/failure.js';

const PAUSE = 300;

/** Tells the server how far the reader has read: what has been in sight, in a window that was being looked at. */
export class Reader {
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  /** What the server is still to be told, by room. @type {Map<string, number>} */
  #untold = new Map();
  #telling = false;

  /**
   * @param {object} settings
   * @param {Pick<Chinwag, 'rpc' | 'state'>} settings.chat
   * @param {Rooms} settings.rooms
   * @param {() => { room: string, seq: number } | null} settings.seen the newest event in sight
   */
  constructor({ chat, rooms, seen }) {
    this.#chat = chat;
    this.#rooms = rooms;
    this.#seen = seen;
    for (const change of ['focus', 'visibilitychange']) window.addEventListener(change, () => this.check(), true);
  }

  #chat;
  #rooms;
  #seen;

  /** Something may have come into sight. Looks a little later, once for much that comes at a time. */
  check() {
    this.#timer ??= setTimeout(() => this.look(), PAUSE);
  }

  /** Looks now, as before another room takes the place of this one. */
  look() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (document.visibilityState === 'visible' && document.hasFocus()) {
      const seen = this.#seen();
      if (seen && this.#isNews(seen)) this.#untold.set(seen.room, seen.seq);
    }
    void this.#tell();
  }

  async #tell() {
    if (this.#telling) return;
    this.#telling = true;
    for (const [room, seq] of this.#untold) {
      if (this.#chat.state.name !== 'connected') break;
      this.#untold.delete(room);
      if (!this.#isNews({ room, seq })) continue;
      try {
        this.#rooms.read({ room, ...(await this.#chat.rpc('read.mark', { room, seq })) });
      } catch (error) {
        // To be told with the next; a refusal for good is of a room that is not ours any more.
        if (Failure.from(error).temporary && !this.#untold.has(room)) this.#untold.set(room, seq);
        break;
      }
    }
    this.#telling = false;
  }

  /** @param {{ room: string, seq: number }} seen */
  #isNews({ room: id, seq }) {
    const room = this.#rooms.get(id);
    return Boolean(room?.role) && seq > (room?.read_seq ?? 0) && seq > (this.#untold.get(id) ?? 0);
  }
}
