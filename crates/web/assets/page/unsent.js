/** @import { Entry, Storage } from '../client/outbox.js' */

/**
 * Messages that are not archived yet, kept in `localStorage` so that they outlive a reload, a closed tab and a crash. Each
 * tab has a drawer of its own, so that tabs do not write over each other; what a tab that is gone has left is taken over
 * by the next one. Should two take it, no harm is done: the ids make repeating safe.
 */

const PREFIX = 'chinwag.unsent.';
const TAB = 'chinwag.tab';
/** A drawer that was not touched for so long belongs to nobody. */
const ABANDONED = 15_000;
const TOUCH = 5000;
/** More than this of one tab is kept in memory alone. */
const BYTES = 1024 * 1024;

/** Whether the reader has logged out: what is still under way then must not come back into the drawer. */
let over = false;

/**
 * @param {string} user
 * @returns {Storage}
 */
export function unsentOf(user) {
  const drawer = `${PREFIX}${user}.${tab()}`;
  /** @type {Entry[]} */
  let kept = [];
  const write = () => {
    if (over) return;
    try {
      const text = JSON.stringify({ touched: Date.now(), entries: kept });
      if (kept.length === 0) localStorage.removeItem(drawer);
      else if (text.length <= BYTES) localStorage.setItem(drawer, text);
    } catch {
      // The browser's store is full or forbidden: what is on its way stays in memory.
    }
  };
  setInterval(() => kept.length > 0 && write(), TOUCH);
  return {
    load() {
      for (const name of drawersOf(user)) {
        const { touched, entries } = open(name);
        if (name !== drawer && Date.now() - touched < ABANDONED) continue;
        kept.push(...entries);
        if (name !== drawer) localStorage.removeItem(name);
      }
      // The ids begin with the time.
      kept.sort((one, other) => (one.id < other.id ? -1 : 1));
      write();
      return kept;
    },
    save(entries) {
      kept = entries;
      write();
    },
  };
}

/** Nothing of a user is left behind by logging out. @param {string} user */
export function dropUnsent(user) {
  over = true;
  for (const name of drawersOf(user)) localStorage.removeItem(name);
}

/** @param {string} user */
function drawersOf(user) {
  return Object.keys(localStorage).filter((name) => name.startsWith(`${PREFIX}${user}.`));
}

/** @param {string} name @returns {{ touched: number, entries: Entry[] }} */
function open(name) {
  try {
    const { touched, entries } = JSON.parse(localStorage.getItem(name) ?? '{}');
    const good = Array.isArray(entries) ? entries.filter((entry) => entry?.id && entry.room) : [];
    return { touched: Number(touched) || 0, entries: good };
  } catch {
    return { touched: 0, entries: [] };
  }
}

/** The same over reloads of this tab. */
function tab() {
  const known = sessionStorage.getItem(TAB);
  if (known) return known;
  const name = Math.random().toString(36).slice(2, 10);
  sessionStorage.setItem(TAB, name);
  return name;
}
