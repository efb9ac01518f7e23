/** @import { Session } from '../client/accounts.js' */
/** @import { Room } from '../client/types.js' */

import { Accounts, Chinwag } from '../chinwag.js';
import { setUpAccount } from './account.js';
import { Announcer } from './announcer.js';
import { Asks } from './asks.js';
import { Banner } from './banner.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { Directory } from './directory.js';
import { byId } from './dom.js';
import { People } from './people.js';
import { showRoomHeader } from './room-header.js';
import { RoomList, roomAddress, roomOfAddress } from './room-list.js';
import { Rooms } from './rooms.js';
import { dropUnsent, unsentOf } from './unsent.js';
import { roomName } from './words.js';

const WIDE = matchMedia('(min-width: 75rem)');
const NARROW = matchMedia('(max-width: 47.99rem)');
const PAUSE = 2000;

/** Everything behind the login, for one session: who listens to whom, and what is open. */
export class ChatPage {
  /**
   * @param {object} settings
   * @param {Session} settings.session
   * @param {Accounts} settings.accounts
   * @param {(notice: string) => void} settings.end the session is over
   */
  constructor({ session: { user, token }, accounts, end }) {
    this.#chat = new Chinwag({ user: user.id, token: async () => token, storage: unsentOf(user.id) });
    const chat = this.#chat;
    this.#rooms = new Rooms({ chat, me: user.id });
    this.#directory = new Directory({ chat });
    this.#directory.learn(user);
    const announcer = new Announcer(byId('announcer'));
    this.#banner = new Banner({ announcer, retry: () => chat.connect() });
    this.#list = new RoomList({ rooms: this.#rooms, directory: this.#directory, me: user.id });
    this.#conversation = new Conversation({ chat, rooms: this.#rooms, directory: this.#directory, announcer });
    this.#composer = new Composer({ send: (room, text) => this.#send(room, text) });
    this.#asks = new Asks({
      chat,
      rooms: this.#rooms,
      directory: this.#directory,
      current: () => this.#open(),
      enter: (answer) => this.#enter(answer),
    });
    this.#people = new People({ chat, directory: this.#directory, write: (other) => void this.#asks.write(other).catch(() => {}) });
    this.#end = end;
    setUpAccount({ user, token, accounts, logOut: () => void this.#logOut(accounts, token) });
    this.#listen();
    this.#setUpKeys();
    byId('room-people').addEventListener('click', () => this.#showPeople(Boolean(byId('people').hidden)));
    byId('people-close').addEventListener('click', () => this.#showPeople(false));
    byId('chat').hidden = false;
    this.#show();
    chat.connect();
  }

  #chat;
  #rooms;
  #directory;
  #banner;
  #list;
  #conversation;
  #composer;
  #asks;
  #people;
  #end;
  /** Whether the page is about to be left on purpose. */
  #over = false;

  #listen() {
    const chat = this.#chat;
    const rooms = this.#rooms;
    chat.on('state', (state) => {
      this.#banner.show(state);
      if (state.name !== 'closed' || !state.failure.unauthorized || this.#over) return;
      this.#over = true;
      this.#end('Your session has ended. Please log in again.');
    });
    chat.on('ready', () => void this.#refresh());
    chat.on('event', (happened) => isRoom(happened.room) && rooms.apply(happened));
    chat.on('reset', ({ room }) => void rooms.refresh(room));
    chat.on('joined', ({ room }) => void (isRoom(room) && rooms.refresh(room)));
    chat.on('parted', ({ room }) => rooms.remove(room));
    chat.on('read', (mark) => rooms.read(mark));
    chat.on('activity', (activity) => rooms.heard(activity));
    chat.on('presence', ({ users }) => this.#directory.present(users));
    rooms.on('gone', ({ room }) => room === this.#conversation.room && go('#/'));
    rooms.on('change', () => this.#changed());
    this.#directory.on('change', () => this.#changed());
    window.addEventListener('hashchange', () => this.#show());
    window.addEventListener('online', () => chat.wake());
    window.addEventListener('offline', () => chat.suspect());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && chat.wake());
    window.addEventListener('beforeunload', (event) => {
      if (chat.outbox.unsent > 0 && !this.#over) event.preventDefault();
    });
  }

  #setUpKeys() {
    document.addEventListener('keydown', (event) => {
      if (event.isComposing || document.querySelector('dialog[open]')) return;
      if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        event.preventDefault();
        const room = this.#list.beside(event.key === 'ArrowUp' ? -1 : 1);
        if (room) go(roomAddress(room));
      } else if (event.key === 'Escape' && NARROW.matches && !byId('people').hidden) {
        this.#showPeople(false);
      } else if (event.key === 'Escape' && this.#conversation.room) {
        this.#composer.focus();
      }
    });
  }

  /** Connected, at first or again: what was missed while away comes from the server. */
  async #refresh() {
    this.#directory.forgetFailures();
    try {
      await this.#rooms.load();
    } catch {
      // Without a connection the next one asks again; with one, the server was busy.
      if (this.#chat.state.name === 'connected') setTimeout(() => void this.#refresh(), PAUSE);
      return;
    }
    for (const { peer } of this.#rooms.sorted()) if (peer) this.#directory.learn(peer);
    this.#people.refresh();
    const asked = roomOfAddress(location.hash);
    if (asked && asked !== this.#conversation.room) this.#show();
  }

  /** Shows what the address asks for. */
  #show() {
    const id = roomOfAddress(location.hash);
    const room = id === null ? undefined : this.#rooms.get(id);
    if (id && !room && this.#rooms.loaded) void this.#visit(id);
    if (room && room.id === this.#conversation.room) return;
    // While it is still in sight: what was seen of it is marked as read.
    this.#conversation.close();
    byId('chat').dataset.pane = id ? 'room' : 'rooms';
    byId('room').hidden = !room;
    byId('nothing').hidden = id !== null;
    this.#list.select(id);
    this.#showPeople(WIDE.matches && room !== undefined);
    this.#people.open(room ?? null);
    this.#composer.open(room?.id ?? null, room && roomName(room));
    if (room) this.#conversation.open(room);
    this.#changed();
    if (room && !NARROW.matches) this.#composer.focus();
    // On a phone the keyboard should not jump up; whoever listens is still told where they are.
    else if (room) byId('room-name').focus();
  }

  /** An address that leads to a room which is not in the list. @param {string} id */
  async #visit(id) {
    try {
      const { room } = await this.#chat.rpc('room.get', { room: id });
      if (roomOfAddress(location.hash) !== id) return;
      if (room.role) return this.#enter({ room });
      if (room.kind === 'open') this.#asks.offer(room);
    } catch {
      // Not there, or not for us to know.
    }
    if (roomOfAddress(location.hash) === id) go('#/');
  }

  /** Names, counts or marks have changed. */
  #changed() {
    const room = this.#open();
    if (room) showRoomHeader(room, this.#directory);
    const { unread } = this.#rooms;
    document.title = [unread > 0 ? `(${unread})` : '', room ? `${roomName(room)} ·` : '', 'chinwag'].join(' ').trim();
  }

  /** @returns {Room | undefined} */
  #open() {
    return this.#rooms.get(this.#conversation.room ?? '');
  }

  /** @param {{ room: Room }} answer */
  #enter({ room }) {
    if (room.peer) this.#directory.learn(room.peer);
    this.#rooms.put(room);
    if (roomOfAddress(location.hash) === room.id) this.#show();
    else go(roomAddress(room.id));
  }

  /** @param {Accounts} accounts @param {string} token */
  async #logOut(accounts, token) {
    this.#over = true;
    this.#chat.disconnect();
    dropUnsent(this.#chat.user);
    // Without a connection the token lives on at the server until it expires, but nobody here knows it any more.
    await accounts.logOut(token).catch(() => {});
    this.#end('');
  }

  /** @param {string} room @param {string} text */
  #send(room, text) {
    this.#chat.send(room, { text });
    this.#conversation.written();
  }

  /** @param {boolean} visible */
  #showPeople(visible) {
    byId('people').hidden = !visible;
    byId('room-people').setAttribute('aria-expanded', String(visible));
  }
}

/** @param {string} channel */
function isRoom(channel) {
  return !channel.startsWith('#');
}

/** @param {string} address */
function go(address) {
  location.hash = address;
}
