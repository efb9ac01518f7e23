//! Notices to gateways: gathered, so that each gateway hears of a room once a batch, and sent in
//! one round trip.

use std::collections::{BTreeMap, BTreeSet};

use chinwag_protocol::id::{Incarnation, RoomId, UserId};
use chinwag_store::channel::Notice;

use crate::recipients::{Became, Happened};

/// What gateways are to be told, in the order of rooms.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    notices: Vec<(Incarnation, Notice)>,
}

/// Sessions of users, by gateway.
pub(crate) type Sessions = BTreeMap<UserId, BTreeSet<Incarnation>>;

/// Sessions by gateway as sessions by user.
pub(crate) fn by_user(gateways: BTreeMap<Incarnation, Vec<UserId>>) -> Sessions {
    let mut sessions = Sessions::new();
    for (gateway, users) in gateways {
        for user in users {
            sessions.entry(user).or_default().insert(gateway.clone());
        }
    }
    sessions
}

impl Inboxes {
    /// Rooms appear for those who came and vanish for those who went.
    pub fn membership(&mut self, room: &RoomId, happened: &Happened, sessions: &Sessions) {
        // Whoever came by the same event hears of it together.
        let mut appear: BTreeMap<(Incarnation, u64), Vec<UserId>> = BTreeMap::new();
        let mut vanish: BTreeMap<Incarnation, Vec<UserId>> = BTreeMap::new();
        for (user, became) in &happened.members {
            for gateway in sessions.get(user).into_iter().flatten() {
                let gateway = gateway.clone();
                match became {
                    Became::Member { seq, .. } => appear.entry((gateway, *seq)).or_default(),
                    Became::Gone => vanish.entry(gateway).or_default(),
                }
                .push(user.clone());
            }
        }
        for ((gateway, seq), users) in appear {
            let room = room.clone();
            self.notices
                .push((gateway, Notice::Appear { room, seq, users }));
        }
        for (gateway, users) in vanish {
            let room = room.clone();
            self.notices.push((gateway, Notice::Vanish { room, users }));
        }
    }

    /// Something happened in a room that these watch.
    pub fn activity(&mut self, room: &RoomId, seq: u64, watchers: Vec<(Incarnation, UserId)>) {
        let mut gateways: BTreeMap<Incarnation, Vec<UserId>> = BTreeMap::new();
        for (gateway, user) in watchers {
            gateways.entry(gateway).or_default().push(user);
        }
        for (gateway, users) in gateways {
            let room = room.clone();
            self.notices
                .push((gateway, Notice::Activity { room, seq, users }));
        }
    }

    /// All of it.
    pub fn into_notices(self) -> Vec<(Incarnation, Notice)> {
        self.notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn gateway(name: &str) -> Incarnation {
        Incarnation::new(name).unwrap()
    }

    #[test]
    fn each_gateway_hears_of_its_own_users() {
        let (ann, bob, eve) = (user("ann"), user("bob"), user("eve"));
        let (one, two) = (gateway("one"), gateway("two"));
        let room = RoomId::new("room:a").unwrap();
        let came = Became::Member { seq: 2, time: 9 };
        let happened = Happened {
            seq: 3,
            spoken: None,
            members: BTreeMap::from([
                (ann.clone(), came),
                (bob.clone(), came),
                (eve.clone(), Became::Gone),
            ]),
        };
        let sessions = by_user(BTreeMap::from([
            (one.clone(), vec![ann.clone(), bob.clone()]),
            (two.clone(), vec![bob.clone(), eve.clone()]),
        ]));
        let mut inboxes = Inboxes::default();
        inboxes.membership(&room, &happened, &sessions);
        inboxes.activity(
            &room,
            3,
            vec![(one.clone(), ann.clone()), (one.clone(), bob.clone())],
        );
        let appear = |users: &[&UserId]| Notice::Appear {
            room: room.clone(),
            seq: 2,
            users: users.iter().copied().cloned().collect(),
        };
        let vanish = Notice::Vanish {
            room: room.clone(),
            users: vec![eve],
        };
        let activity = Notice::Activity {
            room: room.clone(),
            seq: 3,
            users: vec![ann.clone(), bob.clone()],
        };
        let expected = [
            (one.clone(), appear(&[&ann, &bob])),
            (two.clone(), appear(&[&bob])),
            (two, vanish),
            (one, activity),
        ];
        assert_eq!(inboxes.into_notices(), expected);
    }
}
