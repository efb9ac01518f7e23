/** @import { Chinwag } from '../chinwag.js' */
/** @import { Presence, User } from '../client/types.js' */

import { Emitter } from '../client/emitter.js';

/** So many names are asked for at a time; the rest wait. */
const AT_ONCE = 4;

/**
 * Who people are: display names and whether they are there. Events name users by id only; whoever is not known yet is
 * asked for, and shown by id until then.
 *
 * @extends {Emitter<{ change: {} }>}
 */
export class Directory extends Emitter {
  /** @type {Map<string, User>} */
  #users = new Map();
  /** Asked for, or to be; and those who cannot be found, so that they are asked for once. @type {Set<string>} */
  #asked = new Set();
  /** @type {string[]} */
  #queue = [];
  #asking = 0;
  #announced = false;

  /** @param {{ chat: Pick<Chinwag, 'rpc'> }} settings */
  constructor({ chat }) {
    super();
    this.#chat = chat;
  }

  #chat;

  /** @param {string} id */
  get(id) {
    return this.#users.get(id);
  }

  /** The display name, or the id until the name is known. @param {string} id */
  nameOf = (id) => {
    const user = this.#users.get(id);
    if (!user) this.#want(id);
    return user?.name || id;
  };

  /** @param {User} user as the server describes them */
  learn(user) {
    const known = this.#users.get(user.id);
    if (known && known.name === user.name && known.online === user.online && known.last_seen === user.last_seen) return;
    this.#users.set(user.id, user);
    this.#changed();
  }

  /** @param {Record<string, Presence>} users */
  present(users) {
    for (const [id, { state, last_seen }] of Object.entries(users)) {
      const user = this.#users.get(id);
      if (user) this.learn({ ...user, online: state !== 'offline', last_seen: last_seen ?? user.last_seen });
      else this.#want(id);
    }
  }

  /** Presence is told only while connected: ask anew for those whom somebody wants to know. */
  forgetFailures() {
    for (const id of this.#asked) if (!this.#users.has(id)) this.#asked.delete(id);
  }

  /** @param {string} id */
  #want(id) {
    if (id === '' || this.#asked.has(id)) return;
    this.#asked.add(id);
    this.#queue.push(id);
    this.#ask();
  }

  #ask() {
    while (this.#asking < AT_ONCE) {
      const id = this.#queue.shift();
      if (id === undefined) return;
      this.#asking += 1;
      this.#chat
        .rpc('user.get', { user: id })
        .then(({ user }) => this.learn(user))
        // Shown by id then.
        .catch(() => {})
        .finally(() => {
          this.#asking -= 1;
          this.#ask();
        });
    }
  }

  /** Tells once for all that is learned in one go, such as a list of members. */
  #changed() {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.emit('change', {});
    });
  }
}
