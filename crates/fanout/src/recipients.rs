//! What a batch of entries means for whom: pure.

use std::collections::BTreeMap;

use chinwag_protocol::event::{Change, Content};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_store::log::Entry;

/// What happened in one room in the course of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    /// The last sequence.
    pub seq: u64,
    /// When something was said last, in milliseconds since 1970, if it was.
    pub spoken: Option<u64>,
    /// What became of those whose membership changed; the last word counts.
    pub members: BTreeMap<UserId, Became>,
}

/// What became of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// A member, by the event of this sequence and time.
    Member {
        /// The sequence.
        seq: u64,
        /// The time, in milliseconds since 1970.
        time: u64,
    },
    /// None.
    Gone,
}

/// What happened in which rooms. Publications concern nobody but those who listen, and entries
/// that cannot be read concern nobody here.
pub(crate) fn happened(entries: &[Entry]) -> BTreeMap<RoomId, Happened> {
    let mut rooms: BTreeMap<RoomId, Happened> = BTreeMap::new();
    for (room, event) in entries.iter().filter_map(Entry::read) {
        if matches!(event.content, Content::Publication { .. }) {
            continue;
        }
        if !rooms.contains_key(room) {
            rooms.insert(room.clone(), Happened::default());
        }
        let Some(happened) = rooms.get_mut(room) else {
            continue;
        };
        happened.seq = event.seq;
        match &event.content {
            Content::Message { .. } => happened.spoken = Some(event.time),
            Content::Member { user, change, .. } => {
                if let Some(became) = became(*change, event.seq, event.time) {
                    happened.members.insert(user.clone(), became);
                }
            }
            Content::Room { .. } | Content::Publication { .. } => {}
        }
    }
    rooms
}

/// Another role makes nobody come or go.
fn became(change: Change, seq: u64, time: u64) -> Option<Became> {
    match change {
        Change::Joined | Change::Invited => Some(Became::Member { seq, time }),
        Change::Left | Change::Removed => Some(Became::Gone),
        Change::Role => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use chinwag_protocol::event::{Event, Role};
    use chinwag_protocol::json::Json;
    use chinwag_store::log::LogId;
    use proptest::prelude::*;

    pub fn user(number: usize) -> UserId {
        UserId::new(format!("user-{number}")).unwrap()
    }

    fn entry(room: &str, seq: u64, content: Content) -> Entry {
        Entry {
            id: LogId {
                epoch: 1,
                number: seq,
            },
            room: Some(RoomId::new(room).unwrap()),
            event: Ok(Event {
                seq,
                epoch: 1,
                time: 1_000 + seq,
                messages: 0,
                sender: None,
                client: None,
                id: None,
                content,
            }),
            record: Vec::new().into(),
        }
    }

    fn content() -> impl Strategy<Value = Content> {
        let changes = [
            Change::Joined,
            Change::Invited,
            Change::Left,
            Change::Removed,
            Change::Role,
        ];
        let member =
            (0..4usize, prop::sample::select(changes.to_vec())).prop_map(|(number, change)| {
                Content::Member {
                    user: user(number),
                    change,
                    role: Role::Member,
                }
            });
        let body = || Json::of("hi");
        prop_oneof![
            member,
            Just(Content::Message { body: body() }),
            Just(Content::Publication { data: body() }),
        ]
    }

    /// Who is a member after these, of those who were before.
    fn members(before: &BTreeSet<UserId>, contents: &[Content]) -> BTreeSet<UserId> {
        let mut members = before.clone();
        for content in contents {
            if let Content::Member { user, change, .. } = content {
                match change {
                    Change::Joined | Change::Invited => drop(members.insert(user.clone())),
                    Change::Left | Change::Removed => drop(members.remove(user)),
                    Change::Role => {}
                }
            }
        }
        members
    }

    proptest! {
        #[test]
        fn the_last_word_on_each_member_counts(
            contents in proptest::collection::vec(content(), 0..30),
            before in proptest::collection::btree_set((0..4usize).prop_map(user), 0..4),
        ) {
            let entries: Vec<Entry> = (1..)
                .zip(&contents)
                .map(|(seq, content)| entry("room:a", seq, content.clone()))
                .collect();
            let happened = happened(&entries);
            let mut after = before.clone();
            for (user, became) in happened.values().flat_map(|room| &room.members) {
                match became {
                    Became::Member { seq, .. } => {
                        after.insert(user.clone());
                        let event = &contents[usize::try_from(seq - 1).unwrap()];
                        let brought_in = matches!(event, Content::Member { user: who, change, .. }
                            if who == user && change.is_member_after());
                        prop_assert!(brought_in, "{:?}", event);
                    }
                    Became::Gone => drop(after.remove(user)),
                }
            }
            prop_assert_eq!(after, members(&before, &contents));
        }

        #[test]
        fn rooms_do_not_mix(
            contents in proptest::collection::vec((content(), 0..3usize), 0..40)
        ) {
            let names = ["room:a", "room:b", "room:c"];
            let mut seqs = [0; 3];
            let entries: Vec<Entry> = contents
                .into_iter()
                .map(|(content, room)| {
                    seqs[room] += 1;
                    entry(names[room], seqs[room], content)
                })
                .collect();
            let together = happened(&entries);
            for name in names {
                let name = RoomId::new(name).unwrap();
                let of_room = |entry: &&Entry| entry.room.as_ref() == Some(&name);
                let alone: Vec<Entry> = entries.iter().filter(of_room).cloned().collect();
                let alone = happened(&alone);
                prop_assert_eq!(together.get(&name), alone.get(&name));
            }
        }
    }

    #[test]
    fn publications_and_what_cannot_be_read_concern_nobody() {
        let data = Json::of("hi");
        let published = entry("news", 1, Content::Publication { data });
        let mut unreadable = entry(
            "room:a",
            1,
            Content::Message {
                body: Json::of("hi"),
            },
        );
        unreadable.event = Err("1".parse::<LogId>().unwrap_err());
        assert_eq!(happened(&[published, unreadable]), BTreeMap::new());
    }
}
