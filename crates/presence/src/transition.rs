//! Changes of users' states, and who may have to be looked at: pure.

use std::collections::{BTreeMap, BTreeSet};

use chinwag_protocol::id::{Incarnation, UserId};
use chinwag_store::presence::Settled;
use serde::Serialize;

/// A user's state, as others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum State {
    /// Has at least one session.
    Online,
    /// Has none.
    Offline {
        /// Since when, in milliseconds since 1970.
        last_seen: u64,
    },
}

impl State {
    /// A word for metric labels.
    pub fn name(self) -> &'static str {
        match self {
            State::Online => "online",
            State::Offline { .. } => "offline",
        }
    }
}

/// Changes that wait to be told, the last of each user. Redis's clock says which is the last:
/// whoever settles a user next may be faster in handing that over.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    users: BTreeMap<UserId, (u64, State)>,
}

/// A change of one user's state, and when it was, in milliseconds since 1970.
pub(crate) type Change = (UserId, u64, State);

/// Which of settled users changed, and to what.
pub(crate) fn changes(users: &[UserId], settled: &[Settled]) -> Vec<Change> {
    let pairs = users.iter().zip(settled);
    let changed = pairs.filter(|(_, settled)| settled.changed);
    changed
        .map(|(user, settled)| {
            let state = if settled.online {
                State::Online
            } else {
                State::Offline {
                    last_seen: settled.time,
                }
            };
            (user.clone(), settled.time, state)
        })
        .collect()
}

impl Changes {
    /// Adds a change, unless a later one of the user is known.
    pub fn add(&mut self, (user, time, state): Change) {
        let known = self.users.get(&user);
        if known.is_none_or(|(known, _)| *known <= time) {
            self.users.insert(user, (time, state));
        }
    }

    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// The users, and what they are now.
    pub fn into_states(self) -> BTreeMap<UserId, State> {
        let states = self.users.into_iter();
        states.map(|(user, (_, state))| (user, state)).collect()
    }
}

/// The form in which rooms are told.
#[derive(Serialize)]
pub(crate) struct Digest<'a> {
    r#type: &'static str,
    users: BTreeMap<&'a UserId, State>,
}

impl<'a> Digest<'a> {
    pub fn of(users: BTreeMap<&'a UserId, State>) -> Self {
        Self {
            r#type: "presence",
            users,
        }
    }
}

/// Of users who are believed to be online: those who have a session at a dead gateway, or none.
pub(crate) fn suspects(
    users: &[UserId],
    sessions: &BTreeMap<Incarnation, Vec<UserId>>,
    dead: &[Incarnation],
) -> Vec<UserId> {
    let mut sound: BTreeSet<&UserId> = sessions.values().flatten().collect();
    for user in dead.iter().filter_map(|dead| sessions.get(dead)).flatten() {
        sound.remove(user);
    }
    let unique: BTreeSet<&UserId> = users.iter().collect();
    unique.difference(&sound).copied().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(number: usize) -> UserId {
        UserId::new(format!("user-{number}")).unwrap()
    }

    fn gateway(number: usize) -> Incarnation {
        Incarnation::new(format!("gateway-{number}")).unwrap()
    }

    proptest! {
        #[test]
        fn the_last_change_of_each_user_counts_in_whatever_order_it_comes(
            times in proptest::collection::vec((0..4usize, 0..50u64), 0..40)
        ) {
            let mut changes = Changes::default();
            let mut last: BTreeMap<UserId, u64> = BTreeMap::new();
            for (number, time) in times {
                changes.add((user(number), time, State::Offline { last_seen: time }));
                let known = last.entry(user(number)).or_default();
                *known = time.max(*known);
            }
            prop_assert_eq!(changes.len(), last.len());
            for (user, state) in changes.into_states() {
                prop_assert_eq!(state, State::Offline { last_seen: last[&user] });
            }
        }

        #[test]
        fn whoever_has_only_sound_sessions_is_not_suspect(
            sessions in proptest::collection::vec((0..4usize, 0..6usize), 0..20),
            dead in proptest::collection::btree_set(0..4usize, 0..4),
        ) {
            let users: Vec<UserId> = (0..6).map(user).collect();
            let mut by_gateway: BTreeMap<Incarnation, Vec<UserId>> = BTreeMap::new();
            for (at, who) in &sessions {
                by_gateway.entry(gateway(*at)).or_default().push(user(*who));
            }
            let names: Vec<Incarnation> = dead.iter().copied().map(gateway).collect();
            let suspects = suspects(&users, &by_gateway, &names);
            for number in 0..6 {
                let mut its = sessions.iter().filter(|(_, who)| *who == number).peekable();
                let sound = its.peek().is_some() && its.all(|(at, _)| !dead.contains(at));
                prop_assert_eq!(suspects.contains(&user(number)), !sound);
            }
        }
    }

    #[test]
    fn rooms_are_told_in_this_form() {
        let (ann, bob) = (user(1), user(2));
        let users = BTreeMap::from([
            (&ann, State::Online),
            (&bob, State::Offline { last_seen: 173 }),
        ]);
        assert_eq!(
            serde_json::to_string(&Digest::of(users)).unwrap(),
            r#"{"type":"presence","users":{"user-1":{"state":"online"},"user-2":{"state":"offline","last_seen":173}}}"#
        );
    }
}
