import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Rooms } from '../assets/page/rooms.js';
import { Unread } from '../assets/page/unread.js';
import { event, random, settled } from './make.mjs';

const room = (id, more = {}) => ({
  id, kind: 'group', name: id, topic: '', seq: 5, epoch: '1', messages: 5, members: 2, role: 'member',
  read_seq: 5, unread: 0, last: event(5), ...more,
});

/** Rooms with a server that lists these and knows `others`. */
async function roomsOf(listed, others = []) {
  const asked = [];
  const rpc = async (method, data) => {
    asked.push(method === 'room.get' ? data.room : method);
    if (method === 'room.list') return { rooms: listed };
    const found = [...others, ...listed].find(({ id }) => id === data.room);
    if (!found) throw new Error('not found');
    return { room: found };
  };
  const rooms = new Rooms({ chat: { rpc }, me: 'ann' });
  await rooms.load();
  return { rooms, asked };
}

test('what others write is unread, what one writes oneself is read', async () => {
  const { rooms } = await roomsOf([room('r')]);
  rooms.apply({ room: 'r', event: event(6) });
  rooms.apply({ room: 'r', event: event(6) });
  assert.equal(rooms.get('r').unread, 1);
  rooms.apply({ room: 'r', event: event(7, { user: 'ann' }) });
  assert.deepEqual([rooms.get('r').unread, rooms.get('r').read_seq], [0, 7]);
});

test('people who come and go are no messages', async () => {
  const { rooms } = await roomsOf([room('r')]);
  rooms.apply({ room: 'r', event: { type: 'member', seq: 6, time: 1, user: 'bob', member: 'cat', change: 'invited', role: 'member' } });
  rooms.apply({ room: 'r', event: { type: 'room', seq: 7, time: 1, user: 'bob', change: 'renamed', name: 'Tea' } });
  const { unread, members, name } = rooms.get('r');
  assert.deepEqual([unread, members, name], [0, 3, 'Tea']);
});

test('reading elsewhere counts here, and never backwards', async () => {
  const { rooms } = await roomsOf([room('r', { seq: 9, read_seq: 5, unread: 4 })]);
  rooms.read({ room: 'r', seq: 8, unread: 1 });
  rooms.read({ room: 'r', seq: 6, unread: 3 });
  assert.deepEqual([rooms.get('r').unread, rooms.unread], [1, 1]);
});

test('leaving, or being removed, takes the room away', async () => {
  const { rooms } = await roomsOf([room('r')]);
  const gone = [];
  rooms.on('gone', (detail) => gone.push(detail.room));
  rooms.apply({ room: 'r', event: { type: 'member', seq: 6, time: 1, user: 'bob', member: 'ann', change: 'removed' } });
  assert.deepEqual([gone, rooms.get('r')], [['r'], undefined]);
});

test('a room one has not heard of is asked for, once for many signs', async () => {
  const { rooms, asked } = await roomsOf([], [room('new')]);
  for (const seq of [1, 2, 3]) rooms.heard({ room: 'new', seq });
  await settled();
  assert.deepEqual(asked, ['room.list', 'new', 'new']);
  assert.equal(rooms.get('new').id, 'new');
});

test('the list is believed, except where events have overtaken it, and except empty direct rooms', async () => {
  const listed = [room('r')];
  const { rooms } = await roomsOf(listed);
  rooms.put(room('dm:ann:bob', { kind: 'dm', seq: 0, last: null }));
  rooms.put(room('left'));
  rooms.apply({ room: 'r', event: event(6) });
  await rooms.load();
  assert.deepEqual(rooms.sorted().map(({ id }) => id), ['dm:ann:bob', 'r']);
});

test('the list of many pages is fetched to its end', async () => {
  const pages = { first: { rooms: [room('a')], next: 'x' }, x: { rooms: [room('b')], next: null } };
  const rooms = new Rooms({ chat: { rpc: async (_, { before = 'first' }) => pages[before] }, me: 'ann' });
  await rooms.load();
  assert.equal(rooms.sorted().length, 2);
});

test('a mark that arrives late does not hide what came after it', async () => {
  const { rooms } = await roomsOf([room('r', { seq: 5, read_seq: 4, unread: 1 })]);
  for (const seq of [6, 7, 8]) rooms.apply({ room: 'r', event: event(seq) });
  rooms.read({ room: 'r', seq: 5, unread: 0 });
  assert.equal(rooms.get('r').unread, 3);
  rooms.read({ room: 'r', seq: 7, unread: 2 });
  assert.equal(rooms.get('r').unread, 1);
});

test('an answer that was overtaken by events still corrects the count', async () => {
  const listed = [room('r', { seq: 5, read_seq: 5, unread: 0 })];
  const { rooms } = await roomsOf(listed);
  rooms.apply({ room: 'r', event: event(9) });
  listed[0] = room('r', { seq: 8, read_seq: 5, unread: 3 });
  await rooms.load();
  assert.deepEqual([rooms.get('r').unread, rooms.get('r').seq], [4, 9]);
});

test('whatever order marks, messages and answers come in, the count ends right', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const roll = random(seed);
    // The server's truth: which events are messages, and how far the reader has got.
    const isMessage = (seq) => seq % 3 !== 0;
    let [top, readSeq, seen] = [20, 10, 20];
    const left = (from, to) => Array.from({ length: to - from }, (_, index) => from + index + 1).filter(isMessage).length;
    const answer = () => ({ seq: top, read_seq: readSeq, unread: left(readSeq, top) });
    let unread = new Unread(answer());
    let known = true;
    let late = [];
    for (let step = 0; step < 60; step += 1) {
      const dice = roll();
      if (dice < 0.5) top += 1;
      else if (dice < 0.65) {
        readSeq = Math.max(readSeq, Math.floor(readSeq + roll() * (seen - readSeq + 1)));
        late.push([readSeq, left(readSeq, top)]);
      } else if (dice < 0.8 && late.length > 0) known = unread.read(...late.shift()) && known;
      else if (seen < top) {
        seen += 1;
        if (isMessage(seen)) unread.add(seen);
      }
    }
    for (const mark of late) known = unread.read(...mark) && known;
    if (!known) {
      const fresh = new Unread(answer());
      fresh.follow(unread);
      unread = fresh;
    }
    for (seen += 1; seen <= top; seen += 1) if (isMessage(seen)) unread.add(seen);
    assert.deepEqual([unread.count, unread.readSeq], [left(readSeq, top), readSeq], `seed ${seed}`);
  }
});
