/** The chat page in a real browser, against the server at CHINWAG_URL. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Person, SERVER, assertAccessible, eventually, launch, pause } from './harness.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Person} */
let alice;
/** @type {Person} */
let bob;

before(async () => {
  browser = await launch();
  alice = await Person.register(browser, 'alice', { display: 'Alice <b>Okafor</b>' });
  bob = await Person.register(browser, 'bob', { display: '陈小雨' });
});

after(async () => {
  await browser?.close();
});

describe('two people', () => {
  test('chat both ways, in order, once each', async () => {
    await alice.createRoom('Tea', { members: [bob] });
    await bob.openRoom('Tea');
    await alice.write('Four o’clock?');
    await bob.sees('Four o’clock?');
    await bob.write('好的，四点见！🫖');
    await alice.sees('好的，四点见！🫖');
    for (let count = 1; count <= 5; count += 1) await alice.write(`cup ${count}`);
    const expected = ['Four o’clock?', '好的，四点见！🫖', 'cup 1', 'cup 2', 'cup 3', 'cup 4', 'cup 5'];
    for (const person of [alice, bob]) await eventually(() => person.texts(), (texts) => assert.deepEqual(texts, expected));
    assert.equal(await alice.page.locator('.pending, .failed').count(), 0);
    await bob.page.locator('.author', { hasText: 'Alice <b>Okafor</b>' }).first().waitFor();
  });

  test('reload without losing or doubling anything', async () => {
    const expected = await bob.texts();
    await bob.page.reload();
    await eventually(() => bob.texts(), (texts) => assert.deepEqual(texts, expected));
  });

  test('hear what is new, and not what is old', async () => {
    await bob.write('said aloud');
    await alice.page.locator('#announcer', { hasText: '陈小雨: said aloud' }).waitFor({ state: 'attached' });
    const told = await bob.page.locator('#announcer').innerText();
    assert.ok(!told.includes('Four o’clock?'), told);
  });

  test('see who is there', async () => {
    const online = alice.page.locator('.people-lists ul').first();
    await online.locator('.person', { hasText: bob.name }).waitFor();
    const carol = await Person.register(browser, 'carol');
    await alice.page.click('#room-invite');
    await alice.page.fill('#invite-user', carol.name);
    await alice.page.click('#invite button[type="submit"]');
    await online.locator('.person', { hasText: carol.name }).waitFor();
    await alice.page.locator('.story', { hasText: 'added carol' }).waitFor();
    await carol.link('Tea').waitFor();
    await carol.context.close();
    await alice.page.locator('.people-lists ul').nth(1).locator('.person', { hasText: carol.name }).waitFor({ timeout: 30_000 });
    carol.isContent();
  });

  test('begin a direct conversation', async () => {
    await bob.page.click('#open-direct');
    await bob.page.fill('#direct-user', alice.name.toUpperCase());
    await bob.page.click('#direct button[type="submit"]');
    await bob.page.locator('#room-name', { hasText: 'Alice' }).waitFor();
    await bob.write('just for you');
    await bob.sees('just for you');
    await alice.link('陈小雨').locator('.badge').waitFor();
    await alice.openRoom('陈小雨');
    await alice.sees('just for you');
    await alice.write('thank you');
    await bob.sees('thank you');
    await bob.page.click('#open-direct');
    await bob.page.fill('#direct-user', 'nobody-at-all');
    await bob.page.click('#direct button[type="submit"]');
    await bob.page.locator('#direct .error', { hasText: 'nobody of that name' }).waitFor();
    await bob.page.keyboard.press('Escape');
  });
});

describe('what is written', () => {
  test('is shown as text, whatever it looks like', async () => {
    await alice.openRoom('Tea');
    await bob.openRoom('Tea');
    const nasty = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script> javascript:globalThis.hacked=1 &amp; https://example.org/?a=<b>';
    await alice.write(nasty);
    await bob.sees('<script>');
    assert.equal((await bob.texts()).at(-1), nasty);
    for (const { page } of [alice, bob]) {
      assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
      assert.equal(await page.locator('#chat img[src="x"], #chat script, #messages b').count(), 0);
    }
    const link = bob.page.locator('#messages a').last();
    assert.equal(await link.getAttribute('href'), 'https://example.org/?a=');
    assert.match((await link.getAttribute('rel')) ?? '', /noopener/);
  });

  test('is not sent by the Enter that chooses a word', async () => {
    const { page } = alice;
    const before = (await alice.texts()).length;
    const keyboard = await alice.context.newCDPSession(page);
    await page.focus('#composer-text');
    await keyboard.send('Input.imeSetComposition', { text: '你好', selectionStart: 2, selectionEnd: 2 });
    const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 229 };
    await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...enter });
    await keyboard.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter });
    await pause(300);
    assert.equal((await alice.texts()).length + (await page.locator('.pending').count()), before);
    await keyboard.send('Input.insertText', { text: '你好' });
    assert.equal(await page.inputValue('#composer-text'), '你好');
    await page.keyboard.press('Enter');
    await bob.sees('你好');
  });

  test('may have lines, and stays as a draft', async () => {
    const { page } = alice;
    await page.fill('#composer-text', '');
    await page.keyboard.type('first');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second');
    await alice.openRoom('陈小雨');
    assert.equal(await page.inputValue('#composer-text'), '');
    await alice.openRoom('Tea');
    assert.equal(await page.inputValue('#composer-text'), 'first\nsecond');
    await page.keyboard.press('Enter');
    await bob.sees('second');
    assert.equal((await bob.texts()).at(-1), 'first\nsecond');
  });

  test('is refused in words when it is too long', async () => {
    const { page } = alice;
    await page.fill('#composer-text', '长'.repeat(12_000));
    await page.locator('#composer-note', { hasText: 'Too long' }).waitFor();
    await page.press('#composer-text', 'Enter');
    assert.equal(await page.locator('.pending, .failed').count(), 0);
    await page.fill('#composer-text', '');
  });
});

describe('unread marks', () => {
  test('count, go away by reading, and follow in the other tab', async () => {
    await alice.openRoom('Tea');
    await bob.openRoom('Alice');
    const other = await bob.tab();
    const badge = other.locator('.room-link', { hasText: 'Tea' }).locator('.badge');
    for (const text of ['one', 'two', 'three']) await alice.write(text);
    for (const place of [bob.link('Tea').locator('.badge'), badge]) {
      await eventually(() => place.allTextContents(), (texts) => assert.deepEqual(texts, ['3 unread']));
    }
    await eventually(() => bob.page.title(), (title) => assert.match(title, /^\(1\)/));
    await bob.openRoom('Tea');
    await bob.page.locator('.unread-line').waitFor();
    await bob.link('Tea').locator('.badge').waitFor({ state: 'detached' });
    await badge.waitFor({ state: 'detached' });
    await other.close();
    await bob.page.reload();
    await bob.sees('three');
    assert.equal(await bob.link('Tea').locator('.badge').count(), 0);
  });
});

describe('a long history', () => {
  /** More than a room keeps in Redis, so that scrolling crosses into the archive. */
  const COUNT = 260;

  test('is scrolled back to its beginning, complete, in place and within bounds', async () => {
    const room = await alice.createRoom('Long', { members: [bob] });
    for (let count = 1; count <= COUNT; count += 1) await alice.post(room, `number ${count}.`);
    await bob.openRoom('Tea');
    await bob.page.reload();
    await bob.sees('three');
    const seen = new Set();
    // Far behind, one begins where one stopped reading, which here is the beginning.
    await bob.openRoom('Long');
    await bob.sees('number 1.');
    await bob.page.click('#jump');
    await bob.sees(`number ${COUNT}.`);
    await bob.link('Long').locator('.badge').waitFor({ state: 'detached' });
    await bob.page.reload();
    await bob.sees(`number ${COUNT}.`);
    const scroller = bob.page.locator('#scroller');
    await eventually(
      async () => {
        for (const text of await bob.texts()) seen.add(text);
        await scroller.evaluate((node) => node.scrollBy(0, -700));
        return bob.page.locator('#history-note').innerText();
      },
      (note) => assert.match(note, /beginning/),
    );
    for (const text of await bob.texts()) seen.add(text);
    const all = Array.from({ length: COUNT }, (_, index) => `number ${index + 1}.`);
    assert.deepEqual([...seen].sort(), [...all].sort());
    assert.deepEqual(await bob.texts(), all);
    assert.ok((await bob.page.locator('#messages > li').count()) < 350);
    const announced = await bob.page.locator('#announcer').innerText();
    assert.ok(!announced.includes('number'), announced);
  });

  test('does not move under the reader, who is told of what is new', async () => {
    const { page } = bob;
    await page.locator('#scroller').evaluate((node) => void (node.scrollTop = 900));
    await pause(200);
    const place = () => page.evaluate(() => {
      const row = document.elementFromPoint(600, 300)?.closest('.message');
      return `${row?.textContent} ${Math.round(row?.getBoundingClientRect().top ?? 0)}`;
    });
    const where = await place();
    await alice.write('while you were reading');
    await page.locator('#jump', { hasText: '1 new message' }).waitFor();
    assert.equal(await place(), where);
    await page.click('#jump');
    await bob.sees('while you were reading');
    await page.locator('#jump').waitFor({ state: 'hidden' });
    await bob.link('Long').locator('.badge').waitFor({ state: 'detached' });
  });

  test('keeps the place when older messages come in above', async () => {
    const { page } = bob;
    await page.reload();
    await bob.sees('while you were reading');
    const moved = await page.locator('#scroller').evaluate(async (scroller) => {
      const rows = () => [...scroller.querySelectorAll('.message')];
      const top = (/** @type {Element} */ row) => row.getBoundingClientRect().top;
      const count = rows().length;
      // Not the very first line: it loses its name when the same person's messages come in above it.
      scroller.scrollTop = 300;
      const row = rows().find((one) => top(one) > 100);
      if (!row) return 'nothing in sight';
      const before = top(row);
      while (rows().length <= count) await new Promise((go) => setTimeout(go, 20));
      return Math.abs(top(row) - before);
    });
    assert.ok(typeof moved === 'number' && moved <= 1, `moved by ${moved}`);
  });
});

describe('a lost connection', () => {
  test('loses and doubles nothing, either way', async () => {
    await alice.openRoom('Tea');
    await bob.openRoom('Tea');
    await bob.sees('three');
    const before = await bob.texts();
    await alice.context.setOffline(true);
    await alice.page.locator('#banner', { hasText: 'No connection' }).waitFor();
    for (const text of ['while away 1', 'while away 2', 'while away 3']) await bob.write(text);
    await alice.write('from the tunnel');
    await alice.page.locator('.pending', { hasText: 'from the tunnel' }).waitFor();
    await assertAccessible(alice.page);
    await bob.sees('while away 3');
    await alice.context.setOffline(false);
    await bob.sees('from the tunnel');
    const expected = [...before, 'while away 1', 'while away 2', 'while away 3', 'from the tunnel'];
    for (const person of [alice, bob]) await eventually(() => person.texts(), (texts) => assert.deepEqual(texts, expected));
    await alice.page.locator('#banner').waitFor({ state: 'hidden' });
    assert.equal(await alice.page.locator('.pending, .failed').count(), 0);
  });

  test('keeps what was written over a reload', async () => {
    await alice.context.setOffline(true);
    await alice.page.locator('#banner', { hasText: 'No connection' }).waitFor();
    await alice.write('unsent before the reload');
    await alice.page.locator('.pending').waitFor();
    await alice.context.setOffline(false);
    alice.page.once('dialog', (dialog) => void dialog.accept());
    await alice.page.reload();
    await bob.sees('unsent before the reload');
    await eventually(() => bob.texts(), (texts) => assert.equal(texts.filter((text) => text.startsWith('unsent')).length, 1));
    await alice.sees('unsent before the reload');
  });
});

describe('open rooms', () => {
  test('are found, joined and left', async () => {
    await alice.createRoom('Garden', { open: true });
    await alice.write('mind the roses');
    const { page } = bob;
    await page.click('#open-browse');
    const garden = page.locator('#browse-list li', { hasText: 'Garden' }).first();
    await garden.locator('button', { hasText: 'Join' }).click();
    await page.locator('#room-name', { hasText: 'Garden' }).waitFor();
    await bob.sees('mind the roses');
    await alice.page.locator('.story', { hasText: '陈小雨 joined' }).waitFor();
    await page.click('#room-leave');
    await page.click('#leave button[type="submit"]');
    await page.locator('#nothing').waitFor();
    await bob.link('Garden').waitFor({ state: 'detached' });
    await alice.page.locator('.story', { hasText: '陈小雨 left' }).waitFor();
  });

  test('can be joined by their address, and others stay unknown', async () => {
    const { page } = bob;
    const address = alice.page.url();
    await page.goto(address);
    await page.locator('#join-text', { hasText: 'Garden' }).waitFor();
    await page.click('#join button[type="submit"]');
    await bob.sees('mind the roses');
    const secret = await alice.createRoom('Secret');
    await page.goto(`${SERVER}/#/room/${encodeURIComponent(secret)}`);
    await page.locator('#nothing').waitFor();
    assert.equal(await page.locator('#join').isVisible(), false);
    assert.equal(new URL(page.url()).hash, '#/');
  });
});

describe('the keyboard', () => {
  test('goes from room to room, through the messages, and back to writing', async () => {
    const { page } = alice;
    await alice.openRoom('Tea');
    await alice.sees('three');
    const first = await page.locator('#room-name').innerText();
    await page.keyboard.press('Alt+ArrowDown');
    await eventually(() => page.locator('#room-name').innerText(), (name) => assert.notEqual(name, first));
    await page.keyboard.press('Alt+ArrowUp');
    await page.locator('#room-name', { hasText: first }).waitFor();
    await alice.sees('three');
    await page.focus('#composer-text');
    await page.keyboard.press('Shift+Tab');
    const focused = () => page.evaluate(() => document.activeElement?.closest('#messages > li')?.textContent ?? '');
    const last = await focused();
    assert.notEqual(last, '');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    assert.notEqual(await focused(), last);
    const ring = await page.evaluate(() => getComputedStyle(/** @type {Element} */ (document.activeElement)).outlineStyle);
    assert.equal(ring, 'solid');
    await page.keyboard.press('End');
    assert.equal(await focused(), last);
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'composer-text');
  });
});

describe('everybody', () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    test(`can use the page: axe-core finds nothing serious, ${colorScheme}`, async () => {
      const context = await browser.newContext({ colorScheme });
      const door = await context.newPage();
      await door.goto(SERVER);
      await door.locator('#welcome').waitFor();
      await assertAccessible(door);
      await context.close();

      const { page } = bob;
      // Colours that are still on their way are no finding.
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await bob.openRoom('Tea');
      await bob.sees('three');
      await alice.openRoom('Tea');
      await assertAccessible(page);
      for (const [button, dialog] of [['#open-create', '#create'], ['#open-account', '#account'], ['#open-browse', '#browse']]) {
        await page.click(button);
        await page.locator(`${dialog}[open]`).waitFor();
        await assertAccessible(page);
        await page.keyboard.press('Escape');
      }
    });
  }

  test('can choose the colours, which stay', async () => {
    const { page } = bob;
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await background();
    await page.click('#open-account');
    await page.check('#account input[value="dark"]');
    await page.keyboard.press('Escape');
    assert.notEqual(await background(), light);
    await page.reload();
    await bob.sees('three');
    assert.notEqual(await background(), light);
  });
});

describe('a phone', () => {
  test('shows one pane at a time, with targets for fingers', async () => {
    const settings = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
    const dana = await Person.register(browser, 'dana', { settings });
    const { page } = dana;
    await alice.createRoom('Pocket', { members: [dana] });
    await dana.link('Pocket').tap();
    await page.locator('#composer-text').waitFor();
    assert.equal(await page.locator('.rooms').isVisible(), false);
    await page.fill('#composer-text', 'from the bus');
    await page.tap('.send');
    await alice.sees('from the bus');
    await page.tap('#room-people');
    await page.locator('.person', { hasText: alice.name }).waitFor();
    await assertAccessible(page);
    await page.tap('#people-close');
    const small = await page.evaluate(() => [...document.querySelectorAll('button, a, textarea')]
      .map((node) => ({ node, box: node.getBoundingClientRect() }))
      .filter(({ node, box }) => box.width > 2 && !node.closest('#messages') && (box.width < 44 || box.height < 44))
      .map(({ node, box }) => `${node.id || node.className} ${box.width}×${box.height}`));
    assert.deepEqual(small, []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.tap('#room-back');
    await dana.link('Pocket').waitFor();
    assert.equal(await page.locator('.conversation').isVisible(), false);
    await page.goBack();
    await dana.sees('from the bus');
    dana.isContent();
    await dana.context.close();
  });
});

describe('the session', () => {
  test('ends everywhere by changing the password, and says so', async () => {
    const context = await browser.newContext();
    const elsewhere = new Person(context, 'alice', '');
    elsewhere.name = alice.name;
    elsewhere.page = await elsewhere.tab();
    const { page } = elsewhere;
    await page.fill('#welcome-name', alice.name);
    await page.fill('#welcome-password', 'wrong password');
    await page.click('#welcome-submit');
    await page.locator('#welcome-error', { hasText: 'is not right' }).waitFor();
    await page.fill('#welcome-password', alice.password);
    await page.click('#welcome-submit');
    await elsewhere.link('Tea').waitFor();

    await alice.page.click('#open-account');
    await alice.page.click('summary:has-text("Change the password")');
    await alice.page.fill('#password-old', alice.password);
    await alice.page.fill('#password-new', 'another long password');
    await alice.page.click('#password-form button');
    await alice.page.locator('#password-done', { hasText: 'changed' }).waitFor();
    await alice.page.keyboard.press('Escape');
    await page.locator('#welcome-notice', { hasText: 'session has ended' }).waitFor();
    await alice.openRoom('Tea');
    await alice.write('still here');
    await alice.sees('still here');
    await context.close();
  });

  test('ends in all tabs by logging out', async () => {
    const other = await bob.tab();
    await other.locator('.room-link').first().waitFor();
    await bob.page.click('#open-account');
    await bob.page.click('#log-out');
    for (const page of [bob.page, other]) await page.locator('#welcome').waitFor();
    assert.equal(await other.evaluate(() => localStorage.getItem('chinwag.session')), null);
  });

  test('went without an error that nobody saw', () => {
    alice.isContent();
    bob.isContent();
  });
});
