// Asking for marks: how far the archive has each room.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { client, jwt, packed, rpc, unique, unpacked } from './harness.mjs';

/** Somebody connected, and what the server says of itself. */
async function connected(t, name, options = {}) {
  const made = client(t, { token: jwt({ sub: unique(name) }), ...options });
  made.client.connect();
  const { data } = await made.heard.next('connected');
  return { ...made, able: unpacked(data) };
}

/** The publication as a value, if it is a mark. */
function mark({ data, offset, info }) {
  const value = unpacked(data);
  return value.type === 'archived' && !offset && !info ? value : null;
}

describe('marks', { concurrency: true }, () => {
  test('are for who asks on connecting, and say when a message is safe', async (t) => {
    const ann = await connected(t, 'ann', { data: packed({ marks: true }) });
    assert.deepEqual(ann.able, { after: true, marks: true });
    const { room } = await rpc(ann, 'room.create', { name: 'Tea' });
    const sent = await rpc(ann, 'message.send', { room: room.id, id: 'm-1', body: 'hello' });
    const covers = (context) => {
      const told = mark(context);
      return context.channel === room.id && told?.epoch === sent.epoch && told.seq >= sent.seq;
    };
    await ann.heard.next('publication', covers);
    const again = await rpc(ann, 'message.send', { room: room.id, id: 'm-1', body: 'hello' });
    assert.deepEqual([again.durability, again.duplicate], ['archived', true]);
    // Who comes back learns it without asking.
    ann.client.disconnect();
    ann.heard.rest('publication').length = 0;
    ann.client.connect();
    await ann.heard.next('publication', covers);
  });

  test('are nothing that others see', async (t) => {
    const bob = await connected(t, 'bob');
    assert.deepEqual(bob.able, { after: true });
    const { room } = await rpc(bob, 'room.create', { name: 'Tea' });
    await rpc(bob, 'message.send', { room: room.id, id: 'm-1', body: 'hello', ack: 'archived' });
    await rpc(bob, 'message.send', { room: room.id, id: 'm-2', body: 'hello', ack: 'archived' });
    assert.deepEqual(bob.heard.rest('publication').filter(mark), []);
  });

  test('a message that names the one before it waits for that one', async (t) => {
    const ann = await connected(t, 'ann');
    const { room } = await rpc(ann, 'room.create', { name: 'Tea' });
    const send = (id, after) => rpc(ann, 'message.send', { room: room.id, id, body: id, after });
    const refused = await send('m-2', 'm-1').then(() => null, (error) => error);
    assert.deepEqual([refused.code, refused.temporary ?? false], [409, false]);
    const first = await send('m-1');
    assert.equal((await send('m-2', 'm-1')).seq, first.seq + 1);
  });
});
