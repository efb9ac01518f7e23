//! What the operating system says about this process: memory, processor time, descriptors, threads.
//!
//! Read from `/proc/self` at each scrape. A value that cannot be read is left out rather than
//! shown as zero: on another system than Linux there are none but the uptime.

use std::fs;
use std::time::Instant;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// A reader of `/proc/self`.
#[derive(Debug)]
pub struct Process {
    started: Instant,
}

impl Process {
    /// Begins to count the uptime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// The present values by the name of their metric.
    #[must_use]
    pub fn sample(&self) -> Vec<(&'static str, f64)> {
        let stat = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| Stat::parse(&text));
        let descriptors = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        let limit = getrlimit(Resource::Nofile).current;
        [
            (
                "chinwag_process_resident_memory_bytes",
                stat.as_ref().map(Stat::resident_bytes),
            ),
            (
                "chinwag_process_cpu_seconds_total",
                stat.as_ref().map(Stat::cpu_seconds),
            ),
            (
                "chinwag_process_threads",
                stat.as_ref().map(|stat| stat.threads),
            ),
            (
                "chinwag_process_open_file_descriptors",
                descriptors.map(|count| count as f64),
            ),
            (
                "chinwag_process_max_file_descriptors",
                limit.map(|limit| limit as f64),
            ),
            (
                "chinwag_process_uptime_seconds",
                Some(self.started.elapsed().as_secs_f64()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}

/// The fields of `/proc/self/stat` that are wanted, as numbered in proc(5).
#[derive(Debug, PartialEq)]
struct Stat {
    user_ticks: f64,
    system_ticks: f64,
    threads: f64,
    resident_pages: f64,
}

impl Stat {
    /// The second field is the name in parentheses, which may hold anything, spaces and
    /// parentheses too; the third begins after the last `)`.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            threads: field(20)?,
            resident_pages: field(24)?,
        })
    }

    fn cpu_seconds(&self) -> f64 {
        (self.user_ticks + self.system_ticks) / clock_ticks_per_second() as f64
    }

    fn resident_bytes(&self) -> f64 {
        self.resident_pages * page_size() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "7 (odd ) name) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 9 0 100 4096 42 0";
        let expected = Stat {
            user_ticks: 150.0,
            system_ticks: 50.0,
            threads: 9.0,
            resident_pages: 42.0,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("7 (cut off) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_very_process_has_all_values() {
        let sample = Process::new().sample();
        assert_eq!(sample.len(), 6);
        let value = |name: &str| sample.iter().find(|(other, _)| *other == name).unwrap().1;
        assert!(value("chinwag_process_resident_memory_bytes") > 100_000.0);
        assert!(value("chinwag_process_threads") >= 1.0);
        assert!(value("chinwag_process_open_file_descriptors") >= 3.0);
    }
}
