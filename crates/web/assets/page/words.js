/** @import { RoomEvent, Room } from '../client/types.js' */

import { Failure } from '../client/failure.js';

/** What happened, for people: server's codes and room events in words. */

/** @type {Record<number, string>} */
const FAILURES = {
  1: 'There is no connection to the server at the moment.',
  2: 'The server did not answer in time.',
  100: 'The server has a problem at the moment. Please try again.',
  101: 'You are not logged in any more.',
  102: 'There is no such room.',
  103: 'You are not allowed to do that.',
  106: 'That is more than the server allows.',
  109: 'Your session has expired.',
  110: 'Your session has expired.',
  404: 'There is no such person or room.',
  413: 'That is too long.',
};

/**
 * @param {unknown} error
 * @param {Record<number, string>} [special] better words for some codes, where the caller knows what was tried
 * @returns {string} a whole sentence
 */
export function inWords(error, special = {}) {
  const failure = Failure.from(error);
  const { code, message, retryAfter } = failure;
  if (special[code]) return special[code];
  if (code === 111) {
    const seconds = Math.ceil((retryAfter ?? 0) / 1000);
    return seconds > 0 ? `That was too often. Please wait ${seconds} s.` : 'That was too often. Please wait a moment.';
  }
  return FAILURES[code] ?? sentence(message);
}

/** @param {string} fragment */
function sentence(fragment) {
  const text = fragment.charAt(0).toLocaleUpperCase() + fragment.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * A message as text. Whatever is not the page's own `{ text }` is shown as it is.
 *
 * @param {any} body
 * @returns {string}
 */
export function textOf(body) {
  if (typeof body === 'string') return body;
  return typeof body?.text === 'string' ? body.text : JSON.stringify(body ?? null);
}

/** @typedef {string | { user: string }} Word a piece of a sentence; users are named by id, for the view to fill in */

/**
 * What an event other than a message says.
 *
 * @param {RoomEvent} event
 * @returns {Word[]}
 */
export function storyOf(event) {
  const who = { user: event.user };
  if (event.type === 'publication') return [...(event.user ? [who, ': '] : []), textOf(event.data)];
  if (event.type === 'member') return memberStory(event, who);
  if (event.change === 'renamed') return [who, ` named the room “${event.name ?? ''}”`];
  if (event.change === 'topic') return event.topic ? [who, ` set the topic: ${event.topic}`] : [who, ' removed the topic'];
  return [who, ' made the room'];
}

/** @param {RoomEvent} event @param {{ user: string }} who @returns {Word[]} */
function memberStory({ user, member = user, change, role }, who) {
  const whom = { user: member };
  if (change === 'invited') return [who, ' added ', whom];
  if (change === 'removed') return [who, ' removed ', whom];
  if (change === 'role') return [who, ' made ', whom, ` ${role === 'member' ? 'a member' : `an ${role}`}`];
  return [whom, change === 'left' ? ' left' : ' joined'];
}

/**
 * One line about an event, for lists and for reading aloud.
 *
 * @param {RoomEvent} event
 * @param {(user: string) => string} nameOf
 */
export function lineOf(event, nameOf) {
  if (event.type === 'message') return `${nameOf(event.user)}: ${textOf(event.body)}`;
  return storyOf(event)
    .map((word) => (typeof word === 'string' ? word : nameOf(word.user)))
    .join('');
}

/** What a room is called by this reader. @param {Room} room */
export function roomName(room) {
  return room.name || room.peer?.name || room.id;
}
