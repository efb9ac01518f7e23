/**
 * Times in words. Days and months are English like the rest of the page; the clock is the reader's own, since twelve or
 * twenty-four hours is a habit and not a language.
 */

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat('en', { weekday: 'long' });
const SHORT_WEEKDAY = new Intl.DateTimeFormat('en', { weekday: 'short' });
const DATE = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const DATE_WITH_YEAR = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT_DATE = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const AGO = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const DAY = 86_400_000;

/** @param {number} time */
export function clock(time) {
  return CLOCK.format(time);
}

/** Days from `time` to now by the calendar; noon avoids the hours that clocks skip or repeat. @param {number} time */
function daysAgo(time) {
  return Math.round((new Date().setHours(12, 0, 0, 0) - new Date(time).setHours(12, 0, 0, 0)) / DAY);
}

/** A day as a heading. @param {number} time */
export function day(time) {
  const days = daysAgo(time);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days < 7) return WEEKDAY.format(time);
  return new Date(time).getFullYear() === new Date().getFullYear() ? DATE.format(time) : DATE_WITH_YEAR.format(time);
}

/** As short as a list allows. @param {number} time */
export function brief(time) {
  const days = daysAgo(time);
  if (days <= 0) return clock(time);
  return days < 7 ? SHORT_WEEKDAY.format(time) : SHORT_DATE.format(time);
}

/** @param {number} time @param {number} [now] */
export function ago(time, now = Date.now()) {
  const minutes = Math.round((now - time) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return AGO.format(-minutes, 'minute');
  if (minutes < 24 * 60) return AGO.format(-Math.round(minutes / 60), 'hour');
  return AGO.format(-Math.round(minutes / (24 * 60)), 'day');
}

/** @param {number} first @param {number} second */
export function isSameDay(first, second) {
  return new Date(first).toDateString() === new Date(second).toDateString();
}
