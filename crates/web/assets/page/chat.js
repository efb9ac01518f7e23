/** @import { Session } from '../client/accounts.js' */
/** @import { Entry, Storage } from '../client/outbox.js' */
/** @import { Room } from '../client/types.js' */

import { Accounts, Chinwag, Failure } from '../chinwag.js';
import { setUpAccount } from './account.js';
import { Announcer } from './announcer.js';
import { Banner } from './banner.js';
import { Browse } from './browse.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { askDialog } from './dialogs.js';
import { Directory } from './directory.js';
import { byId } from './dom.js';
import { People } from './people.js';
import { showRoomHeader } from './room-header.js';
import { RoomList, roomAddress, roomOfAddress } from './room-list.js';
import { Rooms } from './rooms.js';
import { roomName } from './words.js';

const WIDE = matchMedia('(min-width: 75rem)');
const NARROW = matchMedia('(max-width: 47.99rem)');

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
    this.#people = new People({ chat, directory: this.#directory, write: (other) => void this.#write(other) });
    this.#end = end;
    setUpAccount({ user, token, accounts, logOut: () => void this.#logOut(accounts, token) });
    this.#listen();
    this.#setUpDialogs();
    this.#setUpKeys();
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
    chat.on('event', (happened) => rooms.apply(happened));
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

  #setUpDialogs() {
    const rpc = this.#chat.rpc.bind(this.#chat);
    const noUser = { 404: 'There is nobody of that name here.' };
    const create = askDialog({
      id: 'create',
      words: { 404: 'One of these people is not here. Please check the user names.' },
      submit: async ({ name = '', topic = '', kind, members = '' }) => {
        const typed = members.split(/[\s,;，、]+/u).filter((user) => user !== '');
        const users = await Promise.all(typed.map((user) => this.#userCalled(user)));
        this.#enter(await rpc('room.create', { name: name.trim(), topic: topic.trim(), kind, members: users }));
      },
    });
    const direct = askDialog({ id: 'direct', words: noUser, submit: async ({ user = '' }) => this.#write(await this.#userCalled(user)) });
    const invite = askDialog({
      id: 'invite',
      words: { ...noUser, 409: 'They are already in the room.' },
      submit: async ({ user = '' }) => {
        const { room } = this.#conversation;
        await rpc('room.invite', { room, user: await this.#userCalled(user) });
      },
    });
    const leave = askDialog({
      id: 'leave',
      submit: async () => {
        const { room } = this.#conversation;
        if (!room) return;
        await rpc('room.leave', { room });
        this.#rooms.remove(room);
      },
    });
    const browse = new Browse({ chat: this.#chat, join: async (room) => this.#enter(await rpc('room.join', { room })) });

    byId('open-create').addEventListener('click', () => create.open());
    byId('open-direct').addEventListener('click', () => direct.open());
    byId('open-browse').addEventListener('click', () => browse.open());
    byId('room-invite').addEventListener('click', () => invite.open());
    byId('room-leave').addEventListener('click', () => {
      const room = this.#open();
      byId('leave-text').textContent = room?.kind === 'open'
        ? `You can join “${roomName(room)}” again whenever you like.`
        : `To come back to “${room ? roomName(room) : ''}” somebody has to add you again.`;
      leave.open();
    });
    for (const button of byId('nothing').querySelectorAll('button')) {
      button.addEventListener('click', () => byId(button.dataset.opens ?? '').click());
    }
    byId('room-people').addEventListener('click', () => this.#showPeople(Boolean(byId('people').hidden)));
    byId('people-close').addEventListener('click', () => this.#showPeople(false));
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
      // The connection is gone again, and the next one asks again.
      return;
    }
    this.#people.refresh();
    const asked = roomOfAddress(location.hash);
    if (asked && asked !== this.#conversation.room) this.#show();
  }

  /** Shows what the address asks for. */
  #show() {
    const id = roomOfAddress(location.hash);
    const room = id === null ? undefined : this.#rooms.get(id);
    if (id && !room && this.#rooms.loaded) void this.#rooms.refresh(id).then(() => this.#rooms.get(id) ? this.#show() : go('#/'));
    if (room && room.id === this.#conversation.room) return;
    byId('chat').dataset.pane = id ? 'room' : 'rooms';
    byId('room').hidden = !room;
    byId('nothing').hidden = id !== null;
    this.#list.select(id);
    this.#showPeople(WIDE.matches && room !== undefined);
    this.#people.open(room ?? null);
    this.#composer.open(room?.id ?? null, room && roomName(room));
    if (room) this.#conversation.open(room);
    else this.#conversation.close();
    this.#changed();
    if (room && !NARROW.matches) this.#composer.focus();
    // On a phone the keyboard should not jump up; whoever listens is still told where they are.
    else if (room) byId('room-name').focus();
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
    this.#rooms.put(room);
    go(roomAddress(room.id));
  }

  /** Opens the conversation with somebody. @param {string} user */
  async #write(user) {
    this.#enter(await this.#chat.rpc('direct.open', { user }));
  }

  /** @param {Accounts} accounts @param {string} token */
  async #logOut(accounts, token) {
    this.#over = true;
    sessionStorage.removeItem(unsentKey(this.#chat.user));
    this.#chat.disconnect();
    // Without a connection the token lives on at the server until it expires, but nobody here knows it any more.
    await accounts.logOut(token).catch(() => {});
    this.#end('');
  }

  /**
   * User names are kept in lower case, but those that come from another system are as they are.
   *
   * @param {string} typed
   * @returns {Promise<string>} the id
   */
  async #userCalled(typed) {
    const name = typed.trim().replace(/^@/, '');
    const ask = (/** @type {string} */ user) => this.#chat.rpc('user.get', { user });
    const lower = name.toLowerCase();
    const { user } = await ask(name).catch((error) => {
      if (lower === name || Failure.from(error).temporary) throw error;
      return ask(lower);
    });
    this.#directory.learn(user);
    return user.id;
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

/**
 * Unsent messages outlive a reload in `sessionStorage`: it belongs to one tab, so that two tabs never send for each other.
 *
 * @param {string} user
 * @returns {Storage}
 */
function unsentOf(user) {
  const key = unsentKey(user);
  return {
    load() {
      try {
        return /** @type {Entry[]} */ (JSON.parse(sessionStorage.getItem(key) ?? '[]'));
      } catch {
        return [];
      }
    },
    save(entries) {
      if (entries.length === 0) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, JSON.stringify(entries));
    },
  };
}

/** @param {string} user */
function unsentKey(user) {
  return `chinwag.unsent.${user}`;
}
