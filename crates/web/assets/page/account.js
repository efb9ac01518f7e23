/** @import { Accounts } from '../client/accounts.js' */
/** @import { User } from '../client/types.js' */

import { onSubmit, plainDialog } from './dialogs.js';
import { byId, paintAvatar } from './dom.js';
import { chooseTheme, currentTheme } from './theme.js';

/**
 * The reader's own window: colours, password, leaving.
 *
 * @param {object} settings
 * @param {User} settings.user
 * @param {string} settings.token
 * @param {Accounts} settings.accounts
 * @param {() => void} settings.logOut
 */
export function setUpAccount({ user, token, accounts, logOut }) {
  const dialog = plainDialog('account');
  const name = user.name || user.id;
  paintAvatar(byId('account-avatar'), user.id, name);
  byId('account-name').textContent = byId('account-full-name').textContent = name;
  byId('account-id').textContent = byId('account-full-id').textContent = name === user.id ? '' : user.id;
  byId('password-user', HTMLInputElement).value = user.id;

  const themes = [...dialog.querySelectorAll('input')].filter((input) => input.name === 'theme');
  for (const input of themes) input.addEventListener('change', () => chooseTheme(input.value));

  const form = byId('password-form', HTMLFormElement);
  const done = byId('password-done');
  onSubmit(form, async ({ old_password, new_password }) => {
    done.textContent = '';
    await accounts.changePassword(token, { old_password, new_password });
    form.reset();
    byId('password-user', HTMLInputElement).value = user.id;
    done.textContent = 'The password is changed. All other sessions have ended.';
  }, { 101: 'The present password is not right.', 103: 'The present password is not right.' });

  byId('log-out').addEventListener('click', logOut);
  byId('open-account').addEventListener('click', () => {
    for (const input of themes) input.checked = input.value === currentTheme();
    form.reset();
    byId('password-user', HTMLInputElement).value = user.id;
    done.textContent = '';
    dialog.showModal();
  });
}
