//! What must come of it all: a partition of Redis that can be put back to any earlier moment, and
//! an archive that never takes anything back.

use std::collections::BTreeSet;

use crate::step::{ROOMS, USERS};

/// An event as it can be told from any other of its room.
pub type Label = String;

/// A message's name: who, and the id that they gave it.
pub type Name = (usize, u8);

/// A room in Redis.
#[derive(Debug, Clone)]
pub struct Room {
    /// The epoch in which it was reconciled last.
    pub epoch: u64,
    /// Its events in order; the first has sequence 1.
    pub events: Vec<Label>,
    /// The names of those that are messages, at the same places.
    pub names: Vec<Option<Name>>,
    pub members: BTreeSet<usize>,
}

/// What Redis has of the partition.
#[derive(Debug, Clone, Default)]
pub struct Redis {
    /// The number of the run and the epoch that is installed for it.
    pub installed: Option<(u64, u64)>,
    pub rooms: [Option<Room>; ROOMS],
    /// Which archiver has the lease.
    pub holder: Option<usize>,
}

/// What the archive has of a room.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub events: Vec<Label>,
    pub names: Vec<Option<Name>>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Expected {
    pub redis: Redis,
    /// Counts the runs of Redis.
    pub run: u64,
    pub archive: [Rows; ROOMS],
    /// The highest epoch that the archive has allocated.
    pub epoch: u64,
    /// The highest token that has committed.
    pub token: u64,
    /// Earlier moments: the size of Redis's file, and what Redis had.
    pub moments: Vec<(u64, Redis)>,
}

/// What the model says of a draft.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Written(u64),
    Repeated(u64),
    Refused,
    NeedReconcile,
}

impl Expected {
    /// The epoch that is installed for this run, if one is.
    pub fn current(&self) -> Option<u64> {
        let (run, epoch) = self.redis.installed?;
        (run == self.run).then_some(epoch)
    }

    /// A room that can be written to and read from.
    pub fn open(&self, room: usize) -> Option<&Room> {
        let epoch = self.current()?;
        self.redis.rooms[room]
            .as_ref()
            .filter(|room| room.epoch == epoch)
    }

    pub fn open_mut(&mut self, room: usize) -> Option<&mut Room> {
        let epoch = self.current()?;
        self.redis.rooms[room]
            .as_mut()
            .filter(|room| room.epoch == epoch)
    }

    /// Says what becomes of a message, and has it become that.
    pub fn append(&mut self, room: usize, members_only: bool, name: Name, label: &str) -> Fate {
        let is_missing = self.redis.rooms[room].is_none();
        let Some(room) = self.open_mut(room) else {
            return if is_missing && members_only {
                Fate::Refused
            } else {
                Fate::NeedReconcile
            };
        };
        if members_only && !room.members.contains(&name.0) {
            return Fate::Refused;
        }
        let known = room.names.iter().position(|known| *known == Some(name));
        if let Some(at) = known {
            return Fate::Repeated(at as u64 + 1);
        }
        room.events.push(label.to_owned());
        room.names.push(Some(name));
        Fate::Written(room.events.len() as u64)
    }

    /// An epoch was installed for the run that is running.
    pub fn installed(&mut self, epoch: u64) {
        let before = self.redis.installed;
        assert!(
            before.is_none_or(|(_, before)| before <= epoch),
            "an epoch went back: {before:?}, now {epoch}"
        );
        self.redis.installed = Some((self.run, epoch));
    }

    /// A room was reconciled: what is longer is what is true.
    pub fn reconciled(&mut self, room: usize, epoch: u64) {
        let rows = self.archive[room].clone();
        let known = self.redis.rooms[room].get_or_insert_with(|| Room {
            epoch: 0,
            events: Vec::new(),
            names: Vec::new(),
            members: BTreeSet::new(),
        });
        if known.epoch == epoch {
            return;
        }
        known.epoch = epoch;
        if rows.events.len() > known.events.len() {
            known.events = rows.events;
            known.names = rows.names;
        }
    }

    /// The group was made.
    pub fn created(&mut self, room: usize, epoch: u64) {
        let Rows {
            mut events,
            mut names,
        } = self.archive[room].clone();
        let members: BTreeSet<usize> = (0..USERS - 1).collect();
        events.push("created".to_owned());
        events.extend(members.iter().enumerate().map(|(at, user)| {
            let change = if at == 0 { "joined" } else { "invited" };
            format!("{user} {change}")
        }));
        names.resize(events.len(), None);
        self.redis.rooms[room] = Some(Room {
            epoch,
            events,
            names,
            members,
        });
    }

    /// Rows were committed. What an archive has, it keeps: rows only ever come to its end.
    pub fn committed(&mut self, rows: &[(usize, u64, Label, Option<Name>)]) {
        for (room, seq, label, name) in rows {
            let archived = &mut self.archive[*room];
            let at = usize::try_from(*seq).unwrap() - 1;
            match archived.events.get(at) {
                Some(known) => assert_eq!(known, label, "room {room}, seq {seq}, twice"),
                None => {
                    assert_eq!(
                        archived.events.len(),
                        at,
                        "room {room} has a hole before {seq}"
                    );
                    archived.events.push(label.clone());
                    archived.names.push(*name);
                }
            }
        }
    }

    /// Redis was killed, and has what it had at an earlier moment.
    pub fn crashed(&mut self, moment: usize) {
        self.moments.truncate(moment + 1);
        self.redis = self.moments[moment].1.clone();
        self.run += 1;
    }
}
