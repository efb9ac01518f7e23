/** @import { Entry } from '../client/outbox.js' */
/** @import { RoomEvent } from '../client/types.js' */

import { avatar, element } from './dom.js';
import { pieces } from './links.js';
import { clock, day } from './when.js';
import { inWords, storyOf, textOf } from './words.js';

/**
 * One line of the list of messages, as data: what it shows, and `version`, which is another when it has to be drawn anew.
 *
 * @typedef {object} Item
 * @property {string} key the same for a message on its way and after it arrived, so that it keeps its place and focus
 * @property {string} version
 * @property {number} seq 0 for what has none
 * @property {() => HTMLLIElement} draw
 */

/** @typedef {{ nameOf: (user: string) => string, me: string, isStored?: (event: RoomEvent) => boolean }} Names */

/** @param {number} time @returns {Item} */
export function dayItem(time) {
  const words = day(time);
  return {
    key: `day:${new Date(time).toDateString()}`,
    version: words,
    seq: 0,
    draw: () => element('li', { class: 'day' }, element('span', {}, words)),
  };
}

/** @returns {Item} the line above which everything had been read when the room was opened */
export function unreadItem() {
  return {
    key: 'unread',
    version: '',
    seq: 0,
    draw: () => element('li', { class: 'unread-line' }, element('span', {}, 'New')),
  };
}

/** @param {RoomEvent} event @param {Names} names @returns {Item} */
export function storyItem(event, { nameOf }) {
  const words = storyOf(event).map((word) => (typeof word === 'string' ? word : { name: nameOf(word.user) }));
  return {
    key: `seq:${event.seq}`,
    version: JSON.stringify(words),
    seq: event.seq,
    draw: () => {
      const said = words.map((word) => (typeof word === 'string' ? word : element('bdi', {}, word.name)));
      return element('li', { class: 'story', tabindex: -1 }, ...said, ' ', stamp(event.time));
    },
  };
}

/**
 * @param {RoomEvent} event a message
 * @param {Names & { compact: boolean }} how `compact`: it continues the one before by the same person
 * @returns {Item}
 */
export function messageItem(event, { nameOf, me, isStored, compact }) {
  const { seq, user, id, time } = event;
  const name = nameOf(user);
  const own = user === me;
  const stored = own && isStored?.(event) !== false;
  return {
    key: own && id ? `own:${id}` : `seq:${seq}`,
    version: `${seq} ${compact} ${name} ${stored}`,
    seq,
    draw: () => {
      const node = row({ user, name, time, text: textOf(event.body), classes: classes({ compact, own }) });
      if (own) node.querySelector('.text')?.after(tick(stored));
      return node;
    },
  };
}

/** One for a message that the server has taken, two for one that is in the archive. @param {boolean} stored */
function tick(stored) {
  const words = stored ? 'Stored' : 'Sent';
  const marks = element('span', { 'aria-hidden': 'true' }, stored ? '✓✓' : '✓');
  return element('span', { class: 'tick', title: words }, marks, element('span', { class: 'unseen' }, words));
}

/** @param {Entry} entry @param {Names & { compact: boolean }} how @returns {Item} */
export function pendingItem(entry, { nameOf, me, compact }) {
  const { id, state, time, body, failure } = entry;
  const name = nameOf(me);
  const failed = state === 'failed';
  return {
    key: `own:${id}`,
    version: `${state} ${compact} ${name} ${failure?.code ?? ''}`,
    seq: 0,
    draw: () => {
      const what = classes({ compact, own: true, pending: !failed, failed });
      const node = row({ user: me, name, time, text: textOf(body), classes: what });
      node.lastElementChild?.append(state === 'sent' ? tick(false) : status(entry));
      return node;
    },
  };
}

/** @param {Record<string, boolean>} which */
function classes(which) {
  return ['message', ...Object.keys(which).filter((name) => which[name])].join(' ');
}

/** @param {{ user: string, name: string, time: number, text: string, classes: string }} what */
function row({ user, name, time, text, classes }) {
  const byline = element('p', { class: 'byline' }, element('bdi', { class: 'author' }, name), ' ', stamp(time));
  const words = element('p', { class: 'text', dir: 'auto' }, ...linked(text));
  return element('li', { class: classes, tabindex: -1 }, avatar(user, name), element('div', { class: 'content' }, byline, words));
}

/** @param {string} text @returns {(string | HTMLElement)[]} */
function linked(text) {
  return pieces(text).map(({ text: words, href }) =>
    href ? element('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow', tabindex: -1 }, words) : words,
  );
}

/** @param {Entry} entry */
function status({ id, state, failure }) {
  if (state !== 'failed') return element('p', { class: 'status' }, state === 'sending' ? 'Sending …' : 'Not sent yet');
  const again = element('button', { type: 'button', class: 'link', 'data-retry': id }, 'Try again');
  const away = element('button', { type: 'button', class: 'link', 'data-discard': id }, 'Delete');
  return element('p', { class: 'status' }, element('span', {}, `Not sent. ${inWords(failure)}`), ' ', again, ' ', away);
}

/** @param {number} time */
function stamp(time) {
  return element('time', { datetime: new Date(time).toISOString() }, clock(time));
}
