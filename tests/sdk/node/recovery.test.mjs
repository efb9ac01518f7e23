// A connection breaks: what was said meanwhile arrives once, or it is said truthfully that it
// cannot.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import {
  Proxy, api, otherSocket, packed, rpc, socket, subscribe, subscribed, unique, unpacked, user,
} from './harness.mjs';

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
const said = (all) => all.map(({ data }) => unpacked(data));

/** Two people in a channel, one of them behind a proxy. */
async function two(t, channel, options = { recoverable: true }) {
  const proxy = await Proxy.start(t);
  const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, proxy.socket)];
  const [near, far] = [await subscribed(ann, channel), await subscribed(bob, channel, options)];
  const say = async (from, to) => {
    for (const n of numbers(from, to)) await near.subscription.publish(packed(n));
  };
  return { proxy, bob, far, say };
}

describe('recovery', { concurrency: true }, () => {
  test('everything that was said meanwhile arrives once', async (t) => {
    const { proxy, bob, far, say } = await two(t, unique('lobby'));
    await say(1, 3);
    assert.deepEqual(said(await far.heard.many('publication', 3)), [1, 2, 3]);
    for (const round of [1, 2, 3]) {
      proxy.cut();
      await bob.heard.next('connecting', ({ code }) => code === 1);
      await say(round * 10, round * 10 + 6);
      // The second time through another gateway.
      proxy.target = round === 2 ? otherSocket : proxy.target;
      proxy.restore();
      const again = await far.heard.next('subscribed');
      assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
      assert.equal(again.hasRecoveredPublications, true);
      await say(round * 10 + 7, round * 10 + 9);
      const missed = await far.heard.many('publication', 10);
      assert.deepEqual(said(missed), numbers(round * 10, round * 10 + 9));
    }
    assert.deepEqual(far.heard.rest('publication'), []);
  });

  test('while everybody talks and the connection breaks again and again', async (t) => {
    const channel = unique('lobby');
    const { proxy, far } = await two(t, channel);
    const talk = (async () => {
      for (const data of numbers(1, 300)) await api('publish', { channel, data });
    })();
    for (let round = 0; round < 8; round += 1) {
      await wait(100);
      proxy.cut();
      proxy.target = round % 2 ? socket : otherSocket;
      proxy.restore();
      const again = await far.heard.next('subscribed');
      assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
    }
    await talk;
    const heard = await far.heard.many('publication', 300);
    assert.deepEqual(said(heard), numbers(1, 300));
    assert.deepEqual(heard.map(({ offset }) => offset), numbers(1, 300));
    assert.deepEqual(far.heard.rest('publication'), []);
  });

  test('nothing said meanwhile is recovered, too', async (t) => {
    const { proxy, far, say } = await two(t, unique('lobby'));
    await say(1, 1);
    await far.heard.next('publication');
    proxy.cut();
    proxy.restore();
    const again = await far.heard.next('subscribed');
    assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
    assert.equal(again.hasRecoveredPublications, false);
  });

  test('a history that is too short is not recovered in part', async (t) => {
    const { proxy, bob, far, say } = await two(t, `short:${unique('lobby')}`);
    await say(1, 1);
    await far.heard.next('publication');
    proxy.cut();
    await bob.heard.next('connecting', ({ code }) => code === 1);
    await say(2, 10);
    proxy.restore();
    const again = await far.heard.next('subscribed');
    assert.deepEqual([again.wasRecovering, again.recovered], [true, false]);
    assert.equal(again.streamPosition.offset, 10);
    await say(11, 11);
    assert.deepEqual(said([await far.heard.next('publication')]), [11]);
  });

  test('who did not ask for it is not recovered unless the namespace does', async (t) => {
    const plain = await two(t, unique('lobby'), {});
    const forced = await two(t, `kept:${unique('lobby')}`, {});
    for (const [{ proxy, bob, far, say }, recovers] of [[plain, false], [forced, true]]) {
      proxy.cut();
      await bob.heard.next('connecting', ({ code }) => code === 1);
      await say(1, 2);
      proxy.restore();
      const again = await far.heard.next('subscribed');
      assert.deepEqual([again.wasRecovering, again.recovered], [recovers, recovers]);
      await say(3, 3);
      const expected = recovers ? [1, 2, 3] : [3];
      assert.deepEqual(said(await far.heard.many('publication', expected.length)), expected);
    }
  });

  test('a position that one brings is honoured if it is one', async (t) => {
    const channel = unique('lobby');
    const { say, far, bob } = await two(t, channel);
    await say(1, 5);
    const { epoch } = far.context.streamPosition;
    const check = async (since, expected) => {
      const ann = await user(t, 'carol');
      const { context, heard } = await subscribed(ann, channel, { recoverable: true, since });
      assert.equal(context.wasRecovering, true, JSON.stringify(since));
      assert.equal(context.recovered, expected !== null, JSON.stringify(since));
      assert.deepEqual(context.streamPosition, { offset: 5, epoch });
      const missed = await heard.many('publication', expected?.length ?? 0);
      assert.deepEqual(said(missed), expected ?? []);
    };
    await check({ offset: 2, epoch }, [3, 4, 5]);
    await check({ offset: 0, epoch }, [1, 2, 3, 4, 5]);
    await check({ offset: 5, epoch }, []);
    await check({ offset: 6, epoch }, null);
    await check({ offset: 3, epoch: '999999' }, null);
    await check({ offset: 0, epoch: 'another' }, null);
    // What the SDKs say when they are told to forget.
    await check({ offset: 0, epoch: '_' }, null);
    assert.equal(bob.heard.rest('connecting').length, 1);
  });

  test('a foreign position in a channel in which nothing was said', async (t) => {
    const ann = await user(t, 'ann');
    for (const since of [{ offset: 1, epoch: '1' }, { offset: 0, epoch: '_' }]) {
      const { context } = await subscribed(ann, unique('lobby'), { recoverable: true, since });
      assert.deepEqual([context.wasRecovering, context.recovered], [true, false]);
    }
  });

  test('a position that cannot be recovered has the state loaded again', async (t) => {
    const channel = `short:${unique('lobby')}`;
    const { say, far } = await two(t, channel);
    await say(1, 10);
    const { epoch } = far.context.streamPosition;
    const ann = await user(t, 'ann');
    const states = [{ offset: 1, epoch }, { offset: 10, epoch }];
    const loaded = [];
    const getState = async () => {
      loaded.push(states[loaded.length]);
      return loaded.at(-1);
    };
    const { heard } = subscribe(ann, channel, { recoverable: true, getState });
    assert.equal((await heard.next('subscribed')).recovered, true);
    assert.deepEqual(loaded, states);
  });

  test('a room that the server subscribed is recovered', async (t) => {
    const proxy = await Proxy.start(t);
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob', {}, proxy.socket)];
    const { room } = await rpc(ann, 'room.create', { name: 'Talk', members: [bob.id] });
    const here = ({ channel }) => channel === room.id;
    const message = ({ channel, data }) => channel === room.id && unpacked(data).type === 'message';
    await bob.heard.next('subscribed', here);
    const say = (text) => rpc(ann, 'message.send', { room: room.id, body: { text } });
    await say('one');
    await bob.heard.next('publication', message);
    proxy.cut();
    await bob.heard.next('connecting', ({ code }) => code === 1);
    await bob.heard.next('subscribing', here);
    for (const text of ['二', 'three', 'four']) await say(text);
    proxy.target = otherSocket;
    proxy.restore();
    const again = await bob.heard.next('subscribed', here);
    assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
    await say('five');
    const texts = [];
    while (texts.length < 4) {
      texts.push(unpacked((await bob.heard.next('publication', message)).data).body.text);
    }
    assert.deepEqual(texts, ['二', 'three', 'four', 'five']);
  });
});
