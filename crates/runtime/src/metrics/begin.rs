//! What a process shows before anything has happened.
//!
//! Counters begin at 0 when the process starts and not with their first event, which `increase()`
//! would otherwise never see; histograms begin empty, so that dashboards and alerts find them.

use metrics::{counter, histogram};

use super::table::VALUES;
use super::{Kind, Metric, Owner};

/// Makes the series of a metric that are known when a process of this role starts. Those of labels
/// whose values only come with events, such as routes, begin with their event.
pub(super) fn begin(metric: &Metric, role: &'static str) {
    if !metric.owner.runs_in(role) || metric.read_from_system() {
        return;
    }
    match metric.labels {
        [] => series(metric, &[]),
        [label] => values(metric, role)
            .iter()
            .for_each(|value| series(metric, &[(*label, *value)])),
        _ => {}
    }
}

/// A worker's role is that of its process, and all of them where everything is in one.
fn values(metric: &Metric, role: &'static str) -> Vec<&'static str> {
    if metric.owner == Owner::Worker && metric.labels == ["role"] {
        let workers = ["fanout", "presence", "archiver"];
        return workers
            .into_iter()
            .filter(|worker| role == "up" || role == *worker)
            .collect();
    }
    let known = VALUES.iter().find(|(name, _)| *name == metric.name);
    known.map_or_else(Vec::new, |(_, values)| values.to_vec())
}

/// A gauge has no value to begin with.
fn series(metric: &Metric, labels: &[(&'static str, &'static str)]) {
    match metric.kind {
        Kind::Counter => counter!(metric.name, labels).absolute(0),
        Kind::Seconds | Kind::Sizes => drop(histogram!(metric.name, labels)),
        Kind::Gauge => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::METRICS;
    use super::*;

    #[test]
    fn values_are_those_of_the_one_label_of_a_metric() {
        for (name, values) in VALUES {
            let metric = METRICS.iter().find(|metric| metric.name == *name).unwrap();
            assert_eq!(metric.labels.len(), 1, "{name}");
            assert!(!values.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_worker_begins_its_own_role_and_up_all_of_them() {
        let errors = METRICS
            .iter()
            .find(|metric| metric.name.ends_with("worker_errors_total"));
        assert_eq!(values(errors.unwrap(), "archiver"), ["archiver"]);
        assert_eq!(
            values(errors.unwrap(), "up"),
            ["fanout", "presence", "archiver"]
        );
    }
}
