/** Things for the tests to be made of. */

/** @param {number} seq @param {object} [more] */
export function event(seq, more = {}) {
  return { type: 'message', seq, time: 1000 * seq, id: `id-${seq}`, user: 'bob', body: { text: `message ${seq}` }, ...more };
}

/** @param {number[]} seqs @param {number} [top] */
export function pageOf(seqs, top = seqs.at(-1) ?? 0) {
  return {
    events: seqs.map((seq) => event(seq)),
    seq: top,
    epoch: '1',
    has_before: (seqs[0] ?? 1) > 1,
    has_after: (seqs.at(-1) ?? top) < top,
  };
}

/** The part of a room's history that a server would answer with. */
export function historyPage(top, { before, after, around, limit = 50 }) {
  let first = top - limit + 1;
  if (before !== undefined) first = before - limit;
  if (after !== undefined) first = after + 1;
  if (around !== undefined) first = around - Math.floor(limit / 2);
  const last = Math.min(top, before === undefined ? Math.max(first, 1) + limit - 1 : before - 1);
  const seqs = [];
  for (let seq = Math.max(first, 1); seq <= last; seq += 1) seqs.push(seq);
  return pageOf(seqs, top);
}

/** A repeatable source of numbers from 0 to 1. @param {number} seed */
export function random(seed) {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @template Item @param {Item[]} items @param {() => number} roll @returns {Item[]} */
export function shuffled(items, roll) {
  return items.map((item) => ({ item, at: roll() })).sort((one, other) => one.at - other.at).map(({ item }) => item);
}

/** Lets everything that is ready to run do so, without waiting for time. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** Stands for a browser's WebSocket, played by the test. */
export class FakeSocket {
  /** @type {FakeSocket[]} */
  static all = [];
  static get last() {
    return FakeSocket.all.at(-1);
  }

  readyState = 0;
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(frame) {
    this.sent.push(JSON.parse(frame));
  }

  close() {
    this.readyState = 3;
  }

  /** The commands of this kind, the latest last. */
  commands(method) {
    return this.sent.filter((command) => command[method]);
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  /** The server says these messages in one frame. */
  say(...messages) {
    this.onmessage?.({ data: messages.map((message) => JSON.stringify(message)).join('\n') });
  }

  /** The server answers the connect command. */
  welcome(result = {}) {
    this.open();
    this.say({ id: this.sent[0].id, connect: { client: 'c', version: '1', ping: 25, pong: true, ...result } });
  }

  /** The server answers the latest rpc of this name. */
  answer(method, data) {
    const command = this.commands('rpc').filter(({ rpc }) => rpc.method === method).at(-1);
    this.say({ id: command.id, rpc: { data } });
  }

  /** The connection ends. */
  end(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}
