//! Leases, epochs and the archive's fence, explored to the end: every order of every step of a
//! small system, with a Redis that loses a tail, an old primary that goes on serving, archivers
//! that were overtaken, and a Redis that is emptied.
//!
//! `world` is the protocol, `explore` walks through it. What a step stands for in the product:
//!
//! | step | file |
//! |---|---|
//! | `Send` | `store/src/functions/append.lua`, `fence.lua` |
//! | `Ask`, `Allocate`, `Install` | `gateway/src/backend.rs`, `archive/src/sqlite/partition.rs`, `store/src/functions/epoch.lua` |
//! | `Look`, `Reconcile` | `gateway/src/reconcile.rs`, `store/src/functions/room.lua` |
//! | `Take` | `store/src/functions/lease.lua`, `archiver/src/commit.rs` (`open`), `archiver/src/epoch.rs` |
//! | `Read` | `store/src/log.rs` |
//! | `Commit`, `Mark` | `archiver/src/commit.rs`, `archive/src/sqlite/partition.rs`, `store/src/functions/mark.lua` |
//! | `Expire`, `Sync`, `Fail`, `Move`, `Empty` | what happens to them |
//!
//! Each guard is also taken away, and then something must be found: else a green run says nothing.
//!
//! The nearest 200,000 states in CI; all of them with
//! `CHINWAG_MODEL_CASES=1 cargo test --release -p chinwag-worker --test protocol`: 0.3 million where
//! archivers are overtaken and where Redis is emptied, 1.1 million where it loses its tail. Where an
//! old primary goes on serving there are more than seven minutes were enough for: nobody has seen
//! them all.
//!
//! One guard is stricter here than in the product: an archiver that finds the archive's epoch above
//! its Redis's takes another one even if that epoch was for another run (`archiver/src/epoch.rs`),
//! so that a primary is not shut out for ever by one that was started by mistake. While both
//! serve, and both have an archiver, that lets each put its own tail under the same sequences; the
//! archive keeps the first and counts the other (`conflicts`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, has a setting of its own, and says how much it has seen"
)]

mod explore;
mod world;

use explore::{Explored, explore};
use world::{Guards, Limits, World};

fn all(limits: Limits, guards: Guards) -> Explored {
    let is_long = std::env::var("CHINWAG_MODEL_CASES").is_ok();
    let most = if is_long { usize::MAX } else { 200_000 };
    let explored = explore(World::new(limits, guards), most);
    println!("{} states, {} steps", explored.states, explored.steps);
    explored
}

/// Nothing that must not happen can happen, and from everywhere everything can still be archived.
fn holds(limits: Limits) {
    let explored = all(limits, Guards::ALL);
    if let Some(problem) = explored.problem {
        panic!("{problem}");
    }
    if let Some(stuck) = explored.stuck {
        panic!("no way on: {stuck}");
    }
}

fn fails(limits: Limits, guards: Guards, with: &str) {
    let problem = all(limits, guards).problem.expect("something is found");
    assert!(problem.contains(with), "{problem}");
}

#[test]
fn a_redis_that_loses_its_tail_takes_nothing_that_is_archived_along() {
    holds(Limits::TAIL);
}

#[test]
fn an_old_primary_that_goes_on_serving_does_no_harm() {
    holds(Limits::SPLIT);
}

#[test]
fn archivers_that_were_overtaken_do_no_harm() {
    holds(Limits::ZOMBIE);
}

#[test]
fn a_redis_that_is_emptied_takes_nothing_that_is_archived_along() {
    holds(Limits::EMPTIED);
}

#[test]
fn without_the_check_of_the_token_a_zombie_commits() {
    let guards = Guards {
        token: false,
        ..Guards::ALL
    };
    fails(Limits::ZOMBIE, guards, "zombie");
}

#[test]
fn without_the_check_of_the_epoch_an_old_primary_gets_into_the_archive() {
    let guards = Guards {
        epoch: false,
        ..Guards::ALL
    };
    fails(Limits::SPLIT, guards, "");
}

#[test]
fn without_the_check_of_the_run_a_sequence_is_used_twice() {
    let guards = Guards {
        run: false,
        ..Guards::ALL
    };
    fails(Limits::TAIL, guards, "");
}

#[test]
fn without_a_claim_an_emptied_redis_gets_its_epoch_back() {
    let guards = Guards {
        claim: false,
        ..Guards::ALL
    };
    fails(Limits::EMPTIED, guards, "");
}

#[test]
fn an_archiver_that_raises_its_redis_above_another_run_brings_a_dead_branch_to_life() {
    let guards = Guards {
        raises: false,
        ..Guards::ALL
    };
    fails(Limits::SPLIT, guards, "twice");
}

#[test]
fn without_a_look_an_archiver_tells_of_what_another_primary_had() {
    let guards = Guards {
        looks: false,
        ..Guards::ALL
    };
    fails(Limits::SPLIT, guards, "told to be");
}

#[test]
fn without_the_epochs_of_the_archive_a_reader_believes_what_was_lost() {
    let guards = Guards {
        starts: false,
        ..Guards::ALL
    };
    fails(Limits::TAIL, guards, "believes");
}
