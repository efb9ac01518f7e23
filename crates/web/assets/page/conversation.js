/** @import { Chinwag } from '../chinwag.js' */
/** @import { Page, Room, RoomEvent } from '../client/types.js' */
/** @import { Announcer } from './announcer.js' */
/** @import { Directory } from './directory.js' */
/** @import { Rooms } from './rooms.js' */

import { byId } from './dom.js';
import { linesOf } from './lines.js';
import { MessageList } from './message-list.js';
import { Reader } from './reader.js';
import { Timeline } from './timeline.js';
import { inWords, lineOf, roomName } from './words.js';

const PAGE = 50;
/** After a page could not be had, scrolling does not ask again before this. */
const PAUSE = 2000;

/** The open room: its messages as far as they are on screen, and fetching more of them at either end. */
export class Conversation {
  /** @type {string | null} */
  room = null;
  #timeline = new Timeline();
  /** @type {number | null} */
  #unreadAfter = null;
  /** How far the archive has the room, by its last word; 0 if it has said none. */
  #archived = 0;
  /** Messages of others that came while the reader was elsewhere in the history. */
  #unseen = 0;
  /** Rises with each room that is opened: answers for an earlier one are outdated. */
  #visit = 0;
  #fetching = false;

  /**
   * @param {object} settings
   * @param {Chinwag} settings.chat
   * @param {Rooms} settings.rooms
   * @param {Directory} settings.directory
   * @param {Announcer} settings.announcer
   */
  constructor({ chat, rooms, directory, announcer }) {
    this.#chat = chat;
    this.#rooms = rooms;
    this.#directory = directory;
    this.#announcer = announcer;
    this.#note = byId('history-note');
    this.#jump = byId('jump', HTMLButtonElement);
    this.#jumpText = byId('jump-text');
    const messages = byId('messages');
    this.#list = new MessageList({ scroller: byId('scroller'), list: messages, onScroll: () => this.#look() });
    this.#reader = new Reader({ chat, rooms, seen: () => this.#seen() });
    this.#jump.addEventListener('click', () => void this.toNewest());
    messages.addEventListener('click', ({ target }) => this.#clicked(target));
    chat.on('event', (happened) => this.#happened(happened));
    chat.on('reset', ({ room }) => room === this.room && this.#again());
    chat.on('outbox', ({ room }) => room === this.room && this.#draw());
    chat.on('archived', ({ room, seq }) => room === this.room && this.#stored(seq));
    chat.on('ready', () => this.#connected());
    directory.on('change', () => this.#draw());
  }

  #chat;
  #rooms;
  #directory;
  #announcer;
  #note;
  #jump;
  #jumpText;
  #list;
  #reader;

  /** @param {Room} room */
  open({ id, unread, read_seq }) {
    this.close();
    this.room = id;
    this.#unreadAfter = unread > 0 ? read_seq : null;
    this.#chat.follow(id);
    // Far behind, one begins reading where one stopped; otherwise the newest page shows that place anyway.
    void this.#begin(unread > PAGE / 2 ? { around: Math.max(1, read_seq) } : {}, 'unread');
  }

  close() {
    this.#reader.look();
    if (this.room) this.#chat.unfollow(this.room);
    this.room = null;
    this.#visit += 1;
    this.#timeline = new Timeline();
    this.#unseen = 0;
    this.#archived = 0;
    this.#unreadAfter = null;
    this.#fetching = false;
    this.#list.clear();
    this.#jump.hidden = true;
  }

  /** Where the conversation is at this moment. */
  async toNewest() {
    this.#unseen = 0;
    if (!this.#timeline.atEnd) await this.#begin({});
    this.#list.toEnd();
    this.#look();
  }

  /** The reader has written something: what was unread before is not any more. */
  written() {
    this.#unreadAfter = null;
    void this.toNewest();
    this.#draw();
  }

  /** What is on screen is not to be trusted any more; the reader stays where they are, as far as that is still there. */
  #again() {
    const seen = this.#list.following ? 0 : this.#list.seenUpTo();
    // What came live before counts no more: the same numbers may come again. On screen it stays until there is a page.
    this.#timeline = new Timeline();
    void this.#begin(seen > 0 ? { around: seen } : {});
  }

  /**
   * Shows a page from the server instead of what is on screen.
   *
   * @param {{ around?: number }} where
   * @param {string} [line] to scroll to when the page is not the newest; by default the place is held
   */
  async #begin(where, line) {
    const room = this.room;
    if (!room) return;
    this.#visit += 1;
    const visit = this.#visit;
    this.#fetching = true;
    if (!this.#timeline.loaded) this.#note.textContent = 'Loading …';
    try {
      const page = await this.#chat.page({ room, limit: PAGE, ...where });
      if (visit !== this.#visit) return;
      this.#timeline.load(page);
      this.#list.following = where.around === undefined;
      this.#fetching = false;
      this.#draw();
      if (where.around !== undefined && line) this.#list.toLine(line);
      this.#look();
    } catch (error) {
      if (visit !== this.#visit) return;
      this.#fetching = false;
      this.#note.textContent = `The messages cannot be shown. ${inWords(error)}`;
    }
  }

  /**
   * Fetches more at one end.
   *
   * @param {{ before: number } | { after: number }} where
   * @param {(page: Page) => void} add
   */
  async #more(where, add) {
    const room = this.room;
    if (!room || this.#fetching) return;
    const visit = this.#visit;
    this.#fetching = true;
    try {
      const page = await this.#chat.page({ room, limit: PAGE, ...where });
      if (visit !== this.#visit) return;
      add(page);
      this.#fetching = false;
      this.#draw();
    } catch (error) {
      if (visit !== this.#visit) return;
      this.#note.textContent = `More messages cannot be shown. ${inWords(error)}`;
      setTimeout(() => {
        if (visit === this.#visit) this.#fetching = false;
      }, PAUSE);
    }
  }

  #draw() {
    const { events, loaded, atStart, atEnd } = this.#timeline;
    if (!this.room || !loaded) return;
    if (!atEnd) this.#list.following = false;
    const isStored = (/** @type {RoomEvent} */ event) => this.#isStored(event);
    const names = { nameOf: this.#directory.nameOf, me: this.#chat.user, isStored };
    const pending = atEnd ? this.#chat.outbox.in(this.room) : [];
    this.#note.textContent = atStart ? 'This is the beginning.' : 'Loading …';
    this.#list.show(linesOf({ events, pending, unreadAfter: this.#unreadAfter, names }));
    this.#look();
  }

  /** @param {number} seq */
  #stored(seq) {
    this.#archived = seq;
    this.#draw();
  }

  /** Whether a message of the reader's is in the archive. What is older than the outbox is. @param {RoomEvent} event */
  #isStored({ id, seq }) {
    return !this.#chat.outbox.keeps(id ?? '') && (this.#archived === 0 || seq <= this.#archived);
  }

  /** Looks where the reader is, and does what follows from it. */
  #look() {
    const { loaded, atStart, atEnd, first, last } = this.#timeline;
    if (!loaded) return;
    if (!atStart && first > 0 && this.#list.nearStart) {
      void this.#more({ before: first }, (page) => this.#timeline.prepend(page));
    } else if (!atEnd && last > 0 && this.#list.nearEnd) {
      void this.#more({ after: last }, (page) => this.#timeline.append(page));
    }
    const away = !atEnd || !this.#list.following;
    if (!away) this.#unseen = 0;
    this.#jump.hidden = !away;
    this.#jumpText.textContent = this.#unseen > 0 ? `${this.#unseen} new ${this.#unseen === 1 ? 'message' : 'messages'}` : 'Newest';
    this.#reader.check();
  }

  /** @param {{ room: string, event: RoomEvent, live: boolean }} happened */
  #happened({ room, event, live }) {
    const foreign = event.type === 'message' && event.user !== this.#chat.user;
    if (live && foreign) this.#announce(room, event);
    if (room !== this.room) return;
    if (foreign && document.visibilityState === 'hidden') this.#unreadAfter ??= event.seq - 1;
    if (foreign && !(this.#list.following && this.#timeline.atEnd)) this.#unseen += 1;
    if (this.#timeline.live(event, this.#list.following)) this.#draw();
    else this.#look();
  }

  /** @param {string} room @param {RoomEvent} event */
  #announce(room, event) {
    const line = lineOf(event, this.#directory.nameOf);
    if (room === this.room) return this.#announcer.say(line);
    const other = this.#rooms.get(room);
    if (other?.kind === 'dm') this.#announcer.say(`New direct message. ${line}`);
    else if (other) this.#announcer.say(`New message in ${roomName(other)}.`);
  }

  #connected() {
    this.#reader.check();
    if (!this.room) return;
    if (!this.#timeline.loaded) void this.#begin({});
    else this.#look();
  }

  #seen() {
    return this.room ? { room: this.room, seq: this.#list.seenUpTo() } : null;
  }

  /** @param {EventTarget | null} target */
  #clicked(target) {
    const button = target instanceof Element ? target.closest('button') : null;
    if (button?.dataset.retry) this.#chat.outbox.retry(button.dataset.retry);
    if (button?.dataset.discard) this.#chat.outbox.discard(button.dataset.discard);
  }
}
