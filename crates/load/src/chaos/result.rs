//! What came of it, in a table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::args::Chaos;
use super::fault::Fault;
use crate::check::history::History;
use crate::check::verdict::Verdict;

/// Everything that came of a run.
pub(crate) struct Outcome<'a> {
    pub chaos: &'a Chaos,
    pub seed: u64,
    pub history: &'a History,
    pub verdict: &'a Verdict,
    /// Faults that the system did not recover from in time.
    pub stuck: &'a [String],
    /// Processes that ended by themselves.
    pub ended: &'a [String],
    /// What had not arrived at the end.
    pub unsettled: Option<&'a str>,
}

/// One kind of fault.
#[derive(Debug, Default, Serialize)]
struct Row {
    injections: u64,
    violations: u64,
    /// Times of recovery in milliseconds, sorted.
    recovered_ms: Vec<u64>,
    aim_ms: u64,
}

impl Row {
    fn quantile(&self, share: usize) -> Duration {
        let last = self.recovered_ms.len().saturating_sub(1);
        let at = (last * share).div_ceil(100);
        Duration::from_millis(self.recovered_ms.get(at).copied().unwrap_or(0))
    }
}

impl Outcome<'_> {
    /// Whether all promises were kept, and everything became well again each time.
    pub fn is_good(&self) -> bool {
        self.verdict.is_clean() && self.stuck.is_empty() && self.unsettled.is_none()
    }

    /// Writes the history and the result into the folder of the run.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let file = File::create(folder.join("history.jsonl"))?;
        self.history.write(BufWriter::new(file))?;
        let result = serde_json::json!({
            "seed": self.seed,
            "topology": format!("{:?}", self.chaos.topology).to_lowercase(),
            "faults": self.rows(),
            "verdict": self.verdict,
            "not_recovered": self.stuck,
            "ended_by_themselves": self.ended,
            "not_settled": self.unsettled,
        });
        std::fs::write(folder.join("result.json"), format!("{result:#}"))?;
        Ok(())
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "this is what the tool is for")]
    pub fn print(&self) {
        println!("\n{}", self.table());
        println!("{}", self.verdict);
        for ended in self.ended {
            println!("ended by itself: {ended}");
        }
        for stuck in self.stuck {
            println!("not recovered: {stuck}");
        }
        if let Some(unsettled) = self.unsettled {
            println!("not settled: {unsettled}");
        }
    }

    /// The table of faults, in Markdown.
    fn table(&self) -> String {
        let mut table = String::from(
            "| fault | injections | violations | recovery p50 | p99 | max | aim |\n\
             |---|---:|---:|---:|---:|---:|---:|\n",
        );
        for (fault, row) in self.rows() {
            table.push_str(&format!(
                "| {fault} | {} | {} | {:.1?} | {:.1?} | {:.1?} | {:?} |\n",
                row.injections,
                row.violations,
                row.quantile(50),
                row.quantile(99),
                row.quantile(100),
                Duration::from_millis(row.aim_ms),
            ));
        }
        table
    }

    fn rows(&self) -> BTreeMap<String, Row> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let violations = self.verdict.after_injection.iter().copied();
        let violations = violations.chain(std::iter::repeat(0));
        for (injection, violations) in self.history.injections.iter().zip(violations) {
            let row = rows.entry(injection.fault.clone()).or_default();
            row.injections += 1;
            row.violations += violations;
            let lasted = injection.until - injection.at;
            let recovered = injection
                .recovered
                .map(|time| time.saturating_sub(lasted) / 1000);
            row.recovered_ms.extend(recovered);
            row.recovered_ms.sort_unstable();
            let fault = Fault::from_str(&injection.fault, true);
            row.aim_ms = fault.map_or(0, |fault| {
                u64::try_from(fault.aim().as_millis()).unwrap_or(0)
            });
        }
        rows
    }
}
