/** @import { Chinwag } from '../chinwag.js' */
/** @import { Room } from '../client/types.js' */
/** @import { Directory } from './directory.js' */
/** @import { Rooms } from './rooms.js' */

import { Failure } from '../chinwag.js';
import { Browse } from './browse.js';
import { askDialog } from './dialogs.js';
import { byId } from './dom.js';
import { roomName } from './words.js';

const NOBODY = { 404: 'There is nobody of that name here.' };

/** What one can ask for beside writing: rooms to be made, found, joined and left, and people to be written to or added. */
export class Asks {
  /** The open room to be joined, while that is asked. */
  #joining = '';

  /**
   * @param {object} settings
   * @param {Chinwag} settings.chat
   * @param {Rooms} settings.rooms
   * @param {Directory} settings.directory
   * @param {() => Room | undefined} settings.current the room that is open
   * @param {(answer: { room: Room }) => void} settings.enter
   */
  constructor({ chat, rooms, directory, current, enter }) {
    this.#chat = chat;
    this.#rooms = rooms;
    this.#directory = directory;
    this.#current = current;
    this.#enter = enter;
    this.#setUpRooms();
    this.#setUpPeople();
    for (const button of byId('nothing').querySelectorAll('button')) {
      button.addEventListener('click', () => byId(button.dataset.opens ?? '').click());
    }
  }

  #chat;
  #rooms;
  #directory;
  #current;
  #enter;
  #join = askDialog({ id: 'join', submit: () => this.join(this.#joining) });

  /** Opens the conversation with somebody. @param {string} user an id */
  async write(user) {
    this.#enter(await this.#chat.rpc('direct.open', { user }));
  }

  /** @param {string} room */
  async join(room) {
    this.#enter(await this.#chat.rpc('room.join', { room }));
  }

  /** Somebody came by the address of a room that they are not in. @param {Room} room */
  offer(room) {
    this.#joining = room.id;
    byId('join-text').textContent = room.topic ? `“${roomName(room)}”: ${room.topic}` : `“${roomName(room)}”`;
    this.#join.open();
  }

  #setUpRooms() {
    const create = askDialog({
      id: 'create',
      words: { 404: 'One of these people is not here. Please check the user names.' },
      submit: async ({ name = '', topic = '', kind, members = '' }) => {
        const typed = members.split(/[\s,;，、]+/u).filter((user) => user !== '');
        const users = await Promise.all(typed.map((user) => this.#userCalled(user)));
        this.#enter(await this.#chat.rpc('room.create', { name: name.trim(), topic: topic.trim(), kind, members: users }));
      },
    });
    const leave = askDialog({
      id: 'leave',
      submit: async () => {
        const room = this.#current();
        if (!room) return;
        await this.#chat.rpc('room.leave', { room: room.id });
        this.#rooms.remove(room.id);
      },
    });
    const browse = new Browse({ chat: this.#chat, join: (room) => this.join(room) });
    byId('open-create').addEventListener('click', () => create.open());
    byId('open-browse').addEventListener('click', () => browse.open());
    byId('room-leave').addEventListener('click', () => {
      const room = this.#current();
      if (!room) return;
      byId('leave-text').textContent = room.kind === 'open'
        ? `You can join “${roomName(room)}” again whenever you like.`
        : `To come back to “${roomName(room)}” somebody has to add you again.`;
      leave.open();
    });
  }

  #setUpPeople() {
    const direct = askDialog({
      id: 'direct',
      words: NOBODY,
      submit: async ({ user = '' }) => this.write(await this.#userCalled(user)),
    });
    const invite = askDialog({
      id: 'invite',
      words: { ...NOBODY, 409: 'They are already in the room.' },
      submit: async ({ user = '' }) => {
        const room = this.#current();
        if (room) await this.#chat.rpc('room.invite', { room: room.id, user: await this.#userCalled(user) });
      },
    });
    byId('open-direct').addEventListener('click', () => direct.open());
    byId('room-invite').addEventListener('click', () => invite.open());
  }

  /**
   * User names are kept in lower case, but those that come from another system are as they are.
   *
   * @param {string} typed
   * @returns {Promise<string>} the id
   */
  async #userCalled(typed) {
    const name = typed.trim().replace(/^@/, '');
    const ask = (/** @type {string} */ user) => this.#chat.rpc('user.get', { user });
    const lower = name.toLowerCase();
    const { user } = await ask(name).catch((error) => {
      if (lower === name || Failure.from(error).temporary) throw error;
      return ask(lower);
    });
    this.#directory.learn(user);
    return user.id;
  }
}
