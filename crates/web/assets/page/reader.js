/** @import { Chinwag } from '../chinwag.js' */
/** @import { Rooms } from './rooms.js' */

const PAUSE = 300;

/** Tells the server how far the reader has read: what has been in sight, in a window that was being looked at. */
export class Reader {
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #marking = false;

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

  /** Something may have come into sight. */
  check() {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#mark();
    }, PAUSE);
  }

  async #mark() {
    if (this.#marking || document.visibilityState !== 'visible' || !document.hasFocus()) return;
    if (this.#chat.state.name !== 'connected') return;
    const seen = this.#seen();
    const room = seen && this.#rooms.get(seen.room);
    if (!seen || !room?.role || seen.seq <= room.read_seq) return;
    this.#marking = true;
    try {
      const mark = await this.#chat.rpc('read.mark', { room: seen.room, seq: seen.seq });
      this.#rooms.read({ room: seen.room, ...mark });
      // More may have come into sight meanwhile.
      this.check();
    } catch {
      // The mark stays where it was; the next thing in sight marks again.
    } finally {
      this.#marking = false;
    }
  }
}
