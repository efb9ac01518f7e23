// Connecting: whose token is good, and for how long.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { client, eventually, jwt, register, rpc, seconds, unique, user } from './harness.mjs';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('connecting', { concurrency: true }, () => {
  test('with a token of our own, which brings the personal channel', async (t) => {
    const name = unique('ann');
    const ann = client(t, { token: await register(name) });
    ann.client.connect();
    const connected = await ann.heard.next('connected');
    assert.match(connected.client, UUID);
    const personal = await ann.heard.next('subscribed');
    assert.equal(personal.channel, `#${name}`);
    assert.equal(personal.recoverable, true);
    await eventually(async () => {
      assert.equal((await rpc(ann, 'user.get', { user: name })).user.online, true);
    });
  });

  test('with a token of a host that has users of its own', async (t) => {
    const ann = await user(t, 'ann');
    assert.equal((await ann.heard.next('subscribed')).channel, `#${ann.id}`);
  });

  const wrong = {
    'no token': '',
    'no token at all': 'not.a.token',
    'one signed by somebody else': jwt({ sub: 'ann' }, 'another secret, another secret'),
    'one for a channel': jwt({ sub: 'ann', channel: 'news:today' }),
    'an own one that was never given': `cw1.ann.${'A'.repeat(43)}`,
  };
  for (const [what, token] of Object.entries(wrong)) {
    test(`with ${what} ends with 3500`, async (t) => {
      const nobody = client(t, { token });
      nobody.client.connect();
      const { code, reason } = await nobody.heard.next('disconnected');
      assert.deepEqual([code, reason], [3500, 'invalid token']);
      assert.deepEqual(nobody.heard.rest('connected'), []);
    });
  }

  test('with a token that has expired asks for another', async (t) => {
    const sub = unique('ann');
    let asked = 0;
    const getToken = async () => {
      asked += 1;
      return jwt({ sub, exp: seconds(3600) });
    };
    const ann = client(t, { token: jwt({ sub, exp: seconds(-60) }), getToken });
    ann.client.connect();
    assert.equal((await ann.heard.next('error')).error.code, 109);
    await ann.heard.next('connected');
    assert.equal(asked, 1);
  });

  test('with a token that has expired and no other to be had ends', async (t) => {
    const ann = client(t, { token: jwt({ sub: 'ann', exp: seconds(-60) }) });
    ann.client.connect();
    // The SDK's own code for it: unauthorized.
    assert.equal((await ann.heard.next('disconnected')).code, 1);
  });

  test('a token is renewed on the living connection', async (t) => {
    const sub = unique('ann');
    const given = [];
    const getToken = async () => {
      given.push(seconds(0));
      // The first ones live for two seconds more, by the leeway for a host's clock.
      return jwt({ sub, exp: seconds(given.length < 3 ? -3 : 3600) });
    };
    const ann = client(t, { getToken });
    ann.client.connect();
    const connected = await ann.heard.next('connected');
    // Beyond the end of the first tokens, and of what a token that was not renewed is left.
    await wait(11_000);
    assert.equal(given.length, 3);
    assert.deepEqual(ann.heard.rest('error'), []);
    assert.equal(ann.heard.rest('connecting').length, 1);
    // It answered all pings, too.
    assert.deepEqual(ann.heard.rest('disconnected'), []);
    assert.equal((await rpc(ann, 'user.get', { user: sub })).user.id, sub);
    assert.match(connected.client, UUID);
  });

  test('a token that is not renewed ends with 3005, and another begins anew', async (t) => {
    const sub = unique('ann');
    let asked = 0;
    const getToken = () => {
      asked += 1;
      if (asked === 2) return new Promise(() => {});
      return Promise.resolve(jwt({ sub, exp: seconds(asked === 1 ? -3 : 3600) }));
    };
    const ann = client(t, { getToken });
    ann.client.connect();
    const first = await ann.heard.next('connected');
    await ann.heard.next('connecting', ({ code }) => code === 3005);
    assert.notEqual((await ann.heard.next('connected')).client, first.client);
    assert.equal(asked, 3);
  });

  test('a renewal with another user’s token ends it', async (t) => {
    let asked = 0;
    const getToken = async () => {
      asked += 1;
      return jwt({ sub: asked === 1 ? 'ann' : 'bob', exp: seconds(-3) });
    };
    const ann = client(t, { getToken });
    ann.client.connect();
    assert.equal((await ann.heard.next('disconnected')).code, 3500);
    assert.equal(asked, 2);
  });
});
