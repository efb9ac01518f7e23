import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { Failure } from './failure.js';
import { PONG, decode, encode, failureOf, isTerminal } from './wire.js';

/**
 * @typedef {{ name: 'idle' } | { name: 'connecting' } | { name: 'connected' } | { name: 'waiting', until: number }
 *   | { name: 'closed', failure: Failure }} State
 *   `waiting`: the next attempt is due at `until`. `closed`: the server wants no further attempt, and says why.
 *
 * @typedef {object} Pending A command without its answer yet.
 * @property {(error: Failure | null, result: any) => void} settle
 * @property {ReturnType<typeof setTimeout>} timer
 */

const CONNECT_WAIT = 10_000;
const COMMAND_WAIT = 10_000;
/** Beyond the announced ping interval: how late a ping may be before the connection counts as dead. */
const PING_GRACE = 10_000;
/** Longer waits overflow the browser's timers and would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * One connection that is always being kept: commands and their answers, pings, and coming back after a loss.
 * It knows nothing of rooms. Who listens to `welcome` and `push` is called in the order of the frames.
 *
 * @extends {Emitter<{ state: State, welcome: any, push: import('./types.js').Push }>}
 */
export class Link extends Emitter {
  /** @type {State} */
  state = { name: 'idle' };
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #lastCommand = 0;
  /** Rises with every attempt and every loss, so that what an older attempt still awaits finds itself outdated. */
  #turn = 0;
  #heard = 0;
  /** Milliseconds the server may be silent; 0 when it does not ping. */
  #silence = 0;
  #pongs = false;
  /** The one wait at a time: for the connection, the next attempt, or (connected) the next sign of life. */
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #refresh = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);

  /**
   * @param {object} settings
   * @param {string} settings.url
   * @param {() => Promise<{ token: string }>} settings.hello makes the connect request, anew for every attempt
   * @param {typeof globalThis.WebSocket} [settings.WebSocket]
   * @param {Backoff} [settings.backoff]
   */
  constructor({ url, hello, WebSocket = globalThis.WebSocket, backoff = new Backoff() }) {
    super();
    this.#url = url;
    this.#hello = hello;
    this.#WebSocket = WebSocket;
    this.#backoff = backoff;
  }

  #url;
  #hello;
  #WebSocket;
  #backoff;

  /** Connects now: at first, instead of waiting any longer, or again after the server closed for good. */
  connect() {
    if (this.state.name === 'connecting' || this.state.name === 'connected') return;
    void this.#open();
  }

  /** Ends the connection and all attempts. */
  disconnect() {
    this.#drop();
    this.#become({ name: 'idle' });
  }

  /**
   * The world may have changed (network back, page visible again): do not sit out a wait, and do not trust a connection
   * that has been silent for too long while timers were asleep.
   */
  wake() {
    if (this.state.name === 'waiting') void this.#open();
    else if (this.state.name === 'connected') this.#listen();
  }

  /** The network is said to be gone: what was connected is not worth waiting for. */
  suspect() {
    if (this.state.name === 'connected' || this.state.name === 'connecting') this.#lost();
  }

  /**
   * @param {string} method
   * @param {object} body
   * @returns {Promise<any>} the answer; rejects with a Failure
   */
  command(method, body) {
    return new Promise((resolve, reject) => {
      if (this.state.name !== 'connected') return reject(Failure.offline());
      this.request(method, body, (error, result) => (error ? reject(error) : resolve(result)));
    });
  }

  /**
   * Like `command`, but the answer is handled at its place among the frame's other messages, before any that follow it.
   *
   * @param {string} method
   * @param {object} body
   * @param {(error: Failure | null, result: any) => void} settle
   */
  request(method, body, settle) {
    if (this.#socket?.readyState !== 1) return settle(Failure.offline(), null);
    this.#lastCommand += 1;
    const id = this.#lastCommand;
    const timer = setTimeout(() => this.#settle(id, Failure.timeout(), null), COMMAND_WAIT);
    this.#pending.set(id, { settle, timer });
    this.#socket.send(encode(id, method, body));
  }

  async #open() {
    this.#drop();
    const turn = this.#turn;
    this.#become({ name: 'connecting' });
    const request = await this.#hello().catch((error) => Failure.from(error));
    if (turn !== this.#turn) return;
    if (request instanceof Failure) return this.#refused(request);
    const socket = new this.#WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost(), CONNECT_WAIT);
    socket.onopen = () => this.request('connect', request, (error, result) => this.#greeted(error, result));
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
  }

  /** @param {Failure | null} error @param {any} result */
  #greeted(error, result) {
    if (error) return this.#refused(error);
    this.#backoff.reset();
    this.#pongs = result.pong === true;
    this.#silence = result.ping > 0 ? result.ping * 1000 + PING_GRACE : 0;
    this.#become({ name: 'connected' });
    this.#listen();
    this.#keepFresh(result);
    this.emit('welcome', result);
  }

  /** @param {string} frame */
  #receive(frame) {
    this.#heard = Date.now();
    /** @type {import('./types.js').Reply[]} */
    let messages;
    try {
      messages = decode(frame);
    } catch {
      return this.#lost();
    }
    const turn = this.#turn;
    for (const message of messages) {
      // A message may end the connection; what follows it in the frame is then for nobody.
      if (turn !== this.#turn) return;
      if (message.id) this.#answered(message.id, message);
      else if (message.push) this.#pushed(message.push);
      else if (this.#pongs) this.#socket?.send(PONG);
    }
  }

  /** @param {number} id @param {import('./types.js').Reply} reply */
  #answered(id, reply) {
    if (reply.error) return this.#settle(id, failureOf(reply.error), null);
    // The result stands under the method's name, which is the only other key.
    const { id: _, ...result } = reply;
    this.#settle(id, null, Object.values(result)[0] ?? {});
  }

  /** @param {import('./types.js').Push} push */
  #pushed(push) {
    if (push.disconnect) this.#ended(push.disconnect.code, push.disconnect.reason);
    else this.emit('push', push);
  }

  /** @param {number} id @param {Failure | null} error @param {any} result */
  #settle(id, error, result) {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.settle(error, result);
  }

  /** Checks that something was heard lately, and comes back when the patience is over. */
  #listen() {
    clearTimeout(this.#timer);
    if (this.#silence === 0) return;
    const left = this.#heard + this.#silence - Date.now();
    if (left <= 0) return this.#lost();
    this.#timer = setTimeout(() => this.#listen(), left);
  }

  /**
   * Brings a new token before the old one expires.
   *
   * @param {{ expires?: boolean, ttl?: number }} result
   */
  #keepFresh({ expires, ttl }) {
    clearTimeout(this.#refresh);
    if (!expires || !ttl) return;
    const wait = Math.max(1000, ttl * 900);
    if (wait > LONGEST_TIMER) return;
    this.#refresh = setTimeout(async () => {
      const hello = await this.#hello().catch(() => null);
      if (!hello || this.state.name !== 'connected') return;
      this.command('refresh', { token: hello.token }).then(
        (result) => this.#keepFresh(result),
        // Whether the old token may be used any further is the server's decision; it closes with the reason.
        () => {},
      );
    }, wait);
  }

  /** @param {Failure} failure the connect request's, or the token provider's */
  #refused(failure) {
    this.#drop();
    if (failure.temporary) this.#wait();
    else this.#become({ name: 'closed', failure });
  }

  /** @param {number} code @param {string} reason */
  #ended(code, reason) {
    if (!isTerminal(code)) return this.#lost();
    this.#drop();
    this.#become({ name: 'closed', failure: new Failure({ code, message: reason }) });
  }

  #lost() {
    this.#drop();
    this.#wait();
  }

  #wait() {
    const delay = this.#backoff.next();
    this.#timer = setTimeout(() => void this.#open(), delay);
    this.#become({ name: 'waiting', until: Date.now() + delay });
  }

  /** Leaves the present socket, if any; the commands on it fail as of unknown fate. */
  #drop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    clearTimeout(this.#refresh);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const id of [...this.#pending.keys()]) this.#settle(id, Failure.offline(), null);
  }

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.emit('state', state);
  }
}
