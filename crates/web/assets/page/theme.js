/** Light, dark, or as the system has it. Runs before the first paint. */

/** @typedef {'auto' | 'light' | 'dark'} Theme */

const KEY = 'chinwag.theme';

/** @returns {Theme} */
export function currentTheme() {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'auto';
}

/** @param {string} theme */
export function chooseTheme(theme) {
  if (theme === 'light' || theme === 'dark') localStorage.setItem(KEY, theme);
  else localStorage.removeItem(KEY);
  show();
}

function show() {
  document.documentElement.dataset.theme = currentTheme();
}

show();
// Another tab of the same page has chosen.
window.addEventListener('storage', show);
