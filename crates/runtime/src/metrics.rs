//! The recorder behind the `metrics` macros, and what `/metrics` says.
//!
//! Every histogram has fixed buckets, so that processes can be added up. What is known beforehand
//! is there from the start, at 0.

mod begin;
mod table;

use std::fmt::Write;
use std::sync::Arc;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process::Process;

pub use table::METRICS;

/// From 100 microseconds to half a minute.
pub const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Powers of two, for counts and sizes.
pub const SIZES: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0,
];

/// One row of [`METRICS`].
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As exported.
    pub name: &'static str,
    /// What it counts in which way.
    pub kind: Kind,
    /// The labels it always carries.
    pub labels: &'static [&'static str],
    /// One line for operators.
    pub help: &'static str,
    /// The part of a process that records it.
    pub owner: Owner,
}

/// What kind of series a metric makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A histogram of durations with [`SECONDS`] as buckets.
    Seconds,
    /// A histogram of counts with [`SIZES`] as buckets.
    Sizes,
}

/// Who records a metric; a process shows those of the parts it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the part of that name")]
pub enum Owner {
    Gateway,
    Worker,
    Archive,
    Fanout,
    Presence,
    Redis,
    Process,
}

impl Owner {
    /// Whether a process of this role records such metrics; `up` is all roles in one.
    #[must_use]
    pub fn runs_in(self, role: &str) -> bool {
        match self {
            Self::Redis | Self::Process => true,
            Self::Gateway => matches!(role, "gateway" | "up"),
            Self::Worker => matches!(role, "fanout" | "presence" | "archiver" | "up"),
            Self::Archive => matches!(role, "gateway" | "archiver" | "up"),
            Self::Fanout => matches!(role, "fanout" | "up"),
            Self::Presence => matches!(role, "presence" | "up"),
        }
    }
}

impl Metric {
    fn unit(&self) -> Unit {
        let stem = self.name.trim_end_matches("_total");
        if stem.ends_with("_seconds") {
            Unit::Seconds
        } else if stem.ends_with("_bytes") {
            Unit::Bytes
        } else {
            Unit::Count
        }
    }

    fn describe(&self) {
        match self.kind {
            Kind::Counter => describe_counter!(self.name, self.unit(), self.help),
            Kind::Gauge => describe_gauge!(self.name, self.unit(), self.help),
            Kind::Seconds | Kind::Sizes => {
                describe_histogram!(self.name, self.unit(), self.help);
            }
        }
    }
}

/// Renders what was recorded.
#[derive(Clone)]
pub struct Metrics {
    recorded: PrometheusHandle,
    process: Arc<Process>,
}

/// Installs the recorder of this process.
///
/// # Errors
/// When there is one already.
pub fn install(role: &'static str, version: &'static str) -> Result<Metrics, BuildError> {
    let mut builder = PrometheusBuilder::new().set_buckets(SECONDS)?;
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Sizes) {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), SIZES)?;
    }
    let recorded = builder.install_recorder()?;
    for metric in METRICS.iter().filter(|metric| !metric.read_from_system()) {
        metric.describe();
        begin::begin(metric, role);
    }
    gauge!("chinwag_build_info", "version" => version, "role" => role).set(1.0);
    Ok(Metrics {
        recorded,
        process: Arc::new(Process::new()),
    })
}

impl Metric {
    /// Whether it is read from the system at each scrape and not recorded by anyone.
    fn read_from_system(&self) -> bool {
        self.owner == Owner::Process
            && !matches!(
                self.name,
                "chinwag_build_info" | "chinwag_process_task_panics_total"
            )
    }
}

impl Metrics {
    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.recorded.render();
        for (name, value) in self.process.sample() {
            let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else {
                continue;
            };
            let kind = if metric.kind == Kind::Counter {
                "counter"
            } else {
                "gauge"
            };
            let help = metric.help;
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
            );
        }
        text
    }

    /// Moves recorded samples into their buckets; without it they pile up between scrapes.
    pub fn upkeep(&self) {
        self.recorded.run_upkeep();
    }
}

#[cfg(test)]
impl Metrics {
    /// Renders a recorder that nobody records to, which any number of tests can have.
    pub(crate) fn empty() -> Self {
        let recorded = PrometheusBuilder::new().build_recorder().handle();
        Self {
            recorded,
            process: Arc::new(Process::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_template() {
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("chinwag_"), "{name}");
            assert!(
                name.bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_lowercase()),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            assert!(
                metric.kind != Kind::Seconds || name.ends_with("_seconds"),
                "{name}"
            );
            assert!(
                metric.kind != Kind::Sizes || name.ends_with("_size"),
                "{name}"
            );
            assert_eq!(
                METRICS.iter().filter(|other| other.name == name).count(),
                1,
                "{name}"
            );
        }
    }

    /// One test for all that needs the recorder, of which a process has one.
    #[test]
    fn what_is_recorded_is_rendered_with_fixed_buckets() {
        let metrics = install("fanout", "1.2.3").unwrap();
        metrics::histogram!("chinwag_gateway_append_seconds").record(0.002);
        metrics::histogram!("chinwag_worker_batch_size", "role" => "fanout").record(3.0);
        metrics.upkeep();
        let text = metrics.render();
        for expected in [
            "chinwag_build_info{version=\"1.2.3\",role=\"fanout\"} 1",
            "chinwag_gateway_append_seconds_bucket{le=\"0.001\"} 0",
            "chinwag_gateway_append_seconds_bucket{le=\"0.0025\"} 1",
            "chinwag_worker_batch_size_bucket{role=\"fanout\",le=\"4\"} 1",
            "chinwag_fanout_notices_total 0",
            "chinwag_worker_errors_total{role=\"fanout\"} 0",
            "chinwag_worker_batch_seconds_count{role=\"fanout\"} 0",
            "chinwag_redis_errors_total{kind=\"full\"} 0",
            "# TYPE chinwag_process_cpu_seconds_total counter",
            "# HELP chinwag_process_threads Threads of this process",
        ] {
            assert!(text.contains(expected), "{expected} is missing in:\n{text}");
        }
        assert!(
            !text.contains("chinwag_gateway_gaps_total"),
            "belongs to another role"
        );
    }
}
