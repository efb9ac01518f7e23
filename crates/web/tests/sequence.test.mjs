import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sequence } from '../assets/client/sequence.js';
import { event, pageOf, shuffled, random } from './make.mjs';

const seqs = (events) => events.map(({ seq }) => seq);

test('what follows comes out, what came before does not', () => {
  const sequence = new Sequence({ epoch: '1', seq: 5 });
  assert.deepEqual(seqs(sequence.offer(event(6))), [6]);
  assert.deepEqual(sequence.offer(event(6)), []);
  assert.deepEqual(sequence.offer(event(3)), []);
  assert.equal(sequence.missing, 0);
});

test('what lies behind a hole waits for the hole', () => {
  const sequence = new Sequence({ epoch: '1', seq: 0 });
  assert.deepEqual(sequence.offer(event(3)), []);
  assert.deepEqual(sequence.offer(event(2)), []);
  assert.equal(sequence.missing, 3);
  assert.deepEqual(seqs(sequence.offer(event(1))), [1, 2, 3]);
});

test('a page fills the hole and is believed about what is gone', () => {
  const sequence = new Sequence({ epoch: '1', seq: 0 });
  sequence.offer(event(9));
  const page = { ...pageOf([4, 5], 8), has_after: false };
  assert.deepEqual(seqs(sequence.fill(page)), [4, 5, 9]);
  assert.equal(sequence.missing, 0);
});

test('a number that turns out not to exist does not keep us waiting', () => {
  const sequence = new Sequence({ epoch: '1', seq: 2 });
  sequence.expect(50);
  sequence.fill(pageOf([3], 3));
  assert.equal(sequence.missing, 0);
});

test('restarting in another epoch forgets what was held', () => {
  const sequence = new Sequence({ epoch: '1', seq: 0 });
  sequence.offer(event(5));
  assert.deepEqual(sequence.restart({ epoch: '2', seq: 4 }), []);
  sequence.offer(event(7));
  assert.deepEqual(seqs(sequence.restart({ epoch: '2', seq: 6 })), [7]);
});

test('in whatever order, however often: all come out once, in order', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const roll = random(seed);
    const sequence = new Sequence({ epoch: '1', seq: 0 });
    const all = Array.from({ length: 40 }, (_, index) => event(index + 1));
    const lost = all.filter(() => roll() < 0.2);
    const arriving = shuffled([...all.filter((one) => !lost.includes(one)), ...all.filter(() => roll() < 0.3)], roll);
    const out = arriving.flatMap((one) => sequence.offer(one));
    sequence.expect(40);
    while (sequence.missing > 0) {
      const after = all.filter(({ seq }) => seq > sequence.seq).slice(0, 7);
      out.push(...sequence.fill({ ...pageOf(seqs(after), 40), has_after: (after.at(-1)?.seq ?? 40) < 40 }));
    }
    assert.deepEqual(seqs(out), seqs(all), `seed ${seed}`);
  }
});
