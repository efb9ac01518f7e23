/** @import { Room } from '../client/types.js' */
/** @import { Directory } from './directory.js' */
/** @import { Rooms } from './rooms.js' */

import { avatar, byId, element, icon } from './dom.js';
import { roving } from './roving.js';
import { brief } from './when.js';
import { lineOf, roomName, textOf } from './words.js';

/** The list of the reader's rooms. Each is a link, so that the browser's history and tabs work as everywhere. */
export class RoomList {
  /** @type {Map<string, { node: HTMLLIElement, version: string }>} */
  #rows = new Map();
  #due = false;
  /** @type {string | null} */
  #current = null;

  /** @param {{ rooms: Rooms, directory: Directory, me: string }} settings */
  constructor({ rooms, directory, me }) {
    this.#me = me;
    this.#rooms = rooms;
    this.#directory = directory;
    this.#list = byId('room-list');
    this.#empty = byId('room-list-empty');
    this.#roving = roving(this.#list, 'a');
    rooms.on('change', () => this.#soon());
    directory.on('change', () => this.#soon());
  }

  #me;
  #rooms;
  #directory;
  #list;
  #empty;
  #roving;

  /** @param {string | null} room the one that is open */
  select(room) {
    this.#current = room;
    this.#draw();
  }

  /** The room before (−1) or after (+1) the open one, as listed. @param {number} step @returns {string | undefined} */
  beside(step) {
    const ids = this.#rooms.sorted().map(({ id }) => id);
    const at = this.#current ? ids.indexOf(this.#current) : -1;
    if (at < 0) return ids[0];
    return ids[at + step];
  }

  /** However much happens, the list is drawn once a frame. */
  #soon() {
    if (this.#due) return;
    this.#due = true;
    // Not an animation frame: those stop in a hidden tab, whose title and list should be right when it is shown.
    setTimeout(() => {
      this.#due = false;
      this.#draw();
    }, 16);
  }

  #draw() {
    const rooms = this.#rooms.sorted();
    this.#empty.hidden = rooms.length > 0 || !this.#rooms.loaded;
    const focused = document.activeElement instanceof HTMLElement && this.#list.contains(document.activeElement)
      ? document.activeElement.closest('li')?.dataset.room
      : undefined;
    const nodes = rooms.map((room) => this.#row(room));
    const ids = new Set(rooms.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
    const stands = nodes.length === this.#list.childElementCount && nodes.every((node, index) => node === this.#list.children[index]);
    if (!stands) this.#list.replaceChildren(...nodes);
    this.#roving.refresh();
    if (focused) this.#rows.get(focused)?.node.querySelector('a')?.focus({ preventScroll: true });
  }

  /** @param {Room} room */
  #preview({ last, kind, topic }) {
    if (!last) return topic;
    // In a direct room only one other person can have said it.
    if (last.type === 'message' && kind === 'dm' && last.user !== this.#me) return textOf(last.body);
    return lineOf(last, (id) => (id === this.#me ? 'You' : this.#directory.nameOf(id)));
  }

  /** @param {Room} room */
  #row(room) {
    const peer = room.peer && (this.#directory.get(room.peer.id) ?? room.peer);
    const what = {
      name: peer?.name || roomName(room),
      online: peer?.online === true,
      preview: this.#preview(room),
      time: room.last ? brief(room.last.time) : '',
      unread: room.unread,
      current: room.id === this.#current,
    };
    const version = JSON.stringify(what);
    const known = this.#rows.get(room.id);
    if (known?.version === version) return known.node;
    const node = element('li', { 'data-room': room.id }, link(room, what));
    this.#rows.set(room.id, { node, version });
    return node;
  }
}

/**
 * @param {Room} room
 * @param {{ name: string, online: boolean, preview: string, time: string, unread: number, current: boolean }} what
 */
function link(room, { name, online, preview, time, unread, current }) {
  const classes = `room-link${unread > 0 ? ' unread' : ''}`;
  return element(
    'a',
    { class: classes, href: roomAddress(room.id), 'aria-current': current ? 'page' : null, tabindex: -1 },
    symbol(room, name, online),
    element('span', { class: 'room-name' }, element('bdi', {}, name), online ? element('span', { class: 'unseen' }, ', online') : null),
    element('span', { class: 'room-time' }, time),
    element('span', { class: 'room-preview', dir: 'auto' }, preview),
    unread > 0 ? element('span', { class: 'badge' }, unread > 999 ? '999+' : String(unread), element('span', { class: 'unseen' }, ' unread')) : null,
  );
}

/** @param {Room} room @param {string} name @param {boolean} online */
function symbol({ kind, peer }, name, online) {
  if (kind === 'dm' && peer) {
    const face = element('span', { class: 'face' }, avatar(peer.id, name));
    if (online) face.append(element('span', { class: 'dot' }));
    return face;
  }
  return element('span', { class: 'face' }, element('span', { class: 'avatar plain' }, icon(kind === 'group' ? 'group' : 'globe')));
}

/** @param {string} id */
export function roomAddress(id) {
  return `#/room/${encodeURIComponent(id)}`;
}

/** @param {string} hash @returns {string | null} */
export function roomOfAddress(hash) {
  if (!hash.startsWith('#/room/')) return null;
  try {
    return decodeURIComponent(hash.slice('#/room/'.length));
  } catch {
    return null;
  }
}
