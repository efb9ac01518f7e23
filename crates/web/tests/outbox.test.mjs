import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { Backoff } from '../assets/client/backoff.js';
import { Failure } from '../assets/client/failure.js';
import { Outbox } from '../assets/client/outbox.js';
import { settled } from './make.mjs';

/** A connection that stays up would have its outbox ask for ever. @type {Outbox[]} */
const open = [];
afterEach(() => open.splice(0).forEach((outbox) => outbox.pause()));

/** An outbox whose sending the test answers. */
function outboxWith(storage) {
  const sending = [];
  const send = (entry) => new Promise((resolve, reject) => sending.push({ id: entry.id, text: entry.body, after: entry.after, resolve, reject }));
  const outbox = new Outbox({ send, storage, backoff: new Backoff({ base: 1000, random: () => 1 }), random: () => 0.5 });
  open.push(outbox);
  const states = () => outbox.in('r').map(({ state }) => state);
  return { outbox, sending, states };
}

const ack = (seq, more = {}) => ({ seq, epoch: '1', durability: 'accepted', duplicate: false, ...more });

const busy = () => new Failure({ code: 100, message: 'busy', temporary: true });

test('nothing is sent without a connection, everything with one, in order', async () => {
  const { outbox, sending, states } = outboxWith();
  for (const text of ['one', 'two', 'three']) outbox.add('r', text);
  outbox.add('other', 'elsewhere');
  assert.deepEqual(states(), ['waiting', 'waiting', 'waiting']);
  outbox.resume();
  assert.deepEqual(sending.map(({ text }) => text), ['one', 'elsewhere']);
  sending[0].resolve(ack(1));
  await settled();
  assert.deepEqual(sending.map(({ text }) => text), ['one', 'elsewhere', 'two']);
  assert.deepEqual(states(), ['sent', 'sending', 'waiting']);
});

test('a lost answer is repeated under the same id, before what was written later', async () => {
  const { outbox, sending } = outboxWith();
  outbox.resume();
  outbox.add('r', 'one');
  outbox.add('r', 'two');
  outbox.pause();
  sending[0].reject(Failure.offline());
  await settled();
  assert.equal(sending.length, 1);
  outbox.resume();
  assert.deepEqual(sending.map(({ text }) => text), ['one', 'one']);
  assert.equal(sending[0].id, sending[1].id);
});

test('a busy server is tried again after a pause, and nothing overtakes', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { outbox, sending } = outboxWith();
  outbox.resume();
  outbox.add('r', 'one');
  sending[0].reject(busy());
  await settled();
  outbox.add('r', 'two');
  assert.equal(sending.length, 1);
  context.mock.timers.tick(1000);
  assert.deepEqual(sending.map(({ text }) => text), ['one', 'one']);
});

test('a refused message stays with its reason, does not hold up others, and can be tried again or deleted', async () => {
  const { outbox, sending, states } = outboxWith();
  outbox.resume();
  const { id } = outbox.add('r', 'one');
  outbox.add('r', 'two');
  sending[0].reject(new Failure({ code: 103, message: 'muted' }));
  await settled();
  assert.deepEqual(states(), ['failed', 'sending']);
  sending[1].resolve(ack(1));
  await settled();
  outbox.retry(id);
  assert.equal(sending[2].id, id);
  sending[2].reject(new Failure({ code: 103, message: 'muted' }));
  await settled();
  outbox.discard(id);
  assert.deepEqual(states(), ['sent']);
});

test('the event ends it, also when the acknowledgement never came', async () => {
  const { outbox, sending } = outboxWith();
  outbox.resume();
  const { id } = outbox.add('r', 'one');
  outbox.confirm(id, { epoch: '1', seq: 1 });
  assert.equal(outbox.in('r').length, 0);
  sending[0].reject(Failure.timeout());
  await settled();
  assert.equal(outbox.unsent, 0);
  assert.equal(sending.length, 1);
});

test('what was acknowledged is over when the position has passed it', async () => {
  const { outbox, sending } = outboxWith();
  outbox.resume();
  outbox.add('r', 'one');
  sending[0].resolve(ack(7));
  await settled();
  outbox.arrived('r', { epoch: '1', seq: 6 });
  assert.equal(outbox.in('r').length, 1);
  outbox.arrived('r', { epoch: '1', seq: 7 });
  assert.equal(outbox.in('r').length, 0);
});

test('unsent messages outlive a reload with their ids', async () => {
  let kept = [];
  const storage = { load: () => JSON.parse(JSON.stringify(kept)), save: (entries) => void (kept = entries) };
  const before = outboxWith(storage);
  before.outbox.resume();
  const { id } = before.outbox.add('r', 'one');
  before.outbox.add('r', 'two');
  const after = outboxWith(storage);
  after.outbox.resume();
  assert.equal(after.sending[0].id, id);
  after.sending[0].resolve(ack(1));
  await settled();
  assert.deepEqual(kept.map(({ body }) => body), ['one', 'two']);
  after.outbox.marked('r', { epoch: '1', seq: 1 });
  assert.deepEqual(kept.map(({ body }) => body), ['two']);
});

test('there is an end to what can be written without a connection', () => {
  const { outbox } = outboxWith();
  for (let count = 0; count < 200; count += 1) outbox.add('r', 'x');
  assert.throws(() => outbox.add('r', 'x'), Failure);
});

/** Everything that is sent from now on is accepted, from this place on. */
async function accept(sending, from, epoch = '1') {
  let seq = from;
  for (let next = 0; next < sending.length; next += 1) {
    if (sending[next].done) continue;
    sending[next].done = true;
    sending[next].resolve(ack(seq, { epoch }));
    seq += 1;
    await settled();
  }
}

test('what was taken is kept until it is archived', async () => {
  const { outbox, sending } = outboxWith();
  const durable = [];
  outbox.on('durable', ({ id }) => durable.push(id));
  outbox.resume();
  const ids = ['one', 'two'].map((text) => outbox.add('r', text).id);
  await accept(sending, 5);
  outbox.marked('r', { epoch: '1', seq: 5 });
  assert.deepEqual(durable, ids.slice(0, 1));
  outbox.marked('r', { epoch: '2', seq: 9 });
  assert.deepEqual(durable, ids.slice(0, 1), 'a later epoch says nothing of what was not seen in it');
  sending.at(-1).resolve(ack(6, { duplicate: true }));
  await settled();
  assert.deepEqual(durable, ids);
  assert.equal(outbox.keeps(ids[1]), false);
});

test('what was taken back goes out again, in order and before what is new', async () => {
  const { outbox, sending } = outboxWith();
  outbox.resume();
  for (const text of ['one', 'two']) outbox.add('r', text);
  await accept(sending, 5);
  outbox.arrived('r', { epoch: '1', seq: 6 });
  assert.equal(outbox.in('r').length, 0);
  outbox.pause();
  outbox.add('r', 'three');
  outbox.rewound('r');
  assert.equal(outbox.in('r').length, 3);
  outbox.resume();
  await accept(sending, 3, '2');
  assert.deepEqual(sending.map(({ text }) => text), ['one', 'two', 'one', 'two', 'three']);
  assert.deepEqual(outbox.in('r').map(({ seq }) => seq), [3, 4, 5]);
});

test('a server that keeps order is told what comes before, and what it lacks goes out again first', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lacks = () => new Failure({ code: 409, message: 'after: not there' });
  const { outbox, sending, states } = outboxWith();
  const said = (/** @type {number} */ from) => sending.slice(from).map(({ text, after }) => [text, after]);
  outbox.resume({ after: true, marks: true });
  const [one, two] = ['one', 'two', 'three'].map((text) => outbox.add('r', text).id);
  await accept(sending.slice(0, 1), 5);
  assert.deepEqual(said(0), [['one', undefined], ['two', one]]);
  sending[1].reject(lacks());
  await settled();
  assert.deepEqual(said(2), [['one', undefined]], 'at once');
  sending[2].resolve(ack(5));
  await settled();
  sending[3].reject(lacks());
  await settled();
  assert.equal(sending.length, 4, 'not as fast again');
  context.mock.timers.tick(1000);
  await accept(sending, 5, '2');
  assert.deepEqual(said(4), [['one', undefined], ['two', one], ['three', two]]);
  assert.deepEqual(states(), ['sent', 'sent', 'sent']);
  // Whatever else it means by it, it is not asked for ever.
  outbox.add('r', 'four');
  for (let count = 0; count < 100 && sending.at(-1).after !== undefined; count += 1) {
    sending.at(-1).reject(lacks());
    await settled();
    context.mock.timers.tick(20_000);
    while (sending.at(-1).text !== 'four') {
      sending.at(-1).resolve(ack(9, { epoch: '2' }));
      await settled();
    }
  }
  assert.equal(said(0).filter(([text, after]) => text === 'four' && after !== undefined).length, 8);
});

test('who knows no order is not told of any, and a conflict is then an end', async () => {
  const { outbox, sending, states } = outboxWith();
  outbox.resume();
  outbox.add('r', 'one');
  outbox.add('r', 'two');
  await accept(sending.slice(0, 1), 5);
  assert.equal(sending[1].after, undefined);
  sending[1].reject(new Failure({ code: 409, message: 'conflict' }));
  await settled();
  assert.deepEqual(states(), ['sent', 'failed']);
});

test('without a word the first is asked for; a server that never says is taken at its word', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { outbox, sending } = outboxWith();
  outbox.resume();
  outbox.add('r', 'one');
  await accept(sending, 1);
  outbox.arrived('r', { epoch: '1', seq: 1 });
  for (let count = 2; count <= 4; count += 1) {
    context.mock.timers.tick(10_000);
    assert.equal(sending.length, count);
    await accept(sending, 1);
  }
  assert.equal(outbox.keeps(sending[0].id), true);
  context.mock.timers.tick(10_000);
  assert.equal(outbox.keeps(sending[0].id), false);
  assert.equal(sending.length, 4);
});
