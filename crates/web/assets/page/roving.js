/**
 * One stop of the Tab key for a whole list, and the arrow keys within it.
 *
 * @param {HTMLElement} list
 * @param {string} selector of the items
 * @returns {{ refresh: (preferred?: 'first' | 'last') => void }} `refresh` after items have come or gone
 */
export function roving(list, selector) {
  /** @type {HTMLElement | null} */
  let current = null;

  /** @returns {HTMLElement[]} */
  const items = () => [...list.querySelectorAll(/** @type {'li'} */ (selector))];

  /** @param {HTMLElement | null} item */
  const select = (item) => {
    if (current && current !== item) setStops(current, -1);
    current = item;
    if (item) setStops(item, 0);
  };

  list.addEventListener('focusin', ({ target }) => {
    const item = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(selector)) : null;
    if (item) select(item);
  });

  list.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = items();
    const at = all.findIndex((item) => item.contains(document.activeElement));
    const next = at < 0 ? undefined : all[target(event.key, at, all.length)];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  });

  return {
    refresh(preferred = 'first') {
      const all = items();
      if (current && all.includes(current)) return;
      select((preferred === 'last' ? all.at(-1) : all[0]) ?? null);
    },
  };
}

/** @param {string} key @param {number} at @param {number} length @returns {number} −1 for no move */
function target(key, at, length) {
  switch (key) {
    case 'ArrowUp':
      return at - 1;
    case 'ArrowDown':
      return at + 1 < length ? at + 1 : -1;
    case 'Home':
      return 0;
    case 'End':
      return length - 1;
    default:
      return -1;
  }
}

/** The item and, since a list of messages may hold a hundred links, what can be focused inside. @param {HTMLElement} item @param {number} stop */
function setStops(item, stop) {
  item.tabIndex = stop;
  for (const link of item.querySelectorAll('a')) link.tabIndex = stop;
}
