import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Failure } from '../assets/client/failure.js';
import { Feed } from '../assets/client/feed.js';
import { event, historyPage, settled } from './make.mjs';

/** A feed with a server whose room has `top` events, and what comes out of it. */
function feedOf(top) {
  const server = { top, asked: [], failing: null };
  const feed = new Feed({
    page: async (request) => {
      server.asked.push(request.after);
      if (server.failing) throw server.failing;
      return historyPage(server.top, request);
    },
  });
  const out = [];
  const resets = [];
  feed.on('event', ({ event: { seq }, live }) => out.push(live ? seq : -seq));
  feed.on('reset', ({ room }) => resets.push(room));
  return { feed, server, out, resets };
}

const publication = (seq) => ({ data: event(seq), offset: seq });

test('live events follow the position of the subscription', () => {
  const { feed, out } = feedOf(3);
  feed.subscribed('r', { epoch: '1', offset: 3 });
  feed.published('r', publication(4));
  feed.published('r', publication(4));
  feed.published('r', publication(5));
  assert.deepEqual(out, [4, 5]);
  assert.deepEqual(feed.positions(), { r: { recover: true, epoch: '1', offset: 5 } });
});

test('what recovery brings is told apart from what is live', () => {
  const { feed, out } = feedOf(7);
  feed.subscribed('r', { epoch: '1', offset: 4 });
  feed.disconnected();
  feed.subscribed('r', { epoch: '1', offset: 6, recovered: true, publications: [publication(5), publication(6)] });
  feed.published('r', publication(7));
  assert.deepEqual(out, [-5, -6, 7]);
});

test('without recovery, what is missing is fetched, and live events wait for it', async () => {
  const { feed, server, out } = feedOf(400);
  feed.subscribed('r', { epoch: '1', offset: 10 });
  feed.subscribed('r', { epoch: '1', offset: 400, recovered: false, was_recovering: true });
  feed.published('r', publication(401));
  assert.deepEqual(out, []);
  server.top = 401;
  await settled();
  assert.deepEqual(out.map(Math.abs), Array.from({ length: 391 }, (_, index) => index + 11));
  assert.deepEqual(server.asked, [10, 210]);
});

test('a hole in what is live is mended once, however much arrives behind it', async () => {
  const { feed, server, out } = feedOf(9);
  feed.subscribed('r', { epoch: '1', offset: 5 });
  for (const seq of [7, 8, 9]) feed.published('r', publication(seq));
  await settled();
  assert.deepEqual(out.map(Math.abs), [6, 7, 8, 9]);
  assert.equal(server.asked.length, 1);
});

test('too much missing, or a history that was rewound, begins anew', async () => {
  const { feed, out, resets } = feedOf(5000);
  feed.subscribed('much', { epoch: '1', offset: 1 });
  feed.subscribed('much', { epoch: '1', offset: 5000 });
  feed.subscribed('epoch', { epoch: '1', offset: 5 });
  feed.subscribed('epoch', { epoch: '2', offset: 7 });
  feed.subscribed('shorter', { epoch: '1', offset: 5 });
  feed.subscribed('shorter', { epoch: '1', offset: 4 });
  await settled();
  assert.deepEqual(resets.sort(), ['epoch', 'much', 'shorter']);
  assert.deepEqual(out, []);
  feed.published('epoch', publication(8));
  feed.published('much', publication(5001));
  assert.deepEqual(out, [8, 5001]);
});

test('a busy server is asked again, a refusal is not', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { feed, server, out } = feedOf(3);
  feed.subscribed('r', { epoch: '1', offset: 1 });
  server.failing = new Failure({ code: 100, message: 'busy', temporary: true });
  feed.expect('r', 3);
  await settled();
  server.failing = null;
  context.mock.timers.tick(1000);
  await settled();
  assert.deepEqual(out, [-2, -3]);
  server.failing = new Failure({ code: 404, message: 'no such room' });
  feed.expect('r', 9);
  await settled();
  context.mock.timers.tick(60_000);
  await settled();
  assert.equal(server.asked.length, 3);
});

test('what has no position is passed on as it is, and raw data becomes an event', () => {
  const { feed } = feedOf(0);
  const signals = [];
  const events = [];
  feed.on('signal', ({ room, data }) => signals.push([room, data.type]));
  feed.on('event', ({ event: said }) => events.push(said));
  feed.subscribed('#bob', {});
  feed.published('#bob', { data: { type: 'read', room: 'r', seq: 1, unread: 0 } });
  feed.subscribed('ticks', { epoch: '1', offset: 0 });
  feed.published('ticks', { data: { price: 7 }, offset: 1, info: { user: 'ann' } });
  assert.deepEqual(signals, [['#bob', 'read']]);
  assert.equal(events[0].type, 'publication');
  assert.deepEqual([events[0].seq, events[0].user, events[0].data], [1, 'ann', { price: 7 }]);
  assert.deepEqual(Object.keys(feed.positions()), ['ticks']);
});
