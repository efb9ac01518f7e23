//! Readers of old messages: pages of history, one after the other.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Stage;
use super::args::Bench;
use super::centrifuge::{Centrifuge, PAGE, Task};
use super::engine::{Engine, Sending};
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::play::{Play, measure, sources, write_each};
use super::setup::Cast;
use super::shape::Size;

/// Readers, each with a room and a page under way.
const ROOMS: usize = 50;
/// What there is to read in each.
const MESSAGES: usize = 500;
/// What is written at a time in each room.
const WINDOW: usize = 8;
/// Time for the archive to have what was written.
const SETTLING: Duration = Duration::from_secs(3);

/// Writes histories, and then has everybody read anywhere in theirs.
pub(crate) async fn run(bench: &Bench, stage: &Stage) -> Result<Outcome> {
    let rooms = bench.rooms.unwrap_or(ROOMS).max(1);
    let secret = stage.secret.as_deref();
    let cast = Cast::gather(&stage.urls, secret, rooms, 1, 1).await?;
    let size = Size {
        rooms,
        members: 1,
        senders: 1,
        window: bench.window.unwrap_or(1).max(1),
        rate: None,
    };
    let play = Play {
        size,
        doors: cast.doors(&stage.urls)?,
        ..stage.play(bench, "history")
    };
    super::apart(bench.own_core(), move || {
        let ledger = Ledger::new(rooms, 1, 1)?;
        let mut writing = Engine::new(Centrifuge::new(&cast), ledger, usize::from(play.bytes))?;
        writing.come(&play.doors, sources(&play.doors))?;
        write_each(&mut writing, rooms, MESSAGES, WINDOW)?;
        writing.run(Instant::now() + SETTLING, &mut Sending::Nobody)?;
        let mut dialect = writing.part();
        dialect.task = Task::Read;
        // Nobody is sent what is read, so that the answer is all there is to wait for.
        let mut ledger = Ledger::new(rooms, 1, 1)?;
        ledger.listeners = 0;
        let mut engine = Engine::new(dialect, ledger, 0)?;
        let coming = engine.come(&play.doors, sources(&play.doors))?;
        let mut outcome = measure(&play, &mut engine, coming)?;
        outcome.connections = rooms;
        outcome.notes.push(format!(
            "acked/s are pages of {PAGE} messages, anywhere in rooms of {MESSAGES}; a page that is \
             not whole counts as passed over, and CPU is for a million pages"
        ));
        Ok(outcome)
    })
    .await
}
