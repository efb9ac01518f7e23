//! A long history takes seconds.

use std::time::{Duration, Instant};

use super::verdict;
use crate::check::history::{Final, History, Level, Record, What};

/// Rooms of ten, in which everybody is given what one sends.
fn long(rooms: u32, messages: u64) -> History {
    let mut history = History::default();
    let members = 10;
    let mut write = |at, client, what| history.records.push(Record { at, client, what });
    for room in 0..rooms {
        for client in room * members..(room + 1) * members {
            write(0, client, What::Entered { room });
            write(
                0,
                client,
                What::Connected {
                    gateway: 0,
                    user: client,
                },
            );
            let (seq, epoch, since, recovered) = (0, 1, None, false);
            write(
                0,
                client,
                What::Subscribed {
                    room,
                    seq,
                    epoch,
                    since,
                    recovered,
                },
            );
        }
    }
    for n in 0..messages {
        for room in 0..rooms {
            let (sender, at, seq, epoch) = (room * members, n * 1000, n + 1, 1);
            write(at, sender, What::Send { room, n });
            for client in sender..sender + members {
                write(
                    at + 1,
                    client,
                    What::Deliver {
                        room,
                        seq,
                        epoch,
                        sender,
                        n,
                    },
                );
            }
            let (level, duplicate) = (Level::Accepted, false);
            write(
                at + 2,
                sender,
                What::Accepted {
                    room,
                    n,
                    seq,
                    epoch,
                    level,
                    duplicate,
                },
            );
        }
    }
    history.finals = (0..rooms)
        .map(|room| Final {
            gateway: 0,
            room,
            events: (0..messages)
                .map(|n| (n + 1, 1, room * members, n))
                .collect(),
        })
        .collect();
    history
}

#[test]
fn a_million_records_take_seconds() {
    let history = long(84, 1_000);
    assert!(history.records.len() > 1_000_000);
    let began = Instant::now();
    let verdict = verdict(&history);
    assert!(verdict.is_clean(), "{verdict}");
    // Without optimisation, on a busy machine.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}
