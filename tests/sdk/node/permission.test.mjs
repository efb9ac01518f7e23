// What is refused, and with which code.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import {
  Heard, jwt, packed, refusal, rpc, seconds, subscribe, subscribed, unique, unpacked, user,
} from './harness.mjs';

/** Subscribing to a channel ends with this code. */
async function refused(of, channel, code, options = {}) {
  const { heard } = subscribe(of, channel, options);
  assert.equal((await heard.next('unsubscribed')).code, code);
  assert.deepEqual(heard.rest('subscribed'), []);
}

describe('permissions', { concurrency: true }, () => {
  test('another’s personal channel is closed', async (t) => {
    const [ann, bob] = [await user(t, 'ann'), await user(t, 'bob')];
    await refused(ann, `#${bob.id}`, 103);
    assert.equal(await refusal(ann.client.publish(`#${bob.id}`, packed('boo'))), 103);
    assert.equal(await refusal(ann.client.history(`#${bob.id}`, { limit: 1 })), 103);
    assert.equal(await refusal(ann.client.presence(`#${bob.id}`)), 103);
    // One's own is for reading.
    assert.equal(await refusal(ann.client.publish(`#${ann.id}`, packed('me'))), 103);
  });

  test('a room is closed to who is no member, as one that is not there', async (t) => {
    const [ann, eve] = [await user(t, 'ann'), await user(t, 'eve')];
    const { room } = await rpc(ann, 'room.create', { name: 'Secret' });
    for (const id of [room.id, `room:${'a'.repeat(26)}`]) {
      await refused(eve, id, 103);
      assert.equal(await refusal(eve.client.publish(id, packed({ text: 'hi' }))), 103);
      assert.equal(await refusal(eve.client.history(id, { limit: 1 })), 103);
      assert.equal(await refusal(eve.client.presence(id)), 103);
      assert.equal(await refusal(rpc(eve, 'room.get', { room: id })), 404);
      assert.equal(await refusal(rpc(eve, 'message.page', { room: id })), 404);
      const message = { room: id, body: { text: 'hi' } };
      assert.equal(await refusal(rpc(eve, 'message.send', message)), 404);
    }
  });

  test('who is not subscribed can neither publish nor look into a channel', async (t) => {
    const ann = await user(t, 'ann');
    const channel = unique('lobby');
    assert.equal(await refusal(ann.client.publish(channel, packed(1))), 103);
    assert.equal(await refusal(ann.client.history(channel, { limit: 1 })), 103);
    assert.equal(await refusal(ann.client.presence(channel)), 103);
    assert.equal(await refusal(ann.client.presenceStats(channel)), 103);
  });

  test('what a namespace does not allow is refused', async (t) => {
    const ann = await user(t, 'ann');
    const { subscription } = await subscribed(ann, `quiet:${unique('room')}`);
    assert.equal(await refusal(subscription.publish(packed(1))), 103);
    assert.equal(await refusal(subscription.history({ limit: 1 })), 103);
    assert.equal(await refusal(subscription.presence()), 103);
  });

  test('a namespace that is not there, names that cannot be, and methods', async (t) => {
    const ann = await user(t, 'ann');
    await refused(ann, 'nowhere:at-all', 102);
    await refused(ann, 'with space', 107);
    await refused(ann, 'x'.repeat(200), 107);
    assert.equal(await refusal(ann.client.rpc('no.such', packed({}))), 108);
    assert.equal(await refusal(rpc(ann, 'room.create', { name: '' })), 107);
    assert.equal(await refusal(rpc(ann, 'room.create', { name: 'a', colour: 'red' })), 107);
  });

  test('subscriptions that are more than a stream are refused', async (t) => {
    const ann = await user(t, 'ann');
    const filter = { key: 'colour', cmp: 'eq', val: 'red' };
    await refused(ann, unique('lobby'), 108, { tagsFilter: filter });
    for (const make of ['newMapSubscription', 'newSharedPollSubscription']) {
      const subscription = ann.client[make](unique('lobby'), {});
      const heard = new Heard(subscription, ['unsubscribed']);
      subscription.subscribe();
      assert.equal((await heard.next('unsubscribed')).code, 108);
    }
  });

  test('what the server subscribed cannot be subscribed again', async (t) => {
    const ann = await user(t, 'ann');
    await refused(ann, `#${ann.id}`, 105);
  });

  test('data that is too large is refused and the connection goes on', async (t) => {
    const ann = await user(t, 'ann');
    const { subscription } = await subscribed(ann, unique('lobby'));
    assert.equal(await refusal(subscription.publish(packed('x'.repeat(40_000)))), 107);
    await subscription.publish(packed('x'.repeat(30_000)));
    assert.equal(ann.heard.rest('connecting').length, 1);
  });

  test('a channel with tokens opens by a good one only', async (t) => {
    const ann = await user(t, 'ann');
    const channel = `vip:${unique('lounge')}`;
    const claims = { sub: ann.id, channel };
    const wrong = {
      none: undefined,
      rubbish: 'rubbish',
      'another’s signature': jwt(claims, 'another secret, another secret'),
      'another’s': jwt({ ...claims, sub: 'bob' }),
      'for another channel': jwt({ ...claims, channel: 'vip:other' }),
      'for connecting': jwt({ sub: ann.id }),
    };
    for (const token of Object.values(wrong)) {
      await refused(ann, channel, 103, { token });
      ann.client.removeSubscription(ann.client.getSubscription(channel));
    }
    const info = { seat: '一号' };
    const good = await subscribed(ann, channel, { token: jwt({ ...claims, info }) });
    await good.subscription.publish(packed('hello'));
    assert.equal(unpacked((await good.heard.next('publication')).data), 'hello');
    const { clients } = await good.subscription.presence();
    assert.deepEqual(unpacked(clients[ann.connection].chanInfo), info);
  });

  test('a subscription’s token is asked for, and renewed while it lives', async (t) => {
    const ann = await user(t, 'ann');
    const channel = `vip:${unique('lounge')}`;
    const asked = [];
    const getToken = async (context) => {
      asked.push(context.channel);
      const exp = [seconds(-60), seconds(-3), seconds(3600)][asked.length - 1];
      return jwt({ sub: ann.id, channel, exp });
    };
    const { heard, subscription } = await subscribed(ann, channel, { getToken });
    assert.equal(heard.rest('error')[0].error.code, 109);
    // Beyond the end of the second one and what it is left.
    await wait(10_000);
    assert.deepEqual(asked, [channel, channel, channel]);
    assert.deepEqual(heard.rest('unsubscribed'), []);
    assert.equal(heard.rest('subscribing').length, 1);
    await subscription.publish(packed('still here'));
    await heard.next('publication');
  });
});
