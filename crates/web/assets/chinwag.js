/**
 * The browser client of chinwag: a connection that is kept, rooms whose events arrive once and in order, and messages
 * that are kept until they are in the archive.
 *
 *     import { Accounts, Chinwag } from '/chinwag.js';
 *     const { user, token } = await new Accounts().logIn({ name: 'alice', password });
 *     const chat = new Chinwag({ user: user.id, token: async () => token });
 *     chat.on('event', ({ room, event }) => console.log(room, event.seq, event.body));
 *     chat.connect();
 *     const { room } = await chat.rpc('room.create', { name: 'Tea' });
 *     chat.send(room.id, { text: 'Milk first?' });
 *
 * Plain ES modules, no dependencies; the types in the comments are checked by TypeScript. It shows nothing and stores
 * nothing by itself. The protocol is centrifuge v2 in JSON, so any of its SDKs can be used instead.
 */

/** @import { Ack, Page, Presence, RoomEvent, Subscription } from './client/types.js' */
/** @import { Backoff } from './client/backoff.js' */
/** @import { Entry, Storage } from './client/outbox.js' */
/** @import { State } from './client/link.js' */

import { Accounts } from './client/accounts.js';
import { Emitter } from './client/emitter.js';
import { Failure } from './client/failure.js';
import { Feed } from './client/feed.js';
import { Link } from './client/link.js';
import { Outbox } from './client/outbox.js';
import { asksToResubscribe } from './client/wire.js';

export { Accounts, Failure };

/** How long a call waits for a connection before it gives up. */
const CONNECTION_WAIT = 10_000;
/** How long until a room is asked for again that could not be had for the moment; half of it more or less. */
const SUBSCRIBE_PAUSE = 1000;
/** How long after the acknowledgement one's own message may take to come back as an event. */
const ECHO_WAIT = 2000;
const VERSION = '0.1.0';

/**
 * - `state`: of the connection.
 * - `ready`: connected, and all subscriptions of the server are known.
 * - `event`: the next event of a room, exactly once and in order; `live` is false when it was caught up with.
 * - `reset`: the room's history is not continuous with what was delivered before: fetch it again.
 * - `joined`, `parted`: the server began or ended the subscription to a room by itself.
 * - `presence`: changes of who is online in a room. `read`: this user read a room, here or elsewhere.
 *   `activity`: something happened in a room of this user that is not subscribed.
 * - `outbox`: a message on its way changed its state, arrived, or is in the archive.
 * - `archived`: the archive has a room's events up to this one.
 *
 * @typedef {{
 *   state: State,
 *   ready: {},
 *   event: { room: string, event: RoomEvent, live: boolean },
 *   reset: { room: string },
 *   joined: { room: string },
 *   parted: { room: string },
 *   presence: { room: string, users: Record<string, Presence> },
 *   read: { room: string, seq: number, unread: number },
 *   activity: { room: string, seq: number },
 *   outbox: { room: string },
 *   archived: { room: string, seq: number },
 * }} Events
 */

/** @extends {Emitter<Events>} */
export class Chinwag extends Emitter {
  /** Rooms that we subscribed to ourselves, and do again on each new connection. @type {Set<string>} */
  #followed = new Set();
  /** Those of them whose subscription on this connection is our own doing and not the server's. @type {Set<string>} */
  #own = new Set();

  /**
   * @param {object} settings
   * @param {string} settings.user the id of the user whom the tokens belong to
   * @param {() => Promise<string>} settings.token called for each connection and before a token expires; to give up, it
   *   rejects with a Failure that is not temporary
   * @param {string} [settings.url] the socket's address; by default the page's own server
   * @param {Storage} [settings.storage] keeps messages over a reload until they are archived
   * @param {typeof globalThis.WebSocket} [settings.WebSocket]
   * @param {Backoff} [settings.backoff] waits between attempts to connect
   */
  constructor({ user, token, url = ownServer(), storage, WebSocket, backoff }) {
    super();
    this.user = user;
    const hello = async () => ({ token: await token(), name: 'chinwag-js', version: VERSION, data: { marks: true }, subs: this.#feed.positions() });
    this.#feed = new Feed({ page: (request) => this.page(request) });
    this.#link = new Link({ url, hello, WebSocket, backoff });
    this.outbox = new Outbox({ send: ({ room, id, body, after }) => this.#call('message.send', { room, id, body, after }), storage });
    this.#wire();
  }

  #feed;
  #link;

  get state() {
    return this.#link.state;
  }

  connect() {
    this.#link.connect();
  }

  /** Ends the connection. Unsent messages stay in the outbox. */
  disconnect() {
    this.#link.disconnect();
  }

  /** Does not sit out a wait: to be called when the network is back or the page visible again. */
  wake() {
    this.#link.wake();
  }

  /** The network is said to be gone: does not wait until the silence is noticed. */
  suspect() {
    this.#link.suspect();
  }

  /**
   * Calls a chat verb, such as `room.list`. Waits up to ten seconds for a connection.
   *
   * @param {string} method
   * @param {object} [data]
   * @returns {Promise<any>} rejects with a Failure
   */
  async rpc(method, data = {}) {
    await this.#connected();
    return this.#call(method, data);
  }

  /**
   * A page of a room's history; the newest without any of `before`, `after`, `around`.
   *
   * @param {{ room: string, before?: number, after?: number, around?: number, limit?: number }} request
   * @returns {Promise<Page>}
   */
  async page(request) {
    /** @type {Page} */
    const page = await this.rpc('message.page', request);
    for (const event of page.events) this.#confirm(event, page.epoch);
    if (!page.has_after && this.#followed.has(request.room)) {
      this.#feed.seen(request.room, { epoch: page.epoch, seq: page.seq });
    }
    return page;
  }

  /**
   * Sends a message, now or as soon as there is a connection, and repeats it under the same id until the archive has
   * it or the server refuses it. `outbox` events tell its progress.
   *
   * @param {string} room
   * @param {any} body any JSON of at most 32 KiB; the chat page understands `{ text }`
   * @returns {Entry}
   */
  send(room, body) {
    return this.outbox.add(room, body);
  }

  /** Makes sure that a room's events arrive, also if the server did not subscribe us by itself. @param {string} room */
  follow(room) {
    this.#followed.add(room);
    if (!this.#feed.isSubscribed(room)) this.#subscribe(room);
  }

  /** @param {string} room whose events are not needed any more, unless the server sends them by itself */
  unfollow(room) {
    this.#followed.delete(room);
    if (!this.#own.delete(room)) return;
    this.#feed.unsubscribed(room);
    this.#link.request('unsubscribe', { channel: room }, () => {});
  }

  #wire() {
    this.#link.on('state', (state) => {
      if (state.name !== 'connected') {
        this.#feed.disconnected();
        this.#own.clear();
        this.outbox.pause();
      }
      this.emit('state', state);
    });
    this.#link.on('welcome', ({ subs = {}, data }) => this.#welcomed(subs, data ?? {}));
    this.#link.on('push', (push) => this.#pushed(push));
    this.#feed.on('event', (detail) => {
      // In this order a message is in the room before it leaves the outbox, and never in neither.
      this.emit('event', detail);
      this.#confirm(detail.event, this.#feed.position(detail.room)?.epoch ?? '');
    });
    this.#feed.on('reset', ({ room }) => {
      this.#arrived(room);
      this.outbox.rewound(room);
      this.emit('reset', { room });
    });
    this.#feed.on('signal', (detail) => this.#signalled(detail));
    this.outbox.on('change', (detail) => this.emit('outbox', detail));
    this.outbox.on('sent', ({ room, seq }) => setTimeout(() => this.#echoed(room, seq), ECHO_WAIT));
  }

  /** @param {Record<string, Subscription>} subscriptions @param {{ after?: boolean, marks?: boolean }} abilities */
  #welcomed(subscriptions, abilities) {
    for (const [room, subscription] of Object.entries(subscriptions)) this.#feed.subscribed(room, subscription);
    for (const room of this.#followed) if (!this.#feed.isSubscribed(room)) this.#subscribe(room);
    this.outbox.resume(abilities);
    this.emit('ready', {});
  }

  /** @param {import('./client/types.js').Push} push */
  #pushed({ channel = '', pub, subscribe, unsubscribe }) {
    if (pub) {
      this.#feed.published(channel, pub);
    } else if (subscribe) {
      this.#feed.subscribed(channel, subscribe);
      this.emit('joined', { room: channel });
    } else if (unsubscribe) {
      if (asksToResubscribe(unsubscribe.code)) {
        this.#feed.unsubscribed(channel);
        return this.#subscribe(channel);
      }
      this.#feed.forget(channel);
      this.#followed.delete(channel);
      this.emit('parted', { room: channel });
    }
  }

  /** @param {string} channel */
  #subscribe(channel) {
    const position = this.#feed.position(channel);
    const recovery = position ? { recover: true, epoch: position.epoch, offset: position.seq } : {};
    this.#link.request('subscribe', { channel, recoverable: true, positioned: true, ...recovery }, (error, result) => {
      if (error) {
        // A room that is not there yet (a direct one before its first message) is subscribed by the server once it is. If
        // the server was faster (105) its push has said where the room stands, and whatever is missing is fetched.
        if (error.temporary) setTimeout(() => this.#subscribeAgain(channel), SUBSCRIBE_PAUSE * (0.5 + Math.random()));
        return;
      }
      this.#own.add(channel);
      this.#feed.subscribed(channel, result);
    });
  }

  /** A busy server could not give a room; without a connection, the next one begins with it. @param {string} channel */
  #subscribeAgain(channel) {
    if (this.state.name === 'connected' && !this.#feed.isSubscribed(channel)) this.#subscribe(channel);
  }

  /** @param {{ room: string, data: any, info?: object }} signal */
  #signalled({ room, data, info }) {
    // What somebody published says who; a mark is the server's.
    if (data?.type === 'archived' && !info) this.#marked(room, data);
    else if (data?.type === 'presence') this.emit('presence', { room, users: data.users });
    else if (data?.type === 'read') this.emit('read', { room: data.room, seq: data.seq, unread: data.unread });
    else if (data?.type === 'activity') this.emit('activity', { room: data.room, seq: data.seq });
  }

  /** @param {string} room @param {{ seq: unknown, epoch: unknown }} mark */
  #marked(room, { seq, epoch }) {
    if (!Number.isSafeInteger(seq) || typeof epoch !== 'string' || epoch === '') return;
    this.outbox.marked(room, { epoch, seq: Number(seq) });
    this.emit('archived', { room, seq: Number(seq) });
  }

  /** @param {RoomEvent} event @param {string} epoch */
  #confirm({ type, user, id, seq }, epoch) {
    if (type === 'message' && user === this.user && id) this.outbox.confirm(id, { epoch, seq });
  }

  /** One's own message should have come back by now. @param {string} room @param {number} seq */
  #echoed(room, seq) {
    if (!this.#feed.isSubscribed(room)) this.follow(room);
    this.#feed.expect(room, seq);
    this.#arrived(room);
  }

  /** What lies behind our position has come, even where its event was passed over. @param {string} room */
  #arrived(room) {
    const position = this.#feed.position(room);
    if (position) this.outbox.arrived(room, position);
  }

  /** @param {string} method @param {object} data */
  async #call(method, data) {
    const { data: result } = await this.#link.command('rpc', { method, data });
    return result;
  }

  /** @returns {Promise<void>} */
  #connected() {
    const { state } = this.#link;
    if (state.name === 'connected') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (/** @type {() => void} */ settle) => {
        clearTimeout(timer);
        stop();
        settle();
      };
      const timer = setTimeout(() => end(() => reject(Failure.offline())), CONNECTION_WAIT);
      const stop = this.#link.on('state', (state) => {
        if (state.name === 'connected') end(resolve);
        else if (state.name === 'closed') end(() => reject(state.failure));
        else if (state.name === 'idle') end(() => reject(Failure.offline()));
      });
    });
  }
}

function ownServer() {
  const { protocol, host } = globalThis.location;
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/connection/websocket`;
}
