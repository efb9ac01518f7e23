//! A crowd that comes back at one moment, and wants to know what it has missed.

use std::time::Instant;

use anyhow::{Result, bail};

use super::Stage;
use super::args::Bench;
use super::centrifuge::{Centrifuge, Task};
use super::cpu;
use super::engine::{Engine, Sending};
use super::idle::{count, share};
use super::ledger::Ledger;
use super::outcome::{Latency, Outcome};
use super::play::{sources, write_each};
use super::setup::Cast;
use crate::report::times;

/// Members of each room.
const MEMBERS: usize = 10;
/// What each has missed.
const MISSED: usize = 10;
/// What is written at a time in each room.
const WINDOW: usize = 2;

/// Everybody comes and goes; things are said; everybody comes back at once.
pub(crate) async fn run(bench: &Bench, stage: &Stage) -> Result<Outcome> {
    let rooms = bench.connections.div_ceil(MEMBERS);
    let secret = stage.secret.as_deref();
    let cast = Cast::gather(&stage.urls, secret, rooms, MEMBERS, 1).await?;
    let doors = cast.doors(&stage.urls)?;
    let (bench, watched) = (bench.clone(), stage.watched.clone());
    super::apart(bench.own_core(), move || {
        let all = doors.len();
        let dialect = Centrifuge::new(&cast);
        let mut engine = Engine::new(dialect, Ledger::new(rooms, MEMBERS, 1)?, 0)?;
        engine.come(&doors, sources(&doors))?;
        let dialect = engine.part();
        // Those who write are among those who come back, and shall have missed it too.
        let seen = dialect.seen.clone();
        // The first members of all rooms are the first of all.
        let ledger = Ledger::new(rooms, 1, 1)?;
        let mut writing = Engine::new(dialect, ledger, usize::from(bench.bytes))?;
        let writers = doors.get(..rooms).unwrap_or(&doors);
        writing.come(writers, sources(&doors))?;
        write_each(&mut writing, rooms, MISSED, WINDOW)?;
        let mut dialect = writing.part();
        dialect.task = Task::Resume;
        dialect.seen = seen;
        let mut engine = Engine::new(dialect, Ledger::new(rooms, MEMBERS, 1)?, 0)?;
        engine.at_once = bench.at_once;
        let (used, began) = (cpu::used(&watched), Instant::now());
        let coming = engine.come(&doors, sources(&doors))?;
        let seconds = began.elapsed().as_secs_f64();
        let busy = share(&used, &cpu::used(&watched), seconds);
        engine.run(Instant::now() + super::SETTLING, &mut Sending::Nobody)?;
        let mut took = times()?;
        for took_one in engine.comings() {
            took.saturating_record(took_one / 1000);
        }
        let recovered = &engine.dialect.recovered;
        let lost = recovered
            .iter()
            .map(|got| MISSED.saturating_sub(*got))
            .sum::<usize>();
        let doubled = recovered
            .iter()
            .map(|got| got.saturating_sub(MISSED))
            .sum::<usize>();
        if recovered.iter().sum::<usize>() == 0 {
            bail!("nobody was told what was missed");
        }
        Ok(Outcome {
            label: bench.label.clone(),
            shape: "resume".to_owned(),
            rooms,
            members: MEMBERS,
            connections: all,
            seconds,
            busy,
            delivery: Latency::from(&took),
            deliveries_per_second: count((all * MISSED) as u64) / seconds.max(0.001),
            connects_per_second: count(all as u64) / coming.as_secs_f64().max(0.001),
            lost: lost as u64,
            doubled: doubled as u64,
            errors: engine.ledger.errors,
            complaint: engine.ledger.complaint.clone(),
            notes: vec![format!(
                "{all} connections came back, {} at once, each to {MISSED} messages that it had \
                 missed; the times are those from connecting to having them",
                bench.at_once
            )],
            ..Outcome::default()
        })
    })
    .await
}
