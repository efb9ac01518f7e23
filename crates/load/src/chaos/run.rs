//! One fault after the other, and what it took to be well again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::fault::{Done, Fault, Injector};
use super::pulse::Ailing;
use super::stage::Stage;
use super::system::System;
use crate::check::history::Injection;

/// How long being well again may take before that is given up.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long all must have been well before the next fault.
const CALM: Duration = Duration::from_millis(700);

/// Who runs the faults, over what.
pub(crate) struct Run {
    pub system: System,
    pub stage: Arc<Stage>,
    pub random: fastrand::Rng,
    /// Longest time that a process stands still.
    pub patience: Duration,
    /// Faults after which not everything became well again, with what ailed.
    pub stuck: Vec<String>,
}

impl Run {
    /// Each fault so many times, in an order that the seed decides, until the system does not
    /// recover from one.
    ///
    /// # Errors
    /// If the system never was well to begin with, or a fault cannot be made.
    pub async fn all(&mut self, faults: &[Fault], injections: usize) -> Result<()> {
        let mut order: Vec<Fault> = (0..injections).flat_map(|_| faults.to_vec()).collect();
        self.random.shuffle(&mut order);
        if let Err(ailing) = self.well(self.stage.recorder.now()).await {
            bail!("the system is not well before the first fault: {ailing}");
        }
        let count = order.len();
        for (number, fault) in order.into_iter().enumerate() {
            sleep(CALM).await;
            self.one(number + 1, count, fault).await?;
            // What comes after it would say nothing.
            if !self.stuck.is_empty() {
                break;
            }
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "long work shows progress")]
    async fn one(&mut self, number: usize, count: usize, fault: Fault) -> Result<()> {
        let begun = self.stage.recorder.now();
        let mut injector = Injector {
            system: &mut self.system,
            recorder: &self.stage.recorder,
            random: &mut self.random,
            patience: self.patience,
        };
        let done = match fault.inject(&mut injector).await {
            Ok(done) => done,
            Err(error) => {
                self.system.heal();
                let name = fault.name();
                self.stuck
                    .push(format!("{name} could not be made: {error:#}"));
                let until = self.stage.recorder.now();
                Done {
                    target: "?".to_owned(),
                    at: begun,
                    until,
                    down: Vec::new(),
                }
            }
        };
        let well = self.well(done.until).await;
        let result = match &well {
            Ok(well) => {
                let after = |time: u64| Duration::from_micros(time.saturating_sub(done.until));
                let (live, all) = (after(well.live), after(well.all));
                format!("live after {live:.1?}, archived after {all:.1?}")
            }
            Err(ailing) => format!("NOT WELL: {ailing}"),
        };
        let archives = fault.is_about_the_archive();
        let recovered = well.as_ref().ok().map(|well| {
            let at = if archives { well.all } else { well.live };
            at.saturating_sub(done.at)
        });
        println!(
            "{number:>4}/{count}  {:<20} {:<48} {result}",
            fault.name(),
            done.target
        );
        if let Err(ailing) = well {
            self.stuck
                .push(format!("{} ({}): {ailing}", fault.name(), done.target));
        }
        self.stage.recorder.injected(Injection {
            at: done.at,
            until: done.until,
            fault: fault.name(),
            target: done.target,
            takes_back: fault.takes_back(),
            recovered,
        });
        self.bring_back(&done.down).await
    }

    /// Starts what the system has done without.
    async fn bring_back(&mut self, down: &[usize]) -> Result<()> {
        for number in down {
            self.system.member(*number)?.process.start()?;
        }
        if !down.is_empty()
            && let Err(ailing) = self.well(self.stage.recorder.now()).await
        {
            self.stuck
                .push(format!("after a process was started again: {ailing}"));
        }
        Ok(())
    }

    /// Waits until whatever was sent after a time arrives everywhere, and all processes are ready.
    async fn well(&mut self, since: u64) -> Result<Well, String> {
        let late = Instant::now() + PATIENCE;
        let mut live = None;
        loop {
            self.system.supervise();
            let ailing = self.stage.pulse.ailing(since);
            if ailing.iter().all(|one| matches!(one, Ailing::Unsaved(_))) {
                live.get_or_insert_with(|| self.stage.recorder.now());
            }
            let complaint = if ailing.is_empty() {
                self.system.complaint().await
            } else {
                Some(describe(&ailing))
            };
            match complaint {
                None => {
                    let all = self.stage.recorder.now();
                    let live = live.unwrap_or(all);
                    return Ok(Well { live, all });
                }
                Some(complaint) if Instant::now() > late => return Err(complaint),
                Some(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// When all was well again.
struct Well {
    /// What was sent after the fault had arrived everywhere.
    live: u64,
    /// It was archived as well, and all processes were ready.
    all: u64,
}

fn describe(ailing: &[Ailing]) -> String {
    let first: Vec<String> = ailing
        .iter()
        .take(4)
        .map(|one| format!("{one:?}"))
        .collect();
    format!("{} complaints: {}", ailing.len(), first.join(", "))
}
