/**
 * What goes over the wire, named once. This module holds types only; nothing loads it in a browser.
 *
 * Times are milliseconds since 1970 by the server's clock, sequence numbers count a room's events from 1 without holes.
 *
 * @typedef {{ id: string, name: string, online: boolean, last_seen: number | null }} User
 *
 * @typedef {'owner' | 'admin' | 'member'} Role
 *
 * @typedef {object} Room
 * @property {string} id
 * @property {'group' | 'open' | 'dm' | 'user' | 'channel'} kind
 * @property {string} name
 * @property {string} topic
 * @property {number} seq the newest event's number
 * @property {string} epoch
 * @property {number} messages how many messages the room has had
 * @property {number} members
 * @property {Role | null} role the reader's own role; null outside
 * @property {number} read_seq how far the reader has read
 * @property {number} unread
 * @property {RoomEvent | null} last
 * @property {User} [peer] the other person of a direct room
 *
 * @typedef {object} RoomEvent Something durable that happened in a room.
 * @property {'message' | 'member' | 'room' | 'publication'} type
 * @property {number} seq
 * @property {number} time
 * @property {string} user who did it
 * @property {string} [id] a message's client id
 * @property {any} [body] a message's content, any JSON
 * @property {any} [data] a raw publication's content
 * @property {string} [member] whom a `member` event is about
 * @property {'joined' | 'left' | 'invited' | 'removed' | 'role' | 'created' | 'renamed' | 'topic'} [change]
 * @property {Role} [role]
 * @property {string} [name]
 * @property {string} [topic]
 *
 * @typedef {{ epoch: string, seq: number }} Position How far one has got in a room.
 *
 * @typedef {object} Page A stretch of a room's history, ascending.
 * @property {RoomEvent[]} events
 * @property {number} seq the room's newest event
 * @property {string} epoch
 * @property {boolean} has_before
 * @property {boolean} has_after
 *
 * @typedef {{ id: string, seq: number, epoch: string, time: number, durability: string, duplicate: boolean }} Ack
 *
 * @typedef {{ user: User, role: Role, joined_seq: number }} Member
 *
 * @typedef {{ state: string, last_seen?: number }} Presence
 *
 * @typedef {object} Subscription The server's answer to subscribing, or a subscription it made by itself.
 * @property {number} [offset]
 * @property {string} [epoch]
 * @property {boolean} [recovered]
 * @property {boolean} [was_recovering]
 * @property {Publication[]} [publications]
 *
 * @typedef {{ data: any, offset?: number, info?: { user?: string, client?: string } }} Publication
 *
 * @typedef {object} Push
 * @property {string} [channel]
 * @property {Publication} [pub]
 * @property {Subscription} [subscribe]
 * @property {{ code: number, reason: string }} [unsubscribe]
 * @property {{ code: number, reason: string }} [disconnect]
 *
 * @typedef {object} Reply
 * @property {number} [id]
 * @property {{ code: number, message: string, temporary?: boolean }} [error]
 * @property {Push} [push]
 * @property {any} [connect]
 * @property {any} [subscribe]
 * @property {any} [rpc]
 */

export {};
