//! What came of a run, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::play::Play;
use crate::report::{Times, milliseconds};

/// From which share of its core on the generator counts as what was measured.
const BUSY: f64 = 0.9;

/// What was used while it was measured.
pub(crate) struct Window {
    pub seconds: f64,
    pub own: Duration,
    /// By kind of process.
    pub used: BTreeMap<String, Duration>,
    pub bytes: u64,
    pub resident: BTreeMap<String, u64>,
    pub coming: Duration,
}

/// What came of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What was measured.
    pub label: String,
    /// The shape.
    pub shape: String,
    /// Its rooms.
    pub rooms: usize,
    /// Members of each.
    pub members: usize,
    /// Who of them send.
    pub senders: usize,
    /// Messages that each has outstanding.
    pub window: usize,
    /// Messages a second, if that was fixed.
    pub rate: Option<f64>,
    /// Connections, where that is not rooms times members.
    pub connections: usize,
    /// Resident memory for each, by kind of process, where that was asked.
    pub kib_per_connection: BTreeMap<String, f64>,
    /// How long was measured.
    pub seconds: f64,
    /// Messages answered, a second.
    pub acked_per_second: f64,
    /// Messages given to members, a second.
    pub deliveries_per_second: f64,
    /// Microseconds to the answer.
    pub ack: Latency,
    /// Microseconds to a member.
    pub delivery: Latency,
    /// Cores in use, by kind of process.
    pub busy: BTreeMap<String, f64>,
    /// Seconds of processor for a million deliveries, by kind of process.
    pub cpu_per_million: BTreeMap<String, f64>,
    /// All servers' but Redis's.
    pub servers_per_million: f64,
    /// Redis's.
    pub redis_per_million: f64,
    /// Which part of its core the generator used.
    pub generator_busy: f64,
    /// What it took in.
    pub megabytes_per_second: f64,
    /// Resident memory at the end, in MiB, by kind of process.
    pub resident_mib: BTreeMap<String, f64>,
    /// Connections made in a second, each with its session and subscriptions.
    pub connects_per_second: f64,
    /// Deliveries that never came, though the run waited for them.
    pub lost: u64,
    /// Messages that were not answered, or that somebody did not get.
    pub incomplete: u64,
    /// Deliveries that came twice.
    pub doubled: u64,
    /// Deliveries that came before one that was sent earlier.
    pub disordered: u64,
    /// Events passed over by the rooms' own count.
    pub holes: u64,
    /// Messages refused.
    pub refused: u64,
    /// Connections that ended, and the like.
    pub errors: u64,
    /// Messages that were not complete after five seconds, and for which nobody waited longer.
    pub late: u64,
    /// What the first mishap was.
    pub complaint: Option<String>,
    /// What else is to be known of it.
    pub notes: Vec<String>,
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took at most this.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// All.
    pub max: u64,
}

impl From<&Times> for Latency {
    fn from(times: &Times) -> Self {
        Self {
            p50: times.value_at_quantile(0.5),
            p99: times.value_at_quantile(0.99),
            max: times.max(),
        }
    }
}

impl Window {
    /// What Redis has used, or what all others have.
    fn used_by(&self, redis: bool) -> impl Iterator<Item = &Duration> {
        let of = move |name: &str| name.starts_with("redis") == redis;
        let used = self.used.iter().filter(move |(name, _)| of(name));
        used.map(|(_, used)| used)
    }
}

/// What is to be said if the generator could not do more.
fn bottleneck(busy: f64) -> Option<String> {
    let percent = busy * 100.0;
    (busy > BUSY)
        .then(|| format!("the generator was the bottleneck: it used {percent:.0} % of its core"))
}

impl Outcome {
    pub(crate) fn new(play: &Play, ledger: &Ledger, window: &Window) -> Self {
        let seconds = window.seconds.max(0.001);
        let (incomplete, lost) = ledger.incomplete();
        // Where nothing is delivered, answers are what there is.
        let done = match ledger.delivered {
            0 => ledger.acked,
            delivered => delivered,
        };
        let millions = count(done.max(1)) / 1e6;
        let per_million = |used: &Duration| used.as_secs_f64() / millions;
        let sum = |redis| window.used_by(redis).map(per_million).sum::<f64>();
        let each = |of: &dyn Fn(&Duration) -> f64| {
            let used = window.used.iter();
            used.map(|(name, used)| (name.clone(), of(used))).collect()
        };
        let generator_busy = window.own.as_secs_f64() / seconds;
        let size = play.size;
        Self {
            label: play.label.clone(),
            shape: play.shape.clone(),
            rooms: size.rooms,
            members: size.members,
            senders: size.senders,
            window: size.window,
            rate: size.rate,
            connections: size.connections(),
            kib_per_connection: BTreeMap::new(),
            seconds,
            acked_per_second: count(ledger.acked) / seconds,
            deliveries_per_second: count(ledger.delivered) / seconds,
            ack: (&ledger.acks).into(),
            delivery: (&ledger.deliveries).into(),
            busy: each(&|used| used.as_secs_f64() / seconds),
            cpu_per_million: each(&per_million),
            servers_per_million: sum(false),
            redis_per_million: sum(true),
            generator_busy,
            megabytes_per_second: count(window.bytes) / 1e6 / seconds,
            resident_mib: window
                .resident
                .iter()
                .map(|(name, kib)| (name.clone(), count(*kib) / 1024.0))
                .collect(),
            connects_per_second: count(size.connections() as u64)
                / window.coming.as_secs_f64().max(0.001),
            lost,
            incomplete,
            doubled: ledger.doubled,
            disordered: ledger.disordered,
            holes: ledger.holes,
            refused: ledger.refused,
            errors: ledger.errors,
            late: ledger.late,
            complaint: ledger.complaint.clone(),
            notes: bottleneck(generator_busy).into_iter().collect(),
        }
    }

    /// Whether anything was lost, doubled or out of order.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let bad = self.lost + self.incomplete + self.doubled + self.disordered + self.holes;
        bad + self.refused + self.errors + self.late == 0
    }
}

/// All outcomes, one a line.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "\nshape  label          acked/s  deliveries/s   ack p50 / p99 / max            \
         delivery p50 / p99 / max       CPU s/1M: servers  redis  busy: servers redis generator\n",
    );
    for one in outcomes {
        let times = |times: Latency| {
            [times.p50, times.p99, times.max]
                .map(milliseconds)
                .join(" / ")
        };
        let busy = |redis: bool| -> f64 {
            let busy = one.busy.iter();
            let busy = busy.filter(|(name, _)| name.starts_with("redis") == redis);
            busy.map(|(_, busy)| busy).sum()
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{:<6} {:<12} {:>9.0} {:>13.0}   {:<30} {:<30} {:>17.2} {:>6.2} {:>14.2} {:>5.2} {:>9.2}",
            one.shape,
            one.label,
            one.acked_per_second,
            one.deliveries_per_second,
            times(one.ack),
            times(one.delivery),
            one.servers_per_million,
            one.redis_per_million,
            busy(false),
            busy(true),
            one.generator_busy
        );
    }
    if let Some(last) = outcomes.last() {
        table.push_str(&details(last));
    }
    table
}

/// What does not fit into a line.
fn details(one: &Outcome) -> String {
    let by_kind = |values: &BTreeMap<String, f64>| {
        let shown = values
            .iter()
            .map(|(name, value)| format!("{name} {value:.2}"));
        shown.collect::<Vec<_>>().join("  ")
    };
    let mut text = format!(
        "  CPU s/1M   {}\n  RSS MiB    {}\n  RSS KiB per connection  {}\n  {:.0} connects/s, {:.0} MB/s in\n  lost {}  incomplete {}  \
         doubled {}  out of order {}  passed over {}  refused {}  late {}  errors {}\n",
        by_kind(&one.cpu_per_million),
        by_kind(&one.resident_mib),
        by_kind(&one.kib_per_connection),
        one.connects_per_second,
        one.megabytes_per_second,
        one.lost,
        one.incomplete,
        one.doubled,
        one.disordered,
        one.holes,
        one.refused,
        one.late,
        one.errors
    );
    for note in one.notes.iter().chain(&one.complaint) {
        let _ = writeln!(text, "  {note}");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
