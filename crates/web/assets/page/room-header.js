/** @import { Room } from '../client/types.js' */
/** @import { Directory } from './directory.js' */

import { byId } from './dom.js';
import { ago } from './when.js';
import { roomName } from './words.js';

/** The open room's name, what it is about, and what one can do with it. @param {Room} room @param {Directory} directory */
export function showRoomHeader(room, directory) {
  const peer = room.peer && (directory.get(room.peer.id) ?? room.peer);
  byId('room-name').textContent = peer?.name || roomName(room);
  byId('room-topic').textContent = peer ? presenceOf(peer) : room.topic;
  byId('room-people-count').textContent = room.kind === 'dm' ? '' : String(room.members);
  byId('room-invite').hidden = room.kind === 'dm' || room.role === null;
  byId('room-leave').hidden = room.kind === 'dm' || room.role === null;
}

/** @param {import('../client/types.js').User} user */
function presenceOf({ online, last_seen }) {
  if (online) return 'Online';
  return last_seen ? `Seen ${ago(last_seen)}` : 'Offline';
}
