/** The centrifuge protocol v2 in JSON: frames in, commands out, and what a close code asks of us. */

import { Failure } from './failure.js';

/**
 * One frame holds one or more messages, a line each.
 *
 * @param {string} frame
 * @returns {import('./types.js').Reply[]}
 */
export function decode(frame) {
  return frame
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/**
 * @param {number} id
 * @param {string} method
 * @param {object} body
 */
export function encode(id, method, body) {
  return JSON.stringify({ id, [method]: body });
}

/** The answer to the server's ping. */
export const PONG = '{}';

/**
 * Whether the server means us to stay away. Everything else (shutdown, slow, network gone) means: come back.
 *
 * @param {number} code
 */
export function isTerminal(code) {
  return (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999);
}

/**
 * Whether an `unsubscribe` push only asks to subscribe anew, positions and all.
 *
 * @param {number} code
 */
export function asksToResubscribe(code) {
  return code >= 2500;
}

/** @param {{ code: number, message: string, temporary?: boolean }} error */
export function failureOf({ code, message, temporary }) {
  // 100 and 111 are temporary by definition, whether or not the flag came along.
  return new Failure({ code, message, temporary: temporary === true || code === 100 || code === 111 });
}

/**
 * Whether an epoch comes after another. Those of other servers than ours have no order.
 *
 * @param {string} one
 * @param {string} other
 */
export function isLater(one, other) {
  const isNumber = /^\d{1,20}$/;
  return isNumber.test(one) && isNumber.test(other) && BigInt(one) > BigInt(other);
}
