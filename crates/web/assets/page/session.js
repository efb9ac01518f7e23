/** @import { Session } from '../client/accounts.js' */

/**
 * Who is logged in, kept in `localStorage`: a second tab and a page that the phone has put away are then still logged in,
 * and logging out reaches every tab. `sessionStorage` would keep nothing from a script that got into the page, and the
 * content security policy is what keeps such scripts out. The token never appears in an address.
 */

const KEY = 'chinwag.session';

/** @returns {Session | null} */
export function keptSession() {
  try {
    const session = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    return session?.token && session.user?.id ? session : null;
  } catch {
    return null;
  }
}

/** @param {Session} session */
export function keepSession(session) {
  localStorage.setItem(KEY, JSON.stringify(session));
}

export function dropSession() {
  localStorage.removeItem(KEY);
}

/** Another tab has logged out, or in as somebody else. @param {() => void} listener */
export function onSessionChange(listener) {
  window.addEventListener('storage', ({ key }) => {
    if (key === KEY || key === null) listener();
  });
}
