/** @import { User } from './types.js' */

import { Failure } from './failure.js';

/** @typedef {{ user: User, token: string, expires_at: number | null }} Session */

/** Accounts and sessions, over HTTP: what must work before there is a connection. */
export class Accounts {
  /** @param {string} [base] the server's address without a slash at the end; the page's own by default */
  constructor(base = '') {
    this.#base = base;
  }

  #base;

  /**
   * Makes an account and logs in.
   *
   * @param {{ name: string, display_name?: string, password: string }} account
   * @returns {Promise<Session>}
   */
  register(account) {
    return this.#call('POST', '/v1/users', { body: account });
  }

  /**
   * @param {{ name: string, password: string }} credentials
   * @returns {Promise<Session>}
   */
  logIn(credentials) {
    return this.#call('POST', '/v1/sessions', { body: credentials });
  }

  /** Ends the token and closes its connections. @param {string} token */
  logOut(token) {
    return this.#call('DELETE', '/v1/sessions/current', { token });
  }

  /** @param {string} token @returns {Promise<{ user: User }>} */
  me(token) {
    return this.#call('GET', '/v1/me', { token });
  }

  /**
   * Ends all other sessions as well.
   *
   * @param {string} token
   * @param {{ old_password: string, new_password: string }} passwords
   */
  changePassword(token, passwords) {
    return this.#call('PUT', '/v1/me/password', { token, body: passwords });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ token?: string, body?: object }} what
   * @returns {Promise<any>}
   */
  async #call(method, path, { token, body }) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (token) headers.authorization = `Bearer ${token}`;
    if (body) headers['content-type'] = 'application/json';
    const request = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(CALL_WAIT) };
    const response = await fetch(this.#base + path, request).catch(() => {
      throw Failure.offline();
    });
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    throw refusal(response, answer);
  }
}

/** Passwords are hashed slowly on purpose, and may have to queue. */
const CALL_WAIT = 30_000;

/** @param {Response} response @param {any} answer */
function refusal(response, answer) {
  const seconds = Number(response.headers.get('retry-after'));
  const { code, slug, message, field } = answer?.error ?? {};
  return new Failure({
    // Without our body the answer is from something in between; 5xx of a proxy means as much as no connection.
    code: code ?? (response.status >= 500 ? 1 : response.status),
    slug,
    message: message ?? `HTTP status ${response.status}`,
    field,
    temporary: response.status === 429 || response.status >= 500,
    retryAfter: seconds > 0 ? seconds * 1000 : null,
  });
}
