import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Failure } from '../assets/client/failure.js';
import { linesOf } from '../assets/page/lines.js';
import { pieces } from '../assets/page/links.js';
import { inWords, lineOf, storyOf, textOf } from '../assets/page/words.js';
import { event } from './make.mjs';

const links = (text) => pieces(text).filter(({ href }) => href).map(({ text: words }) => words);

test('addresses become links without the sentence around them', () => {
  assert.deepEqual(links('see https://example.org/a?b=c#d, or (http://example.org).'), ['https://example.org/a?b=c#d', 'http://example.org']);
  assert.deepEqual(links('看https://example.org/茶。再见'), ['https://example.org/茶']);
  assert.deepEqual(links('https://example.org/Tea_(drink)'), ['https://example.org/Tea_(drink)']);
});

test('nothing but http and https becomes a link', () => {
  for (const text of ['javascript:alert(1)', 'data:text/html,x', 'https://', 'file:///etc/passwd', 'http://[', 'ftp://example.org']) {
    assert.deepEqual(links(text), [], text);
  }
});

test('the pieces are the text, whatever is in it', () => {
  for (const text of ['', '<img src=x onerror=alert(1)>', 'a https://example.org/ b', 'https://a.example https://b.example', 'http://x.y)))']) {
    assert.equal(pieces(text).map((piece) => piece.text).join(''), text);
  }
});

test('any body is text', () => {
  assert.deepEqual([{ text: 'a' }, 'b', { text: 7 }, null, [1]].map(textOf), ['a', 'b', '{"text":7}', 'null', '[1]']);
});

test('what happens in a room, in words', () => {
  const nameOf = (user) => user.toUpperCase();
  const line = (more) => lineOf({ seq: 1, time: 1, user: 'ann', ...more }, nameOf);
  assert.equal(line({ type: 'member', member: 'bob', change: 'invited' }), 'ANN added BOB');
  assert.equal(line({ type: 'member', member: 'ann', change: 'joined' }), 'ANN joined');
  assert.equal(line({ type: 'member', member: 'bob', change: 'role', role: 'admin' }), 'ANN made BOB an admin');
  assert.equal(line({ type: 'room', change: 'created', name: 'Tea' }), 'ANN made the room');
  assert.equal(line({ type: 'room', change: 'topic', topic: '' }), 'ANN removed the topic');
  assert.deepEqual(storyOf({ type: 'publication', seq: 1, time: 1, user: '', data: { a: 1 } }), ['{"a":1}']);
});

test('failures are told in sentences', () => {
  assert.equal(inWords(Failure.offline()), 'There is no connection to the server at the moment.');
  assert.equal(inWords(new Failure({ code: 107, message: 'name: must be 1 to 80 characters, got 0' })), 'Name: must be 1 to 80 characters, got 0.');
  assert.equal(inWords(new Failure({ code: 111, message: '', retryAfter: 2500 })), 'That was too often. Please wait 3 s.');
  assert.equal(inWords(new Failure({ code: 409, message: 'x' }), { 409: 'Taken.' }), 'Taken.');
});

test('the lines of a conversation', () => {
  const names = { nameOf: (user) => user, me: 'ann' };
  const noon = new Date(2024, 5, 1, 12).getTime();
  const at = (seq, minutes, more) => event(seq, { time: noon + minutes * 60_000, ...more });
  const keys = (what) => linesOf({ events: [], pending: [], unreadAfter: null, names, ...what }).map(({ key }) => key.replace(/^day:.*/, 'day'));
  const events = [at(1, 0), at(2, 1), at(3, 60 * 24), at(4, 60 * 24, { user: 'ann' })];
  assert.deepEqual(keys({ events, unreadAfter: 1 }), ['day', 'seq:1', 'unread', 'seq:2', 'day', 'seq:3', 'own:id-4']);
  const entry = { id: 'id-4', room: 'r', body: 'x', time: 0, state: 'sent' };
  assert.deepEqual(keys({ events: events.slice(3), pending: [entry] }), ['day', 'own:id-4']);
  assert.deepEqual(keys({ events: events.slice(0, 1), pending: [entry] }), ['day', 'seq:1', 'own:id-4']);
  assert.deepEqual(keys({ events: events.slice(1), unreadAfter: 0 }), ['day', 'seq:2', 'day', 'seq:3', 'own:id-4']);
  const compact = linesOf({ events: events.slice(0, 2), pending: [], unreadAfter: null, names }).map(({ version }) => version.includes('true'));
  assert.deepEqual(compact, [false, false, true]);
});
