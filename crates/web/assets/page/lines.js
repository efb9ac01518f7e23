/** @import { Entry } from '../client/outbox.js' */
/** @import { RoomEvent } from '../client/types.js' */
/** @import { Item, Names } from './message-row.js' */

import { dayItem, messageItem, pendingItem, storyItem, unreadItem } from './message-row.js';
import { isSameDay } from './when.js';

/** Messages of one person within this time stand under one name. */
const TOGETHER = 5 * 60_000;

/**
 * The lines of a conversation from its events and the messages on their way: days between, who speaks once for several
 * messages, and where the unread begins.
 *
 * @param {object} what
 * @param {RoomEvent[]} what.events ascending
 * @param {Entry[]} what.pending
 * @param {number | null} what.unreadAfter the last read event when the room was opened; null for no line
 * @param {Names} what.names
 * @returns {Item[]}
 */
export function linesOf({ events, pending, unreadAfter, names }) {
  /** @type {Item[]} */
  const items = [];
  /** @type {{ time: number, user: string, isMessage: boolean } | null} */
  let previous = null;
  const unreadSeq = firstUnread(events, unreadAfter, names.me);
  const arrived = new Set();

  const begin = (/** @type {number} */ time, /** @type {string} */ user, /** @type {boolean} */ breaks) => {
    const sameDay = previous !== null && isSameDay(previous.time, time);
    if (!sameDay) items.push(dayItem(time));
    if (breaks) items.push(unreadItem());
    return sameDay && !breaks && previous?.isMessage === true && previous.user === user && time - previous.time < TOGETHER;
  };

  for (const event of events) {
    const isMessage = event.type === 'message';
    const compact = begin(event.time, event.user, event.seq === unreadSeq);
    items.push(isMessage ? messageItem(event, { ...names, compact }) : storyItem(event, names));
    if (isMessage && event.user === names.me) arrived.add(event.id);
    previous = { time: event.time, user: event.user, isMessage };
  }
  for (const entry of pending) {
    if (arrived.has(entry.id)) continue;
    // This computer's clock may be behind the server's; a message on its way is the newest all the same.
    const time = Math.max(entry.time, previous?.time ?? 0);
    const compact = begin(time, names.me, false);
    items.push(pendingItem(entry, { ...names, compact }));
    previous = { time, user: names.me, isMessage: true };
  }
  return items;
}

/**
 * Only told when the stretch reaches back to what was read; otherwise the line would stand at a place of no meaning.
 *
 * @param {RoomEvent[]} events @param {number | null} after @param {string} me
 */
function firstUnread(events, after, me) {
  const first = events[0]?.seq;
  if (after === null || first === undefined || first > after + 1) return 0;
  return events.find(({ seq, type, user }) => seq > after && type === 'message' && user !== me)?.seq ?? 0;
}
