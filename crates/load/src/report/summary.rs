//! Many times, in few numbers.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Times in microseconds, up to a minute.
pub type Times = Histogram<u64>;

/// The longest that is told apart.
const MOST: u64 = 60_000_000;

/// An empty histogram of three digits.
///
/// # Errors
/// Never, as the bounds are good.
pub fn times() -> anyhow::Result<Times> {
    Ok(Histogram::new_with_max(MOST, 3)?)
}

/// Notes a time; what is over a minute counts as one.
pub fn note(times: &mut Times, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(MOST));
}

/// Times in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 9 of 10.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// All.
    pub max: u64,
    /// How many took at most so long, and longer than the one before.
    pub histogram: Vec<(u64, u64)>,
}

impl From<&Times> for Summary {
    fn from(times: &Times) -> Self {
        let at = |quantile| times.value_at_quantile(quantile);
        let steps = times.iter_log(100, 1.5);
        Self {
            count: times.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max(),
            histogram: steps
                .map(|step| {
                    let count = step.count_since_last_iteration();
                    (step.value_iterated_to(), count)
                })
                .collect(),
        }
    }
}

/// A time in microseconds, for people.
#[must_use]
pub fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{:.2} ms", thousandth(microseconds)),
        10_000..1_000_000 => format!("{:.0} ms", thousandth(microseconds)),
        _ => format!("{:.1} s", thousandth(microseconds / 1000)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^52")]
fn thousandth(number: u64) -> f64 {
    number as f64 / 1000.0
}
