//! Telling rooms who came and went: changes gather, each room is told once for all of them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chinwag_protocol::id::{RoomId, UserId};
use chinwag_store::channel::Signal;
use chinwag_store::presence::Settled;
use chinwag_store::{Result, Store};
use serde_json::{Value, json};

/// Of how many of a user's rooms, the most recently active, their coming and going is told.
const ROOMS_PER_USER: usize = 200;
/// Rooms with more members are not told: a room of M members changes M times as often, and each
/// change goes to M listeners.
const ROSTER_MEMBERS: u64 = 250;
/// Users whose rooms are told at once. The rest wait for the next turn.
const USERS_PER_TURN: usize = 500;
/// How long the size of a room is taken to be as it was.
const SIZE_AGE: Duration = Duration::from_secs(60);
/// Rooms whose sizes are remembered; when there are more, all are forgotten.
const SIZES: usize = 20_000;

/// Changes that rooms have not been told.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    changes: BTreeMap<UserId, Settled>,
    sizes: HashMap<RoomId, (Instant, u64)>,
}

impl Digest {
    /// Takes note of what settling has found; the last state of a user is what counts.
    pub(crate) fn note(&mut self, user: &UserId, settled: Settled) {
        if settled.changed {
            let to = if settled.online { "online" } else { "offline" };
            metrics::counter!("chinwag_presence_transitions_total", "to" => to).increment(1);
            self.changes.insert(user.clone(), settled);
        }
    }

    /// Tells rooms. What cannot be told now is told later.
    ///
    /// # Errors
    /// As every read and write.
    pub(crate) async fn tell(&mut self, store: &Store) -> Result<()> {
        let turn: Vec<(UserId, Settled)> = self
            .changes
            .iter()
            .take(USERS_PER_TURN)
            .map(|(user, to)| (user.clone(), *to))
            .collect();
        if turn.is_empty() {
            return Ok(());
        }
        let mut concerned: BTreeMap<RoomId, Vec<(UserId, Settled)>> = BTreeMap::new();
        for (user, settled) in &turn {
            let change = (user.clone(), *settled);
            concerned
                .entry(RoomId::personal(user))
                .or_default()
                .push(change.clone());
            for (room, _) in store.rooms_of(user, None, ROOMS_PER_USER).await? {
                if self.size(store, &room).await? <= ROSTER_MEMBERS {
                    concerned.entry(room).or_default().push(change.clone());
                }
            }
        }
        let signals: Vec<(RoomId, Signal)> = concerned
            .into_iter()
            .map(|(room, changes)| (room, Signal::Data(said(&changes).to_string().into_bytes())))
            .collect();
        store.signals(&signals).await?;
        metrics::counter!("chinwag_presence_digests_total").increment(signals.len() as u64);
        for (user, settled) in turn {
            // Unless it has changed again meanwhile, which waits for its own turn.
            if self.changes.get(&user) == Some(&settled) {
                self.changes.remove(&user);
            }
        }
        Ok(())
    }

    async fn size(&mut self, store: &Store, room: &RoomId) -> Result<u64> {
        if let Some((_, size)) = self
            .sizes
            .get(room)
            .filter(|(read, _)| read.elapsed() < SIZE_AGE)
        {
            return Ok(*size);
        }
        let size = store.member_count(room).await?;
        if self.sizes.len() >= SIZES {
            self.sizes.clear();
        }
        self.sizes.insert(room.clone(), (Instant::now(), size));
        Ok(size)
    }
}

/// What listeners hear of changes.
fn said(changes: &[(UserId, Settled)]) -> Value {
    let users: serde_json::Map<String, Value> = changes
        .iter()
        .map(|(user, settled)| {
            let state = if settled.online {
                json!({ "state": "online" })
            } else {
                json!({ "state": "offline", "last_seen": settled.time })
            };
            (user.to_string(), state)
        })
        .collect();
    json!({ "type": "presence", "users": users })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(changed: bool, online: bool) -> Settled {
        Settled {
            changed,
            online,
            time: 7,
        }
    }

    #[test]
    fn only_changes_are_told_and_the_last_one_counts() {
        let mut digest = Digest::default();
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        digest.note(&ann, settled(true, true));
        digest.note(&bob, settled(false, true));
        digest.note(&ann, settled(true, false));
        assert_eq!(digest.changes.len(), 1);
        let changes: Vec<_> = digest.changes.into_iter().collect();
        let text = r#"{"type":"presence","users":{"ann":{"last_seen":7,"state":"offline"}}}"#;
        assert_eq!(said(&changes), serde_json::from_str::<Value>(text).unwrap());
    }
}
