import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Timeline } from '../assets/page/timeline.js';
import { event, historyPage, pageOf, random } from './make.mjs';

const range = (timeline) => [timeline.first, timeline.last];

test('begins with a page and grows at both ends', () => {
  const timeline = new Timeline();
  timeline.load(historyPage(200, { around: 100, limit: 10 }));
  assert.deepEqual([timeline.atStart, timeline.atEnd], [false, false]);
  timeline.prepend(historyPage(200, { before: timeline.first, limit: 10 }));
  timeline.append(historyPage(200, { after: timeline.last, limit: 10 }));
  assert.deepEqual(range(timeline), [85, 114]);
});

test('knows its ends', () => {
  const timeline = new Timeline();
  timeline.load(historyPage(12, { limit: 10 }));
  assert.deepEqual([timeline.atStart, timeline.atEnd], [false, true]);
  timeline.prepend(historyPage(12, { before: 3, limit: 10 }));
  assert.deepEqual([timeline.atStart, timeline.first], [true, 1]);
});

test('an empty room is both its beginning and its end', () => {
  const timeline = new Timeline();
  timeline.load(pageOf([]));
  assert.deepEqual([timeline.atStart, timeline.atEnd, timeline.live(event(1), true)], [true, true, true]);
});

test('what came live before the page is not forgotten', () => {
  const timeline = new Timeline();
  for (const seq of [9, 10, 11]) timeline.live(event(seq), true);
  timeline.load(pageOf([7, 8, 9], 9));
  assert.deepEqual(range(timeline), [7, 11]);
  assert.equal(timeline.atEnd, true);
});

test('a page that was overtaken is not taken for the end', () => {
  const timeline = new Timeline();
  timeline.load(historyPage(100, { around: 50, limit: 10 }));
  timeline.live(event(101), false);
  timeline.append({ ...historyPage(100, { after: timeline.last, limit: 60 }) });
  assert.deepEqual([timeline.last, timeline.atEnd], [100, false]);
  timeline.append(historyPage(101, { after: 100, limit: 10 }));
  assert.deepEqual([timeline.last, timeline.atEnd], [101, true]);
});

test('somebody who reads far up is not pushed out by what is new', () => {
  const timeline = new Timeline(5);
  timeline.load(pageOf([1, 2, 3, 4, 5]));
  assert.equal(timeline.live(event(6), false), false);
  assert.deepEqual([timeline.first, timeline.last, timeline.atEnd], [1, 5, false]);
});

test('ten thousand messages of scrolling, up and down, stay bounded and without holes', () => {
  const roll = random(7);
  const timeline = new Timeline(300);
  let top = 10_000;
  timeline.load(historyPage(top, { limit: 50 }));
  const check = () => {
    assert.ok(timeline.events.length <= 300);
    timeline.events.forEach(({ seq }, index) => assert.equal(seq, timeline.first + index));
    if (timeline.atEnd) assert.equal(timeline.last, top);
  };
  while (!timeline.atStart) {
    timeline.prepend(historyPage(top, { before: timeline.first, limit: 50 }));
    if (roll() < 0.2) timeline.live(event((top += 1)), false);
    check();
  }
  assert.equal(timeline.first, 1);
  while (!timeline.atEnd) {
    timeline.append(historyPage(top, { after: timeline.last, limit: 50 }));
    if (roll() < 0.2) timeline.live(event((top += 1)), false);
    check();
  }
});
