/**
 * Text with its links, as pieces. Only `http` and `https` become links; what a browser would not read as an address
 * stays text.
 *
 * @typedef {{ text: string, href?: string }} Piece
 */

/** Ends at white space, at quotes and brackets that surround addresses, and at full-width punctuation. */
const ADDRESS = /https?:\/\/[^\s<>"`\u3000-\u303f\uff00-\uffef]+/giu;
/** More usually belongs to the sentence than to the address. */
const TRAILING = /[.,;:!?'*_~\])}]+$/u;

/**
 * @param {string} text
 * @returns {Piece[]}
 */
export function pieces(text) {
  /** @type {Piece[]} */
  const found = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutTrail(match[0]);
    const href = safeAddress(address);
    if (!href) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

/** A closing bracket stays when the address itself opened one, as in encyclopedias. @param {string} address */
function withoutTrail(address) {
  const trail = TRAILING.exec(address)?.[0] ?? '';
  const bare = address.slice(0, address.length - trail.length);
  return bare.includes('(') && !bare.includes(')') && trail.startsWith(')') ? `${bare})` : bare;
}

/** @param {string} address @returns {string | null} */
function safeAddress(address) {
  try {
    const { protocol, href } = new URL(address);
    return protocol === 'https:' || protocol === 'http:' ? href : null;
  } catch {
    return null;
  }
}
