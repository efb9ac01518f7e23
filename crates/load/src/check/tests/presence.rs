//! Who was shown online.

use super::verdict;
use crate::check::history::{History, Injection, Record, What};
use crate::check::verdict::Check;

const SECOND: u64 = 1_000_000;
const OBSERVER: u32 = 0;
const USER: u32 = 7;

/// The observer is there from the beginning; the records are of seconds.
fn history(records: &[(u64, u32, What)]) -> History {
    let first = (0, OBSERVER, connected(0));
    let all = std::iter::once(&first).chain(records);
    History {
        records: all
            .map(|(at, client, what)| Record {
                at: at * SECOND,
                client: *client,
                what: what.clone(),
            })
            .collect(),
        ..History::default()
    }
}

fn connected(user: u32) -> What {
    What::Connected { gateway: 0, user }
}

fn gone() -> What {
    What::Disconnected { code: 0 }
}

fn saw(online: bool) -> What {
    What::Saw { user: USER, online }
}

fn later(at: u64) -> (u64, u32, What) {
    (
        at,
        OBSERVER,
        What::Saw {
            user: 99,
            online: false,
        },
    )
}

fn is_clean(records: &[(u64, u32, What)]) -> bool {
    verdict(&history(records)).of(Check::C9) == 0
}

#[test]
fn who_goes_is_shown_so_within_the_grace() {
    let until = |at| {
        [
            (1, 1, connected(USER)),
            (2, 0, saw(true)),
            (10, 1, gone()),
            (at, 0, saw(false)),
        ]
    };
    assert!(is_clean(&until(26)));
    assert!(!is_clean(&until(28)));
}

#[test]
fn a_ghost_that_stays_to_the_end_is_seen() {
    let stays = |at| {
        [
            (1, 1, connected(USER)),
            (2, 0, saw(true)),
            (10, 1, gone()),
            later(at),
        ]
    };
    assert!(is_clean(&stays(20)));
    assert!(!is_clean(&stays(60)));
}

#[test]
fn an_observer_who_goes_knows_nothing() {
    assert!(is_clean(&[
        (1, 1, connected(USER)),
        (2, 0, saw(true)),
        (10, 1, gone()),
        (12, 0, gone()),
        later(60),
    ]));
}

#[test]
fn another_device_keeps_somebody_online() {
    assert!(is_clean(&[
        (1, 1, connected(USER)),
        (2, 0, saw(true)),
        (3, 2, connected(USER)),
        (10, 1, gone()),
        later(60),
    ]));
}

#[test]
fn who_comes_back_is_no_ghost() {
    let back = |at| {
        [
            (1, 1, connected(USER)),
            (2, 0, saw(true)),
            (10, 1, gone()),
            (at, 1, connected(USER)),
            later(90),
        ]
    };
    assert!(is_clean(&back(20)));
    assert!(!is_clean(&back(40)));
}

#[test]
fn who_is_there_and_shown_offline_is_seen() {
    let until = |at| {
        [
            (1, 1, connected(USER)),
            (10, 0, saw(false)),
            (at, 0, saw(true)),
            later(90),
        ]
    };
    assert!(is_clean(&until(14)));
    assert!(!is_clean(&until(17)));
}

#[test]
fn a_fault_gives_everybody_more_time() {
    let mut long = history(&[
        (1, 1, connected(USER)),
        (2, 0, saw(true)),
        (10, 1, gone()),
        (35, 0, saw(false)),
        later(90),
    ]);
    assert!(verdict(&long).of(Check::C9) > 0);
    long.injections.push(Injection {
        at: 12 * SECOND,
        until: 22 * SECOND,
        fault: "stop redis".to_owned(),
        target: "redis".to_owned(),
        takes_back: false,
        recovered: None,
    });
    assert_eq!(verdict(&long).of(Check::C9), 0);
}

/// Users who come and go for a while, as an observer is told of them who asks every second and a
/// half: with `lossy`, a Redis loses its tail in between and shows some as they were before.
fn good(seed: u64, lossy: bool) -> (History, Vec<(u32, u64, u64, bool)>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (end, loss) = (400, random.u64(100..300));
    let mut records = vec![(0, OBSERVER, connected(OBSERVER))];
    let mut spans = Vec::new();
    for user in 1..5u32 {
        let (mut at, mut there) = (1, false);
        while at < end {
            let to = (at + random.u64(4..70)).min(end);
            if there {
                records.push((at, user, connected(user)));
                if to < end {
                    records.push((to, user, gone()));
                }
            }
            spans.push((user, at, to, there));
            // What is shown follows what is so, sometimes as late as it may.
            let late = if there {
                random.u64(0..4)
            } else {
                random.u64(0..16)
            };
            for told in (at + late..to).filter(|told| told % 2 == 0) {
                let online = there;
                records.push((told, OBSERVER, What::Saw { user, online }));
            }
            // Who has just gone is back in a Redis that forgot it, until that is found.
            let back = lossy && !there && (loss - 3..=loss).contains(&at);
            if back {
                records.retain(|(told, _, what)| {
                    !matches!(what, What::Saw { user: of, .. } if *of == user)
                        || !(loss..loss + 12).contains(told)
                });
                for told in loss..(loss + 12).min(to) {
                    records.push((told, OBSERVER, What::Saw { user, online: true }));
                }
            }
            (at, there) = (to, !there);
        }
    }
    records.sort_by_key(|(at, ..)| *at);
    let mut history = history(&records);
    if lossy {
        history.injections.push(Injection {
            at: loss * SECOND,
            until: (loss + 2) * SECOND,
            fault: "redis-tail".to_owned(),
            target: "redis".to_owned(),
            takes_back: true,
            recovered: Some(3 * SECOND),
        });
    }
    (history, spans)
}

/// Shows users as the contrary of what they are, for a whole span.
fn turn_over(history: &mut History, (user, from, to, there): (u32, u64, u64, bool)) {
    for record in &mut history.records {
        let within = (from * SECOND..to * SECOND).contains(&record.at);
        if let What::Saw { user: of, online } = &mut record.what
            && *of == user
            && within
        {
            *online = !there;
        }
    }
}

#[test]
fn ghosts_and_the_hidden_are_caught_also_where_redis_lost_something() {
    for lossy in [false, true] {
        let mut caught = [0, 0];
        for seed in 0..60 {
            let (history, spans) = good(seed, lossy);
            let clean = verdict(&history);
            assert_eq!(
                clean.of(Check::C9),
                0,
                "seed {seed}, lossy {lossy}: {clean}"
            );
            // So long that neither the promise nor a fault excuses it.
            let long = spans
                .iter()
                .filter(|(_, from, to, _)| to - from > 17 + 17 + 5 + 2);
            for span in long {
                let mut spoiled = history.clone();
                turn_over(&mut spoiled, *span);
                let found = verdict(&spoiled).of(Check::C9);
                assert!(
                    found > 0,
                    "seed {seed}, lossy {lossy}: {span:?} is not seen"
                );
                caught[usize::from(span.3)] += 1;
            }
        }
        assert!(caught.iter().all(|count| *count > 20), "{caught:?}");
    }
}
