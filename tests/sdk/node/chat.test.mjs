// Chat rooms as an SDK sees them: the server subscribes, messages go through rpc.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  client, jwt, otherSocket, packed, refusal, rpc, unique, unpacked, user,
} from './harness.mjs';

const here = (room) => ({ channel }) => channel === room;
const event = (room, type) => ({ channel, data }) =>
  channel === room && unpacked(data).type === type;

describe('chat', { concurrency: true }, () => {
  test('an invitation makes a room appear, and messages arrive', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const { room } = await rpc(ann, 'room.create', { name: '茶馆', topic: '闲聊' });
    assert.deepEqual([room.name, room.kind, room.role], ['茶馆', 'group', 'owner']);
    await ann.heard.next('subscribed', here(room.id));
    await rpc(ann, 'message.send', { room: room.id, body: { text: 'before' } });
    await rpc(ann, 'room.invite', { room: room.id, user: bob.id });
    const appeared = await bob.heard.next('subscribed', here(room.id));
    assert.deepEqual([appeared.recoverable, appeared.positioned], [true, true]);
    const body = { text: '你好！ <b>&</b> 🫖' };
    const answer = await rpc(ann, 'message.send', { room: room.id, id: unique('m'), body });
    const heard = await bob.heard.next('publication', event(room.id, 'message'));
    const data = unpacked(heard.data);
    assert.equal(heard.offset, answer.seq);
    assert.deepEqual([data.seq, data.id, data.user], [answer.seq, answer.id, ann.id]);
    assert.deepEqual(data.body, body);
    assert.deepEqual([heard.info.user, heard.info.client], [ann.id, ann.connection]);
    const { publications } = await bob.client.history(room.id, { limit: 1, reverse: true });
    assert.deepEqual(unpacked(publications[0].data), data);
  });

  test('a message sent twice is one message, and pages hold all', async (t) => {
    const ann = await user(t, 'ann');
    const { room } = await rpc(ann, 'room.create', { name: 'Notes' });
    await ann.heard.next('subscribed', here(room.id));
    const message = { room: room.id, id: unique('m'), body: { text: 'once' } };
    const first = await rpc(ann, 'message.send', message);
    const second = await rpc(ann, 'message.send', message);
    // It may have been archived meanwhile.
    const { durability } = first;
    assert.deepEqual({ ...second, duplicate: false, durability }, first);
    assert.equal(second.duplicate, true);
    for (let n = 1; n <= 9; n += 1) {
      await rpc(ann, 'message.send', { room: room.id, body: { text: `${n}` } });
    }
    const texts = ({ events }) =>
      events.filter(({ type }) => type === 'message').map(({ body }) => body.text);
    const newest = await rpc(ann, 'message.page', { room: room.id, limit: 3 });
    assert.deepEqual(texts(newest), ['7', '8', '9']);
    const before = { room: room.id, limit: 3, before: newest.events[0].seq };
    assert.deepEqual(texts(await rpc(ann, 'message.page', before)), ['4', '5', '6']);
    const after = { room: room.id, limit: 2, after: first.seq };
    assert.deepEqual(texts(await rpc(ann, 'message.page', after)), ['1', '2']);
    for (const text of ['once', ...'123456789']) {
      const { data } = await ann.heard.next('publication', event(room.id, 'message'));
      assert.equal(unpacked(data).body.text, text);
    }
    assert.deepEqual(ann.heard.rest('publication').filter(event(room.id, 'message')), []);
  });

  test('where the namespace allows it, publishing is sending a message', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob')];
    const { room } = await rpc(ann, 'room.create', { name: 'Talk', members: [bob.id] });
    const direct = (await rpc(ann, 'direct.open', { user: bob.id })).room;
    assert.equal(await refusal(ann.client.publish(room.id, packed({ text: 'no' }))), 103);
    await ann.client.publish(direct.id, packed({ text: 'through publish' }));
    const heard = await bob.heard.next('publication', event(direct.id, 'message'));
    assert.deepEqual(unpacked(heard.data).body, { text: 'through publish' });
  });

  test('who is in a room is seen by those in it', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const { room } = await rpc(ann, 'room.create', { name: 'Talk', members: [bob.id] });
    for (const one of [ann, bob]) await one.heard.next('subscribed', here(room.id));
    const { clients } = await ann.client.presence(room.id);
    assert.deepEqual(Object.keys(clients).sort(), [ann.connection, bob.connection].sort());
    assert.deepEqual(await bob.client.presenceStats(room.id), { numClients: 2, numUsers: 2 });
  });

  test('a member who connects is in the room at once', async (t) => {
    const ann = await user(t, 'ann');
    const { room } = await rpc(ann, 'room.create', { name: 'Talk' });
    const second = client(t, { token: jwt({ sub: ann.id }) });
    second.client.connect();
    await second.heard.next('connected');
    const rooms = await Promise.all([1, 2].map(() => second.heard.next('subscribed')));
    assert.deepEqual(rooms.map(({ channel }) => channel).sort(), [`#${ann.id}`, room.id].sort());
  });

  test('who leaves hears nothing more', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const { room } = await rpc(ann, 'room.create', { name: 'Talk', members: [bob.id] });
    await bob.heard.next('subscribed', here(room.id));
    await rpc(bob, 'room.leave', { room: room.id });
    await bob.heard.next('unsubscribed', here(room.id));
    const message = { room: room.id, body: { text: 'gone?' } };
    await rpc(ann, 'message.send', message);
    assert.equal(await refusal(rpc(bob, 'message.send', message)), 404);
    assert.deepEqual(bob.heard.rest('publication').filter(event(room.id, 'message')), []);
  });

  test('a direct room appears with its first message', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const { room } = await rpc(ann, 'direct.open', { user: bob.id });
    assert.equal(room.peer.id, bob.id);
    assert.deepEqual(bob.heard.rest('subscribed').filter(here(room.id)), []);
    await rpc(ann, 'message.send', { room: room.id, body: { text: '在吗？' } });
    for (const one of [ann, bob]) {
      await one.heard.next('subscribed', here(room.id));
      const heard = await one.heard.next('publication', event(room.id, 'message'));
      assert.equal(unpacked(heard.data).body.text, '在吗？');
    }
    assert.equal((await rpc(bob, 'direct.open', { user: ann.id })).room.id, room.id);
    assert.equal((await rpc(bob, 'room.list')).rooms[0].unread, 1);
    await rpc(bob, 'read.mark', { room: room.id, seq: room.seq + 1 });
  });
});
