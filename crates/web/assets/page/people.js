/** @import { Chinwag } from '../chinwag.js' */
/** @import { Member, Role, Room, RoomEvent, User } from '../client/types.js' */
/** @import { Directory } from './directory.js' */

import { avatar, byId, element } from './dom.js';
import { ago } from './when.js';
import { inWords } from './words.js';

const PAGE = 250;

/** Who is in the open room, those who are there now first. */
export class People {
  /** @type {Map<string, Role>} */
  #members = new Map();
  /** @type {Room | null} */
  #room = null;
  /** Where the next page begins, if the room has more members than are shown. @type {string | null} */
  #next = null;
  #problem = '';

  /**
   * @param {object} settings
   * @param {Chinwag} settings.chat
   * @param {Directory} settings.directory
   * @param {(user: string) => void} settings.write somebody was chosen to write to
   */
  constructor({ chat, directory, write }) {
    this.#chat = chat;
    this.#directory = directory;
    this.#lists = byId('people-lists');
    this.#lists.addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('button') : null;
      if (button?.dataset.user) write(button.dataset.user);
      else if (button) void this.#load();
    });
    directory.on('change', () => this.#draw());
    chat.on('event', ({ room, event }) => room === this.#room?.id && this.#happened(event));
  }

  #chat;
  #directory;
  #lists;

  /** @param {Room | null} room */
  open(room) {
    this.#room = room;
    this.#members.clear();
    this.#lists.replaceChildren();
    this.refresh();
  }

  /** Fetches the members anew, as after a time without connection. */
  refresh() {
    this.#next = null;
    // A direct room has two people, and until something is written in it the server knows of neither.
    if (this.#room?.peer) this.#directory.learn(this.#room.peer);
    if (this.#room?.role) void this.#load();
  }

  async #load() {
    const room = this.#room;
    if (!room) return;
    const after = this.#next ?? undefined;
    try {
      /** @type {{ members: Member[], next?: string | null }} */
      const { members, next } = await this.#chat.rpc('room.members', { room: room.id, limit: PAGE, after });
      if (room !== this.#room) return;
      if (after === undefined) this.#members.clear();
      for (const { user, role } of members) {
        this.#directory.learn(user);
        this.#members.set(user.id, role);
      }
      this.#next = next ?? null;
      this.#problem = '';
    } catch (error) {
      if (room !== this.#room) return;
      this.#problem = inWords(error);
    }
    this.#draw();
  }

  /** @param {RoomEvent} event */
  #happened({ type, user, member = user, change, role }) {
    if (type !== 'member') return;
    if (change === 'left' || change === 'removed') this.#members.delete(member);
    else this.#members.set(member, role ?? this.#members.get(member) ?? 'member');
    this.#draw();
  }

  #draw() {
    if (!this.#room) return;
    const users = [...this.#members.keys()].map((id) => this.#directory.get(id) ?? unknown(id, this.#directory.nameOf(id)));
    users.sort((one, other) => one.name.localeCompare(other.name));
    const there = users.filter(({ online }) => online);
    const away = users.filter(({ online }) => !online);
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.user : undefined;
    this.#lists.replaceChildren(
      ...this.#group('Online', there),
      ...this.#group('Offline', away),
      ...(this.#next ? [element('button', { class: 'secondary wide', type: 'button' }, 'Show more')] : []),
      ...(this.#problem ? [element('p', { class: 'error' }, this.#problem)] : []),
    );
    if (focused) [...this.#lists.querySelectorAll('button')].find(({ dataset }) => dataset.user === focused)?.focus();
  }

  /** @param {string} title @param {User[]} users */
  #group(title, users) {
    if (users.length === 0) return [];
    const rows = users.map((user) => this.#person(user));
    return [element('h3', {}, `${title} — ${users.length}`), element('ul', { role: 'list' }, ...rows)];
  }

  /** @param {User} user */
  #person({ id, name, online, last_seen }) {
    const role = this.#members.get(id);
    const face = element('span', { class: 'face' }, avatar(id, name));
    if (online) face.append(element('span', { class: 'dot' }));
    const seen = !online && last_seen ? `seen ${ago(last_seen)}` : '';
    const details = [name === id ? '' : id, role && role !== 'member' ? role : '', seen].filter((detail) => detail !== '');
    const words = element('span', { class: 'person-words' }, element('bdi', {}, name), element('span', { class: 'muted' }, details.join(' · ')));
    if (id === this.#chat.user) return element('li', {}, element('div', { class: 'person' }, face, words));
    const hint = element('span', { class: 'unseen' }, ', write a direct message');
    return element('li', {}, element('button', { class: 'person', type: 'button', 'data-user': id }, face, words, hint));
  }
}

/** @param {string} id @param {string} name @returns {User} */
function unknown(id, name) {
  return { id, name, online: false, last_seen: null };
}
