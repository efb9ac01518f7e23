/** @import { Chinwag } from '../chinwag.js' */
/** @import { Room } from '../client/types.js' */

import { plainDialog } from './dialogs.js';
import { byId, element } from './dom.js';
import { inWords } from './words.js';

const PAGE = 50;

/** The open rooms, to join one. */
export class Browse {
  /** Where the next page begins. @type {any} */
  #next = undefined;

  /** @param {{ chat: Chinwag, join: (room: string) => Promise<void> }} settings */
  constructor({ chat, join }) {
    this.#chat = chat;
    this.#join = join;
    this.#dialog = plainDialog('browse');
    this.#list = byId('browse-list');
    this.#note = byId('browse-note');
    this.#more = byId('browse-more', HTMLButtonElement);
    this.#more.addEventListener('click', () => void this.#load());
    this.#list.addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('button') : null;
      if (button?.dataset.room) void this.#chosen(button.dataset.room);
    });
  }

  #chat;
  #join;
  #dialog;
  #list;
  #note;
  #more;

  open() {
    this.#next = undefined;
    this.#list.replaceChildren();
    this.#more.hidden = true;
    this.#dialog.showModal();
    void this.#load();
  }

  async #load() {
    this.#note.textContent = 'Loading …';
    try {
      /** @type {{ rooms: Room[], next?: any }} */
      const { rooms, next } = await this.#chat.rpc('room.list', { scope: 'open', limit: PAGE, before: this.#next });
      this.#list.append(...rooms.map(row));
      this.#next = next ?? undefined;
      this.#more.hidden = this.#next === undefined;
      this.#note.textContent = this.#list.childElementCount === 0 ? 'There are none yet. You could make the first.' : '';
    } catch (error) {
      this.#note.textContent = inWords(error);
    }
  }

  /** @param {string} room */
  async #chosen(room) {
    try {
      await this.#join(room);
      this.#dialog.close();
    } catch (error) {
      this.#note.textContent = inWords(error);
    }
  }
}

/** @param {Room} room */
function row({ id, name, topic, members, role }) {
  const count = `${members} ${members === 1 ? 'member' : 'members'}`;
  const words = element(
    'span',
    { class: 'person-words' },
    element('bdi', {}, name),
    element('span', { class: 'muted', dir: 'auto' }, topic ? `${count} · ${topic}` : count),
  );
  const label = element('span', { class: 'unseen' }, ` ${name}`);
  const button = element('button', { class: 'secondary', type: 'button', 'data-room': id }, role ? 'Open' : 'Join', label);
  return element('li', {}, words, button);
}
