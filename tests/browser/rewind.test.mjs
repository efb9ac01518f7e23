/** The page in a real browser, while its server loses what it has taken, or says nothing at all. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { assertAccessible, eventually, launch } from './harness.mjs';
import { Played } from './played.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Played} */
let server;
/** @type {import('playwright-core').Page} */
let page;

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});
beforeEach(async () => {
  server = await new Played().start();
  page = await server.visit(browser);
});
afterEach(async () => {
  await page.context().close();
  server.stop();
});

/** @param {string} text */
async function write(text) {
  await page.fill('#composer-text', text);
  await page.press('#composer-text', 'Enter');
}

const texts = () => page.locator('#messages .message .text').allInnerTexts();
const ticks = () => page.locator('#messages .message .tick .unseen').allInnerTexts();
const is = (/** @type {() => Promise<any>} */ look, /** @type {any} */ expected) =>
  eventually(look, (seen) => assert.deepEqual(seen, expected));

describe('a message', () => {
  test('has one tick when it is taken and two when it is archived', async () => {
    await write('one');
    await is(ticks, ['Sent']);
    await assertAccessible(page);
    server.archive();
    await is(ticks, ['Stored']);
    await assertAccessible(page);
  });

  test('that was taken back is pending again, and is sent again before what is new', async () => {
    await write('one');
    await is(ticks, ['Sent']);
    server.archive();
    await is(ticks, ['Stored']);
    await write('two');
    await write('three');
    await is(ticks, ['Stored', 'Sent', 'Sent']);
    server.deaf = true;
    server.rewind();
    for (const text of ['two', 'three']) await page.locator('.pending', { hasText: text }).waitFor();
    await write('four');
    await is(texts, ['one', 'two', 'three', 'four']);
    server.deaf = false;
    server.cut();
    await is(() => Promise.resolve(server.log.map(({ body }) => body.text)), ['one', 'two', 'three', 'four']);
    await is(texts, ['one', 'two', 'three', 'four']);
    await is(ticks, ['Stored', 'Sent', 'Sent', 'Sent']);
    assert.equal(await page.locator('.pending, .failed').count(), 0);
    server.archive();
    await is(ticks, ['Stored', 'Stored', 'Stored', 'Stored']);
  });

  test('that is not archived outlives a reload, and is sent again; an archived one is not', async () => {
    await write('one');
    await is(ticks, ['Sent']);
    server.archive();
    await is(ticks, ['Stored']);
    await write('two');
    await is(ticks, ['Stored', 'Sent']);
    server.sent = [];
    await page.reload();
    await is(texts, ['one', 'two']);
    await is(() => Promise.resolve(server.sent), ['two']);
    assert.equal(server.log.length, 2);
  });

  test('that nobody answers for outlives a reload without a connection', async () => {
    server.deaf = true;
    await write('into the void');
    await page.locator('.pending', { hasText: 'into the void' }).waitFor();
    server.deaf = false;
    page.once('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await is(texts, ['into the void']);
    assert.equal(server.log.length, 1);
  });

  test('of one who logs out is nobody else’s', async () => {
    await write('one');
    await is(ticks, ['Sent']);
    const kept = () => page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith('chinwag.unsent.')));
    assert.equal((await kept()).length, 1);
    await page.click('#open-account');
    await page.click('#log-out');
    await page.locator('#welcome').waitFor();
    assert.deepEqual(await kept(), []);
  });
});
