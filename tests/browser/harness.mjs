/** Browsers, people and waiting, for the tests of the chat page in a real Chromium. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';

import { chromium } from 'playwright-core';

/** The server under test, which somebody else has started. */
export const SERVER = process.env.CHINWAG_URL ?? 'http://127.0.0.1:8000';
const PASSWORD = 'correct horse battery';
const PATIENCE = 15_000;
/** Names must be new on a server that was used before. */
const RUN = Date.now().toString(36).slice(-6);
/** What a browser itself says when a connection cannot be made, or an answer is an error, is no fault of the page. */
const EXPECTED = /WebSocket connection to|net::ERR_|Failed to load resource/;

/** @returns {Promise<import('playwright-core').Browser>} */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Somebody with a browser of their own. */
export class Person {
  /** What went wrong in the page without anybody seeing it. @type {string[]} */
  problems = [];

  /** @param {import('playwright-core').BrowserContext} context @param {string} name @param {string} display */
  constructor(context, name, display) {
    this.context = context;
    this.name = `${name}-${RUN}`;
    this.display = display;
    this.password = PASSWORD;
  }

  /**
   * Registers by the page's own form.
   *
   * @param {import('playwright-core').Browser} browser
   * @param {string} name
   * @param {{ display?: string, settings?: import('playwright-core').BrowserContextOptions }} [how]
   */
  static async register(browser, name, { display = name, settings = {} } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...settings });
    const person = new Person(context, name, display);
    person.page = await person.tab();
    await person.page.click('#welcome-switch');
    await person.page.fill('#welcome-name', person.name);
    await person.page.fill('#welcome-display', display);
    await person.page.fill('#welcome-password', person.password);
    await person.page.click('#welcome-submit');
    await person.page.locator('#chat').waitFor();
    return person;
  }

  /** Another tab of the same browser. */
  async tab() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.problems.push(String(error.stack)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !EXPECTED.test(message.text())) this.problems.push(message.text());
    });
    await page.goto(SERVER);
    return page;
  }

  /** Makes a room by the page's own form, and has it open. @param {string} name @param {object} [how] */
  async createRoom(name, { members = [], open = false } = {}) {
    const { page } = this;
    await page.click('#open-create');
    await page.fill('#create-name', name);
    if (open) await page.check('#create input[value="open"]');
    await page.fill('#create-members', members.map((person) => person.name).join(' '));
    await page.click('#create button[type="submit"]');
    await page.locator('#room-name', { hasText: name }).waitFor();
    return this.room();
  }

  /** The id of the open room. */
  room() {
    return decodeURIComponent(new URL(this.page.url()).hash.replace('#/room/', ''));
  }

  /** @param {string} room its name in the list */
  link(room) {
    return this.page.locator('.room-link', { has: this.page.locator('.room-name', { hasText: room }) });
  }

  /** @param {string} room */
  async openRoom(room) {
    await this.link(room).click();
    await this.page.locator('#room-name', { hasText: room }).waitFor();
  }

  /** @param {string} text */
  async write(text) {
    await this.page.fill('#composer-text', text);
    await this.page.press('#composer-text', 'Enter');
  }

  /** The messages on screen that are not on their way any more. */
  texts() {
    return this.page.locator('#messages .message:not(.pending):not(.failed) .text').allInnerTexts();
  }

  /** Waits for a message to be there. @param {string} text */
  sees(text) {
    return this.page.locator('#messages .message:not(.pending) .text', { hasText: text }).first().waitFor();
  }

  /** Calls the HTTP API as this person. @param {string} method @param {string} path @param {object} [body] */
  async api(method, path, body) {
    this.token ??= await this.page.evaluate(() => JSON.parse(localStorage.getItem('chinwag.session') ?? '{}').token);
    for (;;) {
      const response = await fetch(SERVER + path, {
        method,
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
      });
      if (response.status !== 429) {
        assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
        return response.status === 204 ? null : response.json();
      }
      await pause(1000 * Number(response.headers.get('retry-after') ?? 1));
    }
  }

  /** @param {string} room an id @param {string} text */
  post(room, text) {
    return this.api('POST', `/v1/rooms/${encodeURIComponent(room)}/messages`, { body: { text } });
  }

  /** Nothing went wrong unseen. */
  isContent() {
    assert.deepEqual(this.problems, [], `${this.name}'s page`);
  }
}

/** @param {number} time */
export function pause(time) {
  return new Promise((resolve) => setTimeout(resolve, time));
}

/**
 * Waits until a check of what `look` returns no longer throws.
 *
 * @template Seen
 * @param {() => Promise<Seen>} look
 * @param {(seen: Seen) => void} check
 */
export async function eventually(look, check) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return check(await look());
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause(50);
    }
  }
}

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails on what would keep somebody out: axe-core's serious and critical findings. @param {import('playwright-core').Page} page */
export async function assertAccessible(page) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations: found } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
  });
  assert.deepEqual(violations, []);
}
