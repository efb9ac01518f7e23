import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from '../assets/client/backoff.js';
import { Chinwag } from '../assets/chinwag.js';
import { FakeSocket, event, historyPage, settled } from './make.mjs';

/** A connected client on a paused clock, and what it told. */
async function chatting(context, subs = { r: { epoch: '1', offset: 2 } }, data = undefined) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  FakeSocket.all = [];
  const backoff = new Backoff({ random: () => 1 });
  const chat = new Chinwag({ user: 'ann', token: async () => 't', url: 'ws://here', WebSocket: FakeSocket, backoff });
  const seen = [];
  chat.on('event', ({ room, event: { seq } }) => seen.push(`${room}:${seq}`));
  chat.connect();
  await settled();
  FakeSocket.last.welcome({ subs, data });
  return { chat, seen, tick: (time) => context.mock.timers.tick(time) };
}

const push = (channel, seq, more) => ({ push: { channel, pub: { data: event(seq, more), offset: seq } } });

test('what the server says of itself decides what it is told', async (context) => {
  const { chat } = await chatting(context, {}, { after: true, marks: true });
  const first = chat.send('r', 'one');
  chat.send('r', 'two');
  FakeSocket.last.answer('message.send', { id: first.id, seq: 3, epoch: '1', durability: 'accepted' });
  await settled();
  assert.equal(FakeSocket.last.commands('rpc').at(-1).rpc.data.after, first.id);
});

/** The connection is lost and comes back. */
async function reconnect(tick, subs) {
  FakeSocket.last.end();
  tick(500);
  await settled();
  const socket = FakeSocket.last;
  socket.welcome({ subs });
  return socket;
}

test('a reconnect recovers all rooms in one frame, and shows everything once', async (context) => {
  const { seen, tick } = await chatting(context, { r: { epoch: '1', offset: 2 }, s: { epoch: '9', offset: 0 }, '#ann': {} });
  FakeSocket.last.say(push('r', 3), push('s', 1));
  const pub = (seq) => ({ data: event(seq), offset: seq });
  const socket = await reconnect(tick, {
    r: { epoch: '1', offset: 5, recovered: true, publications: [pub(4), pub(5)] },
    s: { epoch: '9', offset: 1, recovered: true },
  });
  assert.deepEqual(socket.sent[0].connect.subs, {
    r: { recover: true, epoch: '1', offset: 3 },
    s: { recover: true, epoch: '9', offset: 1 },
  });
  socket.say(push('r', 5), push('r', 6));
  assert.deepEqual(seen, ['r:3', 's:1', 'r:4', 'r:5', 'r:6']);
});

test('a message is sent, acknowledged, and over when its event comes', async (context) => {
  const { chat } = await chatting(context);
  const { id } = chat.send('r', { text: 'hello' });
  const { rpc } = FakeSocket.last.commands('rpc')[0];
  assert.deepEqual(rpc, { method: 'message.send', data: { room: 'r', id, body: { text: 'hello' } } });
  FakeSocket.last.answer('message.send', { id, seq: 3, epoch: '1', durability: 'accepted' });
  await settled();
  assert.equal(chat.outbox.in('r')[0].state, 'sent');
  FakeSocket.last.say(push('r', 3, { id, user: 'ann' }));
  assert.equal(chat.outbox.in('r').length, 0);
});

test('somebody else under the same id is not our message', async (context) => {
  const { chat } = await chatting(context);
  const { id } = chat.send('r', 'mine');
  FakeSocket.last.say(push('r', 3, { id, user: 'bob' }));
  assert.equal(chat.outbox.in('r').length, 1);
});

test('a message whose answer was lost is sent again, and its recovered event ends it', async (context) => {
  const { chat, tick } = await chatting(context);
  const { id } = chat.send('r', 'once');
  const mine = { data: event(3, { id, user: 'ann' }), offset: 3 };
  const socket = await reconnect(tick, { r: { epoch: '1', offset: 3, recovered: true, publications: [mine] } });
  await settled();
  assert.equal(chat.outbox.in('r').length, 0);
  assert.equal(socket.commands('rpc').length, 0);
});

test('an acknowledged message that does not come back is fetched', async (context) => {
  const { chat, seen, tick } = await chatting(context);
  const { id } = chat.send('r', 'hello');
  FakeSocket.last.answer('message.send', { id, seq: 4, epoch: '1', durability: 'accepted' });
  await settled();
  tick(2000);
  await settled();
  const page = historyPage(4, { after: 2 });
  page.events[1] = event(4, { id, user: 'ann' });
  FakeSocket.last.answer('message.page', page);
  await settled();
  assert.deepEqual(seen, ['r:3', 'r:4']);
  assert.equal(chat.outbox.in('r').length, 0);
});

test('rooms that the server does not subscribe by itself are followed, again after a reconnect', async (context) => {
  const { chat, seen, tick } = await chatting(context, {});
  chat.follow('far');
  const [command] = FakeSocket.last.commands('subscribe');
  FakeSocket.last.say({ id: command.id, subscribe: { epoch: '1', offset: 7 } }, push('far', 8));
  const socket = await reconnect(tick, {});
  const [again] = socket.commands('subscribe');
  assert.deepEqual(again.subscribe, { channel: 'far', recoverable: true, positioned: true, recover: true, epoch: '1', offset: 8 });
  chat.unfollow('far');
  assert.deepEqual(seen, ['far:8']);
});

test('an answer to an earlier asking does not end a room that the server has begun meanwhile', async (context) => {
  const { chat, seen } = await chatting(context);
  FakeSocket.last.say({ push: { channel: 'r', unsubscribe: { code: 2500, reason: 'insufficient state' } } });
  const [asked] = FakeSocket.last.commands('subscribe');
  FakeSocket.last.say(
    { push: { channel: 'r', subscribe: { recoverable: true, positioned: true, epoch: '1', offset: 4 } } },
    { id: asked.id, error: { code: 105, message: 'already subscribed' } },
    push('r', 5),
  );
  await settled();
  FakeSocket.last.answer('message.page', historyPage(5, { after: 2 }));
  await settled();
  assert.deepEqual(seen, ['r:3', 'r:4', 'r:5']);
  chat.follow('r');
  assert.equal(FakeSocket.last.commands('subscribe').length, 1, 'it is there');
});

test('a room that cannot be had for the moment is asked for again', async (context) => {
  const { seen, tick } = await chatting(context);
  FakeSocket.last.say({ push: { channel: 'r', unsubscribe: { code: 2500, reason: 'insufficient state' } } });
  const asked = () => FakeSocket.last.commands('subscribe');
  FakeSocket.last.say({ id: asked()[0].id, error: { code: 100, message: 'try again', temporary: true } });
  tick(1500);
  assert.equal(asked().length, 2);
  const missed = { data: event(3), offset: 3 };
  FakeSocket.last.say({ id: asked()[1].id, subscribe: { epoch: '1', offset: 3, recovered: true, publications: [missed] } });
  assert.deepEqual(seen, ['r:3']);
  tick(5000);
  assert.equal(asked().length, 2);
});

test('a direct room that begins with our message shows that message', async (context) => {
  const { chat, seen } = await chatting(context, {});
  const room = 'dm:ann:bob';
  chat.follow(room);
  const [refused] = FakeSocket.last.commands('subscribe');
  FakeSocket.last.say({ id: refused.id, error: { code: 404, message: 'no such room' } });
  const page = chat.page({ room });
  await settled();
  FakeSocket.last.answer('message.page', { ...historyPage(0, {}), epoch: '1' });
  await page;
  const { id } = chat.send(room, 'hello');
  FakeSocket.last.answer('message.send', { id, seq: 1, epoch: '1', durability: 'accepted' });
  await settled();
  FakeSocket.last.say({ push: { channel: room, subscribe: { epoch: '1', offset: 1 } } });
  await settled();
  const mine = { ...historyPage(1, {}), events: [event(1, { id, user: 'ann' })] };
  FakeSocket.last.answer('message.page', mine);
  await settled();
  assert.deepEqual(seen, [`${room}:1`]);
  assert.equal(chat.outbox.in(room).length, 0);
});

test('a new room, a lost one, and one to be subscribed anew', async (context) => {
  const { chat } = await chatting(context);
  const told = [];
  chat.on('joined', ({ room }) => told.push(`joined ${room}`));
  chat.on('parted', ({ room }) => told.push(`parted ${room}`));
  FakeSocket.last.say(
    { push: { channel: 'new', subscribe: { epoch: '1', offset: 0 } } },
    push('new', 1),
    { push: { channel: 'r', unsubscribe: { code: 2500, reason: 'insufficient state' } } },
    { push: { channel: 'new', unsubscribe: { code: 2000, reason: 'removed' } } },
  );
  assert.deepEqual(told, ['joined new', 'parted new']);
  assert.deepEqual(FakeSocket.last.commands('subscribe').map(({ subscribe }) => subscribe.channel), ['r']);
});

test('a call waits for the connection, but not for ever', async (context) => {
  const { chat, tick } = await chatting(context);
  FakeSocket.last.end();
  const early = chat.rpc('room.list');
  tick(500);
  await settled();
  FakeSocket.last.welcome({});
  await settled();
  FakeSocket.last.answer('room.list', { rooms: [] });
  assert.deepEqual(await early, { rooms: [] });
  FakeSocket.last.end();
  const late = chat.rpc('room.list');
  tick(500);
  await settled();
  tick(9500);
  await assert.rejects(late, { code: 1 });
});
