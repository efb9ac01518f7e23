//! What the inlet makes of work that was done for it, and what it has looked at.

use chinwag_protocol::id::{Incarnation, RoomId};

use super::room::Room;
use super::work::{Done, Read};
use super::{Inlet, ShardEvent};

impl Inlet {
    /// Takes what was done.
    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::Opened(generation, positions) => {
                if !self.work.is_current(generation) {
                    // They are being opened again.
                    return;
                }
                for (id, position) in positions {
                    let Some(room) = self.rooms.get_mut(&id) else {
                        continue;
                    };
                    let waiting = room.open(position);
                    if room.is_unopened() && !room.is_closing() {
                        self.rooms.remove(&id);
                    }
                    self.hand(&waiting, &ShardEvent::Opened(id.clone(), position))
                        .await;
                    self.release(id).await;
                }
            }
            Done::Closed(generation, ids) => {
                if self.work.is_current(generation) {
                    self.closed(ids);
                }
            }
            Done::Repaired(id, read) => {
                let Some(room) = self.rooms.get_mut(&id) else {
                    return;
                };
                let failed = matches!(read, Read::Failed);
                let to = room.shards();
                let (events, waiting) = room.repaired(&id, read);
                let position = room.position().filter(|_| !failed);
                for event in events {
                    self.remember(&event);
                    self.hand(&to, &event).await;
                }
                self.hand(&waiting, &ShardEvent::Opened(id.clone(), position))
                    .await;
                self.release(id).await;
            }
            Done::Behind(ids) => ids.into_iter().for_each(|id| self.repair(id)),
            Done::Unsaid(generation, number) => {
                if self.work.is_current(generation) {
                    self.probe.settled(number);
                }
            }
            Done::Renamed(generation, name) => {
                if self.work.is_current(generation) {
                    self.renamed(name).await;
                }
            }
            Done::Deaf(_) => {}
        }
    }

    /// What is said to this name is heard from now on: threads may go by it.
    pub(super) async fn renamed(&mut self, name: Incarnation) {
        if self.told != name {
            self.told = name.clone();
            self.hand_all(&ShardEvent::Renamed(name)).await;
        }
    }

    /// Keeps the recent events in step with what is handed out.
    fn remember(&self, event: &ShardEvent) {
        let recent = &self.backend.past.recent;
        match event {
            ShardEvent::Delivery(delivery) => recent.heard(delivery),
            ShardEvent::Epoch(room, position) => recent.enter(room, *position),
            ShardEvent::Broken(room, _) | ShardEvent::Skipped(room, _) => recent.forget(room),
            _ => {}
        }
    }

    /// Hands on what was held while a room was looked at.
    async fn release(&mut self, id: RoomId) {
        let held = self.rooms.get_mut(&id).map(Room::take_held);
        let (held, again) = held.unwrap_or_default();
        for delivery in held {
            let Some(room) = self.rooms.get_mut(&id) else {
                return;
            };
            let offered = room.offer(delivery);
            self.offered(id.clone(), offered).await;
        }
        if again {
            self.repair(id);
        }
    }

    /// Has a room looked at, unless it is.
    pub(super) fn repair(&mut self, id: RoomId) {
        if let Some(from) = self.rooms.get_mut(&id).and_then(Room::begin_repair) {
            self.work.repair(id, from);
        }
    }

    /// Looks at all rooms after the connection was lost.
    pub(super) fn reopen_all(&mut self) {
        let rooms: Vec<RoomId> = self.rooms.keys().cloned().collect();
        let mut unknown = Vec::new();
        for id in rooms {
            match self.rooms.get_mut(&id) {
                Some(room) if room.is_unopened() => {
                    room.closed();
                    unknown.push(id);
                }
                _ => self.repair(id),
            }
        }
        if !unknown.is_empty() {
            self.work.open(unknown);
        }
    }

    /// Redis no longer tells us of these rooms.
    fn closed(&mut self, ids: Vec<RoomId>) {
        let mut wanted = Vec::new();
        for id in ids {
            match self.rooms.get_mut(&id).map(Room::closed) {
                Some(true) => wanted.push(id),
                Some(false) => drop(self.rooms.remove(&id)),
                None => {}
            }
        }
        if !wanted.is_empty() {
            self.work.open(wanted);
        }
    }
}
