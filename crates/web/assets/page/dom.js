/** Building the page. Text only ever enters it as text: nothing here, or anywhere, parses markup. */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] absent when null or false
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/**
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id of an element in `index.html`
 * @param {new () => Kind} [kind]
 * @returns {Kind}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!node || (kind && !(node instanceof kind))) throw new Error(`the page has no #${id} of the right kind`);
  return /** @type {Kind} */ (node);
}

/** @param {string} name of a symbol in `index.html` */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * The first letter of a name on one of eight colours.
 *
 * @param {string} id decides the colour, so that a new display name keeps it
 * @param {string} name
 */
export function avatar(id, name) {
  const node = element('span', { class: 'avatar', 'aria-hidden': 'true' });
  paintAvatar(node, id, name);
  return node;
}

/** @param {HTMLElement} node @param {string} id @param {string} name */
export function paintAvatar(node, id, name) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  node.className = `avatar hue-${hash % 8}`;
  node.textContent = [...name.trim()][0]?.toLocaleUpperCase() ?? '?';
}
