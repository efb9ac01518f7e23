/** A server that is played by the test, for what a real one does only when something terrible happens to it. */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const ASSETS = fileURLToPath(new URL('../../crates/web/assets', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.svg': 'image/svg+xml' };
const ME = { id: 'ann', name: 'Ann', online: true, last_seen: null };
export const ROOM = 'room:tea';

/** One room, its log, and how far the archive has it. */
export class Played {
  epoch = 1;
  /** @type {{ id: string, body: any, epoch: number }[]} */
  log = [];
  archived = 0;
  /** What was sent, every time. @type {string[]} */
  sent = [];
  /** Whether messages fall on deaf ears. */
  deaf = false;
  /** @type {Set<import('playwright-core').WebSocketRoute>} */
  #sockets = new Set();

  async start() {
    this.#server = createServer(async ({ url }, response) => {
      const path = url === '/' ? '/index.html' : new URL(url, 'http://here').pathname;
      const body = await readFile(ASSETS + path).catch(() => null);
      response.writeHead(body ? 200 : 404, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(body ?? '');
    });
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  #server;

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.close();
  }

  /** A browser of somebody who has logged in. @param {import('playwright-core').Browser} browser */
  async visit(browser) {
    const context = await browser.newContext();
    await context.routeWebSocket(/connection\/websocket/, (socket) => this.#open(socket));
    const session = JSON.stringify({ user: ME, token: 't' });
    await context.addInitScript((text) => {
      if (!sessionStorage.getItem('visited')) localStorage.setItem('chinwag.session', text);
      sessionStorage.setItem('visited', 'yes');
    }, session);
    const page = await context.newPage();
    await page.goto(`${this.url}/#/room/${encodeURIComponent(ROOM)}`);
    await page.locator('#room-name', { hasText: 'Tea' }).waitFor();
    return page;
  }

  /** The archive has everything, and says so. */
  archive() {
    this.archived = this.log.length;
    this.#push({ pub: { data: { type: 'archived', seq: this.archived, epoch: String(this.epoch) } } });
  }

  /** Redis comes back without what was not archived, and the gateway says so. */
  rewind() {
    this.epoch += 1;
    this.log.length = this.archived;
    this.cut();
  }

  /** All connections are lost. */
  cut() {
    for (const socket of this.#sockets) void socket.close({ code: 3010, reason: 'insufficient state' });
    this.#sockets.clear();
  }

  /** @param {object} what */
  #push(what) {
    for (const socket of this.#sockets) socket.send(JSON.stringify({ push: { channel: ROOM, ...what } }));
  }

  /** @param {import('playwright-core').WebSocketRoute} socket */
  #open(socket) {
    socket.onMessage((frame) => {
      for (const line of String(frame).split('\n').filter(Boolean)) {
        const { id, connect, rpc, subscribe, unsubscribe } = JSON.parse(line);
        const reply = (/** @type {object} */ result) => socket.send(JSON.stringify({ id, ...result }));
        if (connect) {
          this.#sockets.add(socket);
          const known = connect.subs?.[ROOM];
          reply({ connect: { client: 'c', ping: 25, pong: true, subs: { [ROOM]: this.#subscribed(known) } } });
        } else if (rpc) {
          if (this.deaf && rpc.method === 'message.send') continue;
          reply({ rpc: { data: this.#call(rpc.method, rpc.data) } });
        } else if (subscribe) reply({ error: { code: 105, message: 'already subscribed' } });
        else if (unsubscribe) reply({ unsubscribe: {} });
      }
    });
  }

  /** @param {{ epoch: string, offset: number } | undefined} known */
  #subscribed(known) {
    const recovered = known !== undefined && known.epoch === String(this.epoch);
    const missed = recovered ? this.#events().slice(known.offset) : [];
    const publications = missed.map((event) => ({ data: event, offset: event.seq }));
    return { recoverable: true, positioned: true, epoch: String(this.epoch), offset: this.log.length, recovered, publications };
  }

  #events() {
    return this.log.map(({ id, body }, at) => ({ type: 'message', seq: at + 1, time: Date.now(), user: ME.id, id, body }));
  }

  #room() {
    return {
      id: ROOM, kind: 'group', name: 'Tea', topic: '', seq: this.log.length, epoch: String(this.epoch), messages: this.log.length,
      members: 1, role: 'owner', read_seq: this.log.length, unread: 0, last: null,
    };
  }

  /** @param {string} method @param {any} data */
  #call(method, data) {
    if (method === 'room.list') return { rooms: [this.#room()] };
    if (method === 'room.get') return { room: this.#room() };
    if (method === 'message.page') {
      return { events: this.#events(), seq: this.log.length, epoch: String(this.epoch), has_before: false, has_after: false };
    }
    if (method !== 'message.send') return { users: [], members: [], seq: 0, unread: 0 };
    this.sent.push(data.body.text);
    let at = this.log.findIndex(({ id }) => id === data.id);
    const duplicate = at >= 0;
    if (!duplicate) {
      at = this.log.push({ id: data.id, body: data.body, epoch: this.epoch }) - 1;
      this.#push({ pub: { data: this.#events()[at], offset: at + 1 } });
    }
    const durability = at < this.archived ? 'archived' : 'accepted';
    return { id: data.id, seq: at + 1, epoch: String(this.log[at].epoch), time: Date.now(), durability, duplicate };
  }
}
