//! What came of it: a table, a history, and a page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::args::Chaos;
use super::fault::Fault;
use super::seconds::course;
use crate::check::history::History;
use crate::check::verdict::Verdict;
use crate::report::{Machine, Run, faults, html, milliseconds};

/// What went wrong that is no matter of histories.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Faults that the system did not recover from in time.
    pub stuck: Vec<String>,
    /// Processes that ended by themselves, with how often. They were started again.
    pub ended: BTreeMap<String, u64>,
    /// What had not arrived at the end.
    pub unsettled: Option<String>,
}

/// Everything that came of a run.
pub(crate) struct Outcome {
    run: Run,
    trouble: Trouble,
}

impl Outcome {
    /// Puts it together.
    ///
    /// # Errors
    /// Never, as the bounds of the histograms are good.
    pub fn new(
        chaos: &Chaos,
        seed: u64,
        history: &History,
        verdict: Verdict,
        trouble: Trouble,
    ) -> Result<Self> {
        let course = course(history)?;
        let took = u64::try_from(course.seconds.len()).unwrap_or(0) * 1000;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let aim = |fault: &Fault| {
            let aim = u64::try_from(fault.aim().as_micros()).unwrap_or(u64::MAX);
            (fault.name(), aim)
        };
        let ended = trouble
            .ended
            .iter()
            .map(|(ended, times)| format!("ended by itself: {ended}, {times} times"));
        let stuck = trouble
            .stuck
            .iter()
            .map(|stuck| format!("not recovered: {stuck}"));
        let unsettled = trouble.unsettled.iter();
        let unsettled = unsettled.map(|what| format!("not settled: {what}"));
        let run = Run {
            title: format!("chinwag load --chaos, {}", topology(chaos)),
            began: u64::try_from(now).unwrap_or(0).saturating_sub(took),
            parameters: parameters(chaos, seed),
            machine: Machine::this(),
            seconds: course.seconds,
            acks: course.acks,
            deliveries: course.deliveries,
            injections: history.injections.clone(),
            aims: Fault::value_variants().iter().map(aim).collect(),
            verdict: Some(verdict),
            notes: ended.chain(stuck).chain(unsettled).collect(),
        };
        Ok(Self { run, trouble })
    }

    /// Whether all promises were kept, and everything became well again each time.
    pub fn is_good(&self) -> bool {
        let clean = self.run.verdict.as_ref().is_some_and(Verdict::is_clean);
        clean && self.trouble.stuck.is_empty() && self.trouble.unsettled.is_none()
    }

    /// Writes it into the folder of the run: the history, the result as JSON, as a page and as a
    /// table.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, folder: &Path, history: &History) -> Result<()> {
        let file = File::create(folder.join("history.jsonl"))?;
        history.write(BufWriter::new(file))?;
        let json = serde_json::to_string_pretty(&self.run)?;
        for (name, text) in [
            ("report.json", json),
            ("report.html", html(&self.run)),
            ("table.md", self.table()),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "this is what the tool is for")]
    pub fn print(&self) {
        println!("\n{}", self.table());
        if let Some(verdict) = &self.run.verdict {
            println!("{verdict}");
        }
        self.run.notes.iter().for_each(|note| println!("{note}"));
    }

    /// The faults by kind, in Markdown.
    fn table(&self) -> String {
        let mut table = String::from(
            "| fault | injections | violations | recovered after: p50 | p99 | max | aim |\n\
             |---|---:|---:|---:|---:|---:|---:|\n",
        );
        for fault in faults(&self.run) {
            let unrecovered = match fault.unrecovered {
                0 => String::new(),
                some => format!(" ({some} never recovered)"),
            };
            let _always_fits = writeln!(
                table,
                "| {} | {}{unrecovered} | {} | {} | {} | {} | {} |",
                fault.fault,
                fault.injections,
                fault.violations,
                milliseconds(fault.p50),
                milliseconds(fault.p99),
                milliseconds(fault.max),
                milliseconds(fault.aim.unwrap_or(0)),
            );
        }
        table
    }
}

fn topology(chaos: &Chaos) -> String {
    let value = chaos.topology.to_possible_value();
    value
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

fn parameters(chaos: &Chaos, seed: u64) -> Vec<(String, String)> {
    let archive = chaos.archive.as_deref().unwrap_or("sqlite");
    // The rest of a URL is nobody's business: it may hold a password.
    let archive = archive.split(':').next().unwrap_or_default();
    [
        ("seed", seed.to_string()),
        ("topology", topology(chaos)),
        ("archive", archive.to_owned()),
        ("gateways", chaos.gateways.to_string()),
        ("workers of each kind", chaos.workers.to_string()),
        ("clients", chaos.clients.to_string()),
        ("rooms", chaos.rooms.to_string()),
        ("messages a second", chaos.rate.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
