// What the tests share: clients of the official SDK in the encoding under test, tokens, and a
// proxy whose connections can be cut.

import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import WebSocket from 'ws';

function setting(name, otherwise) {
  const value = process.env[name] ?? otherwise;
  if (value === undefined) throw new Error(`${name} is not set: tests/e2e/sdk.rs starts these tests`);
  return value;
}

/** `json` or `protobuf`. */
export const encoding = setting('CHINWAG_ENCODING', 'json');
/** The HTTP address of the first gateway. */
export const url = setting('CHINWAG_URL');
/** The WebSocket address of the first gateway. */
export const socket = setting('CHINWAG_SOCKET');
/** That of the second one. */
export const otherSocket = setting('CHINWAG_OTHER_SOCKET', socket);
const secret = setting('CHINWAG_HMAC_SECRET');
const apiKey = setting('CHINWAG_API_KEY');

const { Centrifuge } = await import(
  encoding === 'protobuf' ? 'centrifuge/build/protobuf' : 'centrifuge'
);

/** How long anything may take to arrive, in milliseconds. */
const PATIENCE = 15_000;

/** A value as this encoding's SDK wants it: itself, or the bytes of its JSON. */
export function packed(value) {
  return encoding === 'protobuf' ? new TextEncoder().encode(JSON.stringify(value)) : value;
}

/** What the SDK gave, as a value again. */
export function unpacked(data) {
  return encoding === 'protobuf' ? JSON.parse(new TextDecoder().decode(data)) : data;
}

/** A name that no other test has. */
export function unique(name) {
  return `${name}-${randomBytes(5).toString('hex')}`;
}

/** Seconds since 1970, `offset` from now. */
export function seconds(offset) {
  return Math.floor(Date.now() / 1000) + offset;
}

/** A token signed with the configured secret, or with another. */
export function jwt(claims, key = secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

/** Registers somebody; their own token. */
export async function register(name) {
  const answer = await post('/v1/users', { name, password: 'correct horse' }, {});
  return answer.token;
}

/** Calls the server API. */
export async function api(method, argument) {
  const answer = await post(`/api/${method}`, argument, { 'X-API-Key': apiKey });
  if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
  return answer.result;
}

async function post(path, body, headers) {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** What an emitter says, kept until a test asks for it. */
export class Heard {
  #kept = new Map();
  #waiting = new Map();

  constructor(emitter, events) {
    for (const event of events) {
      this.#kept.set(event, []);
      emitter.on(event, (context) => this.#take(event, context));
    }
  }

  #take(event, context) {
    this.#kept.get(event).push(context);
    this.#waiting.get(event)?.();
  }

  /** The next event of a name that `fits`, in the order in which they came. */
  async next(event, fits = () => true) {
    const kept = this.#kept.get(event);
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const at = kept.findIndex(fits);
      if (at >= 0) return kept.splice(at, 1)[0];
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${event} in time; kept: ${JSON.stringify(kept)}`);
      let timer;
      await new Promise((resolve) => {
        this.#waiting.set(event, resolve);
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  /** The next `count` events of a name. */
  async many(event, count) {
    const all = [];
    while (all.length < count) all.push(await this.next(event));
    return all;
  }

  /** What came and was not asked for. */
  rest(event) {
    return this.#kept.get(event);
  }
}

const CLIENT_EVENTS = [
  'connecting', 'connected', 'disconnected', 'error', 'message',
  'subscribed', 'subscribing', 'unsubscribed', 'publication', 'join', 'leave',
];
const SUBSCRIPTION_EVENTS = [
  'subscribing', 'subscribed', 'unsubscribed', 'publication', 'join', 'leave', 'error',
];

/** A client of the SDK that ends with the test, and what it says. */
export function client(test, options = {}, address = socket) {
  const made = new Centrifuge(address, { websocket: WebSocket, minReconnectDelay: 50, ...options });
  const heard = new Heard(made, CLIENT_EVENTS);
  test.after(() => made.disconnect());
  return { client: made, heard };
}

/** Somebody of the host's users, connected. */
export async function user(test, name = 'user', options = {}, address = socket) {
  const id = unique(name);
  const made = client(test, { token: jwt({ sub: id }), ...options }, address);
  made.client.connect();
  const { client: connection } = await made.heard.next('connected');
  return { id, connection, ...made };
}

/** A subscription to a channel, and what it says. */
export function subscribe(of, channel, options = {}) {
  const made = of.client.newSubscription(channel, { minResubscribeDelay: 50, ...options });
  const heard = new Heard(made, SUBSCRIPTION_EVENTS);
  made.subscribe();
  return { subscription: made, heard };
}

/** The same, once it is there. */
export async function subscribed(of, channel, options = {}) {
  const made = subscribe(of, channel, options);
  const context = await made.heard.next('subscribed');
  return { ...made, context };
}

/** Calls a chat verb. */
export async function rpc(of, method, argument = {}) {
  return unpacked((await of.client.rpc(method, packed(argument))).data);
}

/** The code with which something is refused. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  throw new Error('not refused');
}

/** Checks again until it holds. */
export async function eventually(check) {
  for (const deadline = Date.now() + PATIENCE; ; await wait(50)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** A TCP proxy before gateways, whose connections can be cut and held off. */
export class Proxy {
  #server;
  #connections = new Set();
  #open = true;
  /** The WebSocket address to which it leads. */
  target = socket;

  static async start(test) {
    const proxy = new Proxy();
    proxy.#server = createServer((near) => proxy.#join(near));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    test.after(() => {
      proxy.#server.close();
      proxy.cut();
    });
    return proxy;
  }

  get socket() {
    return `ws://127.0.0.1:${this.#server.address().port}/connection/websocket`;
  }

  #join(near) {
    if (!this.#open) {
      near.destroy();
      return;
    }
    const { hostname, port } = new URL(this.target);
    const far = connect(Number(port), hostname);
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#connections.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#connections.delete(one);
        other.destroy();
      });
    }
  }

  /** Breaks all connections and accepts none. */
  cut() {
    this.#open = false;
    for (const connection of this.#connections) connection.destroy();
  }

  /** Accepts again. */
  restore() {
    this.#open = true;
  }
}
