import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from '../assets/client/backoff.js';
import { Failure } from '../assets/client/failure.js';
import { Link } from '../assets/client/link.js';
import { FakeSocket, settled } from './make.mjs';

/** A link on a paused clock, and the names of its states so far. */
async function linked(context, { hello = async () => ({ token: 't' }) } = {}) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  FakeSocket.all = [];
  const link = new Link({ url: 'ws://here', hello, WebSocket: FakeSocket, backoff: new Backoff({ random: () => 1 }) });
  const states = [];
  link.on('state', ({ name }) => states.push(name));
  link.connect();
  await settled();
  return { link, states, tick: (time) => context.mock.timers.tick(time) };
}

test('connects first, and hands pushes on in the order of the frame', async (context) => {
  const { link, states } = await linked(context);
  const order = [];
  link.on('welcome', () => order.push('welcome'));
  link.on('push', ({ channel }) => order.push(channel));
  const socket = FakeSocket.last;
  socket.open();
  assert.deepEqual(socket.sent, [{ id: 1, connect: { token: 't' } }]);
  socket.say({ id: 1, connect: { ping: 25 } }, { push: { channel: 'a', pub: {} } }, { push: { channel: 'b', pub: {} } });
  assert.deepEqual(order, ['welcome', 'a', 'b']);
  assert.deepEqual(states, ['connecting', 'connected']);
});

test('answers go to their commands, errors with their codes', async (context) => {
  const { link } = await linked(context);
  const socket = FakeSocket.last;
  socket.welcome();
  const good = link.command('rpc', { method: 'x' });
  const bad = link.command('rpc', { method: 'y' });
  socket.say({ id: 3, error: { code: 103, message: 'no' } }, { id: 2, rpc: { data: 7 } });
  assert.deepEqual(await good, { data: 7 });
  await assert.rejects(bad, { code: 103, temporary: false });
});

test('a command without an answer ends in time, and on a lost connection at once', async (context) => {
  const { link, tick } = await linked(context);
  FakeSocket.last.welcome();
  const slow = link.command('rpc', {});
  tick(10_000);
  await assert.rejects(slow, { code: 2, temporary: true });
  const lost = link.command('rpc', {});
  FakeSocket.last.end();
  await assert.rejects(lost, { code: 1, temporary: true });
  await assert.rejects(link.command('rpc', {}), { code: 1 });
});

test('pings are answered, and silence is a loss', async (context) => {
  const { states, tick } = await linked(context);
  const socket = FakeSocket.last;
  socket.welcome({ ping: 25 });
  tick(30_000);
  socket.say({});
  assert.deepEqual(socket.sent.at(-1), {});
  tick(34_999);
  assert.equal(states.at(-1), 'connected');
  tick(1);
  assert.equal(states.at(-1), 'waiting');
  assert.equal(socket.readyState, 3);
});

test('comes back after a loss, later each time, and at once when told', async (context) => {
  const { link, tick } = await linked(context);
  FakeSocket.last.end();
  assert.equal(link.state.until, Date.now() + 500);
  tick(500);
  await settled();
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.end();
  assert.equal(link.state.until, Date.now() + 1000);
  link.wake();
  await settled();
  assert.equal(FakeSocket.all.length, 3);
  FakeSocket.last.welcome();
  FakeSocket.last.end(3001, 'shutdown');
  assert.equal(link.state.until, Date.now() + 500);
});

test('a server that never answers is left', async (context) => {
  const { states, tick } = await linked(context);
  FakeSocket.last.open();
  tick(10_000);
  assert.equal(states.at(-1), 'waiting');
});

test('stays away when the server says so, in the close code, a push, or the answer', async (context) => {
  for (const refuse of [
    (socket) => socket.end(3500, 'invalid token'),
    (socket) => socket.say({ push: { disconnect: { code: 3500, reason: 'invalid token' } } }),
  ]) {
    const { link, tick } = await linked(context);
    FakeSocket.last.welcome();
    refuse(FakeSocket.last);
    assert.equal(link.state.name, 'closed');
    assert.equal(link.state.failure.unauthorized, true);
    tick(100_000);
    assert.equal(FakeSocket.all.length, 1);
    context.mock.timers.reset();
  }
  const { link } = await linked(context);
  FakeSocket.last.open();
  FakeSocket.last.say({ id: 1, error: { code: 109, message: 'token expired' } });
  assert.equal(link.state.name, 'closed');
});

test('a temporary refusal is no refusal', async (context) => {
  const { link } = await linked(context);
  FakeSocket.last.open();
  FakeSocket.last.say({ id: 1, error: { code: 111, message: 'too many requests' } });
  assert.equal(link.state.name, 'waiting');
});

test('without a token there is no attempt; one that cannot be had for now is asked for again', async (context) => {
  const gone = await linked(context, { hello: async () => Promise.reject(new Failure({ code: 101, message: 'no' })) });
  assert.equal(gone.link.state.name, 'closed');
  assert.equal(FakeSocket.all.length, 0);
  context.mock.timers.reset();
  const later = await linked(context, { hello: async () => Promise.reject(Failure.offline()) });
  assert.equal(later.link.state.name, 'waiting');
});

test('brings a new token before the old one expires', async (context) => {
  let count = 0;
  const { tick } = await linked(context, { hello: async () => ({ token: `t${(count += 1)}` }) });
  const socket = FakeSocket.last;
  socket.welcome({ expires: true, ttl: 100, ping: 0 });
  tick(90_000);
  await settled();
  assert.deepEqual(socket.commands('refresh').map(({ refresh }) => refresh.token), ['t2']);
});

test('nonsense from the server is a loss, and what an old socket says is not heard', async (context) => {
  const { link, states } = await linked(context);
  const old = FakeSocket.last;
  old.welcome();
  const handler = old.onmessage;
  old.onmessage({ data: 'not json' });
  assert.equal(states.at(-1), 'waiting');
  assert.equal(old.onmessage, null);
  link.disconnect();
  assert.equal(link.state.name, 'idle');
  assert.ok(handler);
});
