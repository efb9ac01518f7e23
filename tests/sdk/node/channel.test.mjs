// Channels: who hears what, what was said before, and who is there.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import WebSocket from 'ws';

import {
  encoding, eventually, otherSocket, packed, refusal, rpc, subscribe, subscribed, unique, unpacked,
  user,
} from './harness.mjs';

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('channels', { concurrency: true }, () => {
  test('everybody hears a publication once, in order, and from whom', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const channel = unique('lobby');
    const [near, far] = [await subscribed(ann, channel), await subscribed(bob, channel)];
    const said = { text: '你好，世界 🌏', nested: { n: 1.5, list: [true, null, 'ä'] } };
    await near.subscription.publish(packed(said));
    for (const n of numbers(2, 20)) await ann.client.publish(channel, packed({ n }));
    for (const heard of [near.heard, far.heard]) {
      const all = await heard.many('publication', 20);
      assert.deepEqual(all.map(({ offset }) => offset), numbers(1, 20));
      assert.deepEqual(unpacked(all[0].data), said);
      assert.deepEqual(all.slice(1).map(({ data }) => unpacked(data).n), numbers(2, 20));
      assert.equal(all[0].info.user, ann.id);
      assert.equal(all[0].info.client, ann.connection);
    }
    assert.deepEqual(far.heard.rest('publication'), []);
  });

  test('after unsubscribing nothing is heard, and after coming back everything', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob')];
    const channel = unique('lobby');
    const near = await subscribed(ann, channel);
    const far = await subscribed(bob, channel, { recoverable: true });
    far.subscription.unsubscribe();
    assert.equal((await far.heard.next('unsubscribed')).code, 0);
    await near.subscription.publish(packed(1));
    await near.heard.next('publication');
    assert.deepEqual(far.heard.rest('publication'), []);
    far.subscription.subscribe();
    const again = await far.heard.next('subscribed');
    assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
    assert.equal(unpacked((await far.heard.next('publication')).data), 1);
  });

  test('history by limit, position and direction', async (t) => {
    const ann = await user(t, 'ann');
    const channel = unique('lobby');
    const { subscription } = await subscribed(ann, channel);
    for (const n of numbers(1, 10)) await subscription.publish(packed({ n }));
    const read = async (options) => {
      const { publications, offset, epoch } = await subscription.history(options);
      const offsets = publications.map((one) => one.offset);
      assert.deepEqual(publications.map(({ data }) => unpacked(data).n), offsets);
      return { offsets, offset, epoch };
    };
    const position = await read({ limit: 0 });
    const { epoch } = position;
    assert.deepEqual(position, { offsets: [], offset: 10, epoch });
    assert.match(epoch, /^[1-9]\d*$/);
    const check = async (options, offsets) =>
      assert.deepEqual(await read(options), { offsets, offset: 10, epoch });
    await check({ limit: -1 }, numbers(1, 10));
    await check({ limit: 3 }, [1, 2, 3]);
    await check({ limit: 3, reverse: true }, [10, 9, 8]);
    await check({ limit: 3, since: { offset: 4, epoch } }, [5, 6, 7]);
    await check({ limit: 100, since: { offset: 9, epoch } }, [10]);
    await check({ limit: 100, since: { offset: 10, epoch } }, []);
    await check({ limit: 2, since: { offset: 4, epoch }, reverse: true }, [3, 2]);
    for (const epoch of ['999999', 'another']) {
      assert.equal(await refusal(read({ limit: 3, since: { offset: 4, epoch } })), 112);
    }
  });

  test('presence counts clients and users', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const channel = unique('lobby');
    const { subscription } = await subscribed(ann, channel);
    await subscribed(bob, channel);
    const { clients } = await subscription.presence();
    assert.deepEqual(Object.keys(clients).sort(), [ann.connection, bob.connection].sort());
    const { client: connection, user: id } = clients[bob.connection];
    assert.deepEqual([connection, id], [bob.connection, bob.id]);
    assert.deepEqual(await subscription.presenceStats(), { numClients: 2, numUsers: 2 });
    bob.client.disconnect();
    await eventually(async () => {
      const present = Object.keys((await ann.client.presence(channel)).clients);
      assert.deepEqual(present, [ann.connection]);
    });
  });

  test('joins and leaves are told to those who asked', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, otherSocket)];
    const channel = `news:${unique('today')}`;
    const near = await subscribed(ann, channel, { joinLeave: true });
    const own = await near.heard.next('join');
    assert.deepEqual([own.info.user, own.info.client], [ann.id, ann.connection]);
    const far = await subscribed(bob, channel);
    const joined = await near.heard.next('join');
    assert.deepEqual([joined.info.user, joined.info.client], [bob.id, bob.connection]);
    far.subscription.unsubscribe();
    const left = await near.heard.next('leave');
    assert.deepEqual([left.info.user, left.info.client], [bob.id, bob.connection]);
    assert.deepEqual(far.heard.rest('join'), []);
  });

  test('several commands go in one frame and each is answered', async (t) => {
    const frames = [];
    class Counting extends WebSocket {
      send(data) {
        frames.push(data);
        super.send(data);
      }
    }
    const ann = await user(t, 'ann', { websocket: Counting });
    const channel = unique('lobby');
    const { heard } = await subscribed(ann, channel);
    frames.length = 0;
    ann.client.startBatching();
    const published = numbers(1, 20).map((n) => ann.client.publish(channel, packed(n)));
    const stats = ann.client.presenceStats(channel);
    const missing = refusal(ann.client.rpc('no.such', packed({})));
    ann.client.stopBatching();
    await Promise.all(published);
    assert.equal((await stats).numClients, 1);
    assert.equal(await missing, 108);
    // Whatever is shorter answers a ping, which may come at any time.
    assert.equal(frames.filter(({ length }) => length > 2).length, 1);
    const heardNumbers = (await heard.many('publication', 20)).map(({ data }) => unpacked(data));
    assert.deepEqual(heardNumbers, numbers(1, 20));
  });

  test('several subscriptions begin in one frame', async (t) => {
    const ann = await user(t, 'ann');
    const channels = numbers(1, 30).map((n) => unique(`lobby-${n}`));
    ann.client.startBatching();
    const begun = channels.map((channel) => subscribe(ann, channel));
    ann.client.stopBatching();
    await Promise.all(begun.map(({ heard }) => heard.next('subscribed')));
  });

  test('data is kept as it is, byte for byte', { skip: encoding === 'json' }, async (t) => {
    const ann = await user(t, 'ann');
    const { subscription, heard } = await subscribed(ann, unique('lobby'));
    const bytes = new TextEncoder().encode('{ "b": 1.0e2, "a":\t"\\u4f60好", "b": [ ] }');
    await subscription.publish(bytes);
    assert.deepEqual(new Uint8Array((await heard.next('publication')).data), bytes);
    const { publications } = await subscription.history({ limit: 1 });
    assert.deepEqual(new Uint8Array(publications[0].data), bytes);
    const notJson = Uint8Array.from([0, 159, 146, 150]);
    assert.equal(await refusal(subscription.publish(notJson)), 107);
  });

  test('who could take differences is sent data whole', async (t) => {
    const ann = await user(t, 'ann');
    const { subscription, heard } = await subscribed(ann, unique('lobby'), { delta: 'fossil' });
    for (const n of [1, 2, 3]) await subscription.publish(packed({ same: 'x'.repeat(500), n }));
    const all = await heard.many('publication', 3);
    assert.deepEqual(all.map(({ data }) => unpacked(data).n), [1, 2, 3]);
  });

  test('a message without an answer changes nothing', async (t) => {
    const ann = await user(t, 'ann');
    await ann.client.send(packed({ hello: 'server' }));
    assert.equal((await rpc(ann, 'user.get', { user: ann.id })).user.id, ann.id);
  });

  test('a channel without history has no past', async (t) => {
    const ann = await user(t, 'ann');
    const { subscription, heard } = await subscribed(ann, `fleeting:${unique('now')}`);
    await subscription.publish(packed('gone'));
    await heard.next('publication');
    assert.deepEqual((await subscription.history({ limit: 10 })).publications, []);
  });
});
