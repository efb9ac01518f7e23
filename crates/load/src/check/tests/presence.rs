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
