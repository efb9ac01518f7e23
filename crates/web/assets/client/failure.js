/** Why something did not work: the server's answer, or what kept us from getting one. */
export class Failure extends Error {
  /**
   * @param {object} what
   * @param {number} what.code the server's number; below 100 it is ours and nothing is known of the command's fate
   * @param {string} what.message
   * @param {boolean} [what.temporary] the same command may well work later
   * @param {string} [what.slug]
   * @param {string | null} [what.field] the field of the request that was wrong
   * @param {number | null} [what.retryAfter] milliseconds the server asks us to wait
   */
  constructor({ code, message, temporary = false, slug = '', field = null, retryAfter = null }) {
    super(message);
    this.name = 'Failure';
    this.code = code;
    this.slug = slug;
    this.temporary = temporary || code < 100;
    this.field = field;
    this.retryAfter = retryAfter;
  }

  /** Not connected, or the connection ended before the answer. */
  static offline() {
    return new Failure({ code: OFFLINE, message: 'not connected' });
  }

  /** Connected, but no answer came in time. */
  static timeout() {
    return new Failure({ code: TIMEOUT, message: 'no answer in time' });
  }

  /** @param {unknown} error @returns {Failure} */
  static from(error) {
    if (error instanceof Failure) return error;
    return new Failure({ code: 100, message: error instanceof Error ? error.message : String(error) });
  }

  /** The credentials are no good (any more): only logging in again helps. */
  get unauthorized() {
    return UNAUTHORIZED.has(this.code);
  }
}

const OFFLINE = 1;
const TIMEOUT = 2;

/** Errors 101 unauthorized, 109 token expired, 110 expired; close code 3500 invalid token. */
const UNAUTHORIZED = new Set([101, 109, 110, 3500]);
