//! How well everything works at this moment, as clients feel it.
//!
//! For each seat, which is a client in a room, it is known when the latest message that it was
//! given had been sent; so once all seats have something that was sent after a certain time,
//! everything works that did not work before.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// What clients feel, in numbers that anybody may look at.
pub(crate) struct Pulse {
    clients: Vec<AtomicBool>,
    rooms: Vec<Room>,
    seats: Vec<Seat>,
    open: AtomicI64,
    /// Those who have come into a room and will leave it again.
    guests: AtomicI64,
    /// Whether clients are told what is archived.
    marks: AtomicBool,
}

#[derive(Default)]
struct Room {
    /// When the latest accepted message was sent.
    accepted: AtomicU64,
    /// When the latest archived message was sent.
    durable: AtomicU64,
}

/// A client in a room.
struct Seat {
    client: u32,
    room: u32,
    /// When the latest message given there was sent.
    latest: AtomicU64,
    /// Where the client stands.
    seq: AtomicU64,
}

/// What does not work yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ailing {
    /// This client has no session.
    Away(u32),
    /// Nothing that was sent to this room since has been taken.
    Mute(u32),
    /// This client has been given nothing that was sent to this room since.
    Deaf(u32, u32),
    /// Nothing that was sent to this room since has reached the archive.
    Unsaved(u32),
}

impl Pulse {
    /// Of so many clients and rooms, with these seats.
    pub fn new(clients: usize, rooms: usize, seats: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let seat = |(client, room)| Seat {
            client,
            room,
            latest: AtomicU64::new(0),
            seq: AtomicU64::new(0),
        };
        Self {
            clients: (0..clients).map(|_| AtomicBool::default()).collect(),
            rooms: (0..rooms).map(|_| Room::default()).collect(),
            seats: seats.into_iter().map(seat).collect(),
            open: AtomicI64::new(0),
            guests: AtomicI64::new(0),
            marks: AtomicBool::new(false),
        }
    }

    /// A client has a session, or has it no more.
    pub fn connected(&self, client: u32, is: bool) {
        if let Some(client) = self.clients.get(client as usize) {
            client.store(is, Ordering::Relaxed);
        }
    }

    /// A message has been sent.
    pub fn sent(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A message is durable, or has failed.
    pub fn settled(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Messages of which it is not known what becomes of them.
    pub fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Somebody comes into a room to leave it again.
    pub fn comes(&self) {
        self.guests.fetch_add(1, Ordering::Relaxed);
    }

    /// They have left it.
    pub fn left(&self) {
        self.guests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Those who will still leave a room, which is an event of it.
    pub fn guests(&self) -> i64 {
        self.guests.load(Ordering::Relaxed)
    }

    /// A message that was sent at this time has been taken.
    pub fn accepted(&self, room: u32, sent: u64) {
        if let Some(room) = self.rooms.get(room as usize) {
            room.accepted.fetch_max(sent, Ordering::Relaxed);
        }
    }

    /// A message that was sent at this time has reached the archive.
    pub fn durable(&self, room: u32, sent: u64) {
        self.marks.store(true, Ordering::Relaxed);
        if let Some(room) = self.rooms.get(room as usize) {
            room.durable.fetch_max(sent, Ordering::Relaxed);
        }
    }

    /// A client stands there in a room, and was given a message that was sent at this time, if it
    /// was one.
    pub fn delivered(&self, client: u32, room: u32, seq: u64, sent: Option<u64>) {
        let mut seats = self.seats.iter();
        if let Some(seat) = seats.find(|seat| (seat.client, seat.room) == (client, room)) {
            seat.latest.fetch_max(sent.unwrap_or(0), Ordering::Relaxed);
            seat.seq.store(seq, Ordering::Relaxed);
        }
    }

    /// The first client that stands elsewhere than at the end of a room, and where.
    pub fn behind(&self, room: u32, top: u64) -> Option<(u32, u64)> {
        let seats = self.seats.iter().filter(|seat| seat.room == room);
        seats
            .map(|seat| (seat.client, seat.seq.load(Ordering::Relaxed)))
            .find(|(_, seq)| *seq != top)
    }

    /// What does not work yet, as far as one can tell from what was sent since.
    pub fn ailing(&self, since: u64) -> Vec<Ailing> {
        let behind = |time: &AtomicU64| time.load(Ordering::Relaxed) < since;
        let marks = self.marks.load(Ordering::Relaxed);
        let clients = (0u32..).zip(&self.clients);
        let rooms = || (0u32..).zip(&self.rooms);
        let away = clients
            .filter(|(_, client)| !client.load(Ordering::Relaxed))
            .map(|(client, _)| Ailing::Away(client));
        let mute = rooms()
            .filter(|(_, room)| behind(&room.accepted))
            .map(|(room, _)| Ailing::Mute(room));
        let unsaved = rooms()
            .filter(|(_, room)| marks && behind(&room.durable))
            .map(|(room, _)| Ailing::Unsaved(room));
        let seats = self.seats.iter().filter(|seat| behind(&seat.latest));
        let deaf = seats.map(|seat| Ailing::Deaf(seat.client, seat.room));
        away.chain(mute).chain(deaf).chain(unsaved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_must_have_something_newer() {
        let pulse = Pulse::new(2, 1, [(0, 0), (1, 0)]);
        pulse.connected(0, true);
        assert_eq!(pulse.ailing(5).len(), 1 + 1 + 2);
        pulse.connected(1, true);
        pulse.accepted(0, 5);
        pulse.delivered(0, 0, 3, Some(7));
        pulse.delivered(1, 0, 2, Some(4));
        assert_eq!(pulse.ailing(5), [Ailing::Deaf(1, 0)]);
        assert_eq!(pulse.behind(0, 3), Some((1, 2)));
        pulse.delivered(1, 0, 3, Some(5));
        assert!(pulse.ailing(5).is_empty());
        assert_eq!(pulse.behind(0, 3), None);
        pulse.durable(0, 4);
        assert_eq!(pulse.ailing(5), [Ailing::Unsaved(0)]);
    }
}
