/** Where the page begins: with the session that is kept, or by logging in. */

import { Accounts } from '../chinwag.js';
import { ChatPage } from './chat.js';
import { dropSession, keepSession, keptSession, onSessionChange } from './session.js';
import { welcome } from './welcome.js';

const NOTICE = 'chinwag.notice';
const accounts = new Accounts();
const token = keptSession()?.token;

// Starting afresh is the surest way to leave nothing of one user on screen for the next.
onSessionChange(() => {
  if (keptSession()?.token !== token) location.reload();
});

const session = keptSession() ?? (await welcome({ accounts, notice: takeNotice() }));
keepSession(session);
new ChatPage({ session, accounts, end });

/** @param {string} notice what to tell on the next page */
function end(notice) {
  dropSession();
  if (notice) sessionStorage.setItem(NOTICE, notice);
  history.replaceState(null, '', '/');
  location.reload();
}

function takeNotice() {
  const notice = sessionStorage.getItem(NOTICE) ?? '';
  sessionStorage.removeItem(NOTICE);
  return notice;
}
