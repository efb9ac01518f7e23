/**
 * Waiting times between attempts: exponential with full jitter, so that ten thousand clients that lost the same gateway
 * do not come back in the same moment.
 */
export class Backoff {
  #attempt = 0;

  /**
   * @param {object} [settings]
   * @param {number} [settings.base] the first wait's upper bound, in milliseconds
   * @param {number} [settings.limit] the highest upper bound
   * @param {number} [settings.least] the lower bound of every wait: zero would spin when refused at once
   * @param {() => number} [settings.random] from 0 to 1
   */
  constructor({ base = 500, limit = 20_000, least = 100, random = Math.random } = {}) {
    if (!(base > 0 && least >= 0 && limit >= base && limit >= least)) throw new RangeError('backoff: bounds out of order');
    this.#base = base;
    this.#limit = limit;
    this.#least = least;
    this.#random = random;
  }

  #base;
  #limit;
  #least;
  #random;

  /** @returns {number} milliseconds to wait before the next attempt */
  next() {
    // The exponent is bounded only so that it cannot overflow; the limit is reached long before.
    const bound = Math.min(this.#limit, this.#base * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.max(this.#least, Math.round(bound * this.#random()));
  }

  reset() {
    this.#attempt = 0;
  }
}
