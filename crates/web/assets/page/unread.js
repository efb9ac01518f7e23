/**
 * How many messages of one room are unread. The server counts, and says as of which event; we only add what came after.
 * A mark and a message may reach us in either order, so marks are never believed about how many are left: that follows
 * from which messages we know of.
 */
export class Unread {
  /** As of which event the server has counted. */
  #seq;
  #readSeq;
  /** Unread messages up to `#seq`. */
  #counted;
  /** The numbers of the messages after `#seq`, ascending. @type {number[]} */
  #later = [];

  /** @param {{ seq: number, read_seq: number, unread: number }} room as the server describes it */
  constructor({ seq, read_seq, unread }) {
    this.#seq = seq;
    this.#readSeq = read_seq;
    this.#counted = unread;
  }

  get count() {
    return this.#counted + this.#later.length;
  }

  get readSeq() {
    return this.#readSeq;
  }

  /** A message has come. @param {number} seq higher than all before */
  add(seq) {
    if (seq <= this.#seq || seq <= this.#readSeq) return;
    this.#later.push(seq);
    if (this.#later.length > LATER_LIMIT) this.#fold();
  }

  /**
   * The reader has read up to here.
   *
   * @param {number} seq
   * @param {number} left how many were left when the server was told
   * @returns {boolean} whether the count is right; otherwise it is the best guess until the server is asked
   */
  read(seq, left) {
    if (seq <= this.#readSeq) return true;
    this.#readSeq = seq;
    this.#later = this.#later.filter((later) => later > seq);
    const known = seq >= this.#seq || this.#counted === 0;
    this.#counted = known ? 0 : Math.min(this.#counted, left);
    return known;
  }

  /** Keeps what is known beyond a newer answer of the server. @param {Unread} older */
  follow(older) {
    for (const seq of older.#later) this.add(seq);
    return this.read(older.#readSeq, this.#counted);
  }

  /** In a busy room that nobody reads, numbers need not be kept for ever. */
  #fold() {
    const folded = this.#later.splice(0, LATER_LIMIT / 2);
    this.#counted += folded.length;
    this.#seq = folded.at(-1) ?? this.#seq;
  }
}

const LATER_LIMIT = 1000;
