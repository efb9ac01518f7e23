//! What was measured, in words and figures.

use std::time::Duration;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

/// Times in microseconds, up to a minute.
pub(crate) type Times = Histogram<u64>;

/// An empty histogram of three digits.
pub(crate) fn times() -> Result<Times> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// Notes a time; what is over a minute counts as one.
pub(crate) fn note(times: &mut Times, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// What all members together have seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub sent: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    pub expected: u64,
    pub doubled: u64,
    pub disordered: u64,
    pub acks: Times,
    pub deliveries: Times,
}

impl Seen {
    pub(crate) fn nothing() -> Result<Self> {
        let (acks, deliveries) = (times()?, times()?);
        Ok(Self {
            sent: 0,
            acknowledged: 0,
            delivered: 0,
            expected: 0,
            doubled: 0,
            disordered: 0,
            acks,
            deliveries,
        })
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<()> {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.expected += other.expected;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.acks.add(&other.acks)?;
        self.deliveries.add(&other.deliveries)?;
        Ok(())
    }

    /// Prints the report.
    ///
    /// # Errors
    /// If anything was lost, doubled or out of order.
    #[expect(clippy::print_stdout, reason = "this is what the tool is for")]
    pub(crate) fn report(&self, took: Duration) -> Result<()> {
        let lost = self.expected.saturating_sub(self.delivered);
        let unanswered = self.sent - self.acknowledged;
        println!(
            "sent          {} ({} without an answer)",
            self.sent, unanswered
        );
        println!("delivered     {} of {}", self.delivered, self.expected);
        println!(
            "lost {lost}   doubled {}   out of order {}",
            self.doubled, self.disordered
        );
        println!(
            "rate          {:.0} deliveries/s",
            rate(self.delivered, took)
        );
        print_times("send -> ack", &self.acks);
        print_times("send -> deliver", &self.deliveries);
        if lost + unanswered + self.doubled + self.disordered > 0 {
            bail!("something was lost, doubled, out of order or not answered");
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
fn print_times(what: &str, times: &Times) {
    let at = |quantile| Duration::from_micros(times.value_at_quantile(quantile));
    let max = Duration::from_micros(times.max());
    println!(
        "{what:<16} p50 {:?}   p99 {:?}   max {max:?}",
        at(0.5),
        at(0.99)
    );
}
