import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from '../assets/client/backoff.js';
import { newIdentifier } from '../assets/client/identifier.js';

test('waits double up to the limit', () => {
  const backoff = new Backoff({ base: 500, limit: 4000, random: () => 1 });
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.next()), [500, 1000, 2000, 4000, 4000]);
});

test('the jitter is full, but never nothing', () => {
  const backoff = new Backoff({ least: 100, random: () => 0 });
  assert.equal(backoff.next(), 100);
  const real = new Backoff();
  const waits = Array.from({ length: 2000 }, () => real.next());
  assert.ok(waits.every((wait) => wait >= 100 && wait <= 20_000));
  assert.ok(waits.slice(10).some((wait) => wait < 5000) && waits.slice(10).some((wait) => wait > 15_000));
});

test('a success begins anew', () => {
  const backoff = new Backoff({ base: 500, random: () => 1 });
  backoff.next();
  backoff.next();
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

test('bounds out of order are refused', () => {
  for (const bounds of [{ base: 0 }, { base: 500, limit: 100 }, { least: -1 }, { base: 1, limit: 10, least: 11 }]) {
    assert.throws(() => new Backoff(bounds), RangeError);
  }
});

test('identifiers are UUIDs of version 7 that sort by time', () => {
  const identifiers = [1, 1000, 2 ** 40].map((time) => newIdentifier(time));
  for (const identifier of identifiers) assert.match(identifier, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([...identifiers].sort(), identifiers);
  assert.equal(new Set(Array.from({ length: 1000 }, () => newIdentifier(5))).size, 1000);
});
