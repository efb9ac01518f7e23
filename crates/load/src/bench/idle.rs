//! Connections that say nothing: what each costs.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::Stage;
use super::args::Bench;
use super::cpu;
use super::hold::{Holder, Order};
use super::outcome::Outcome;
use super::setup::Cast;

/// Members of each room, and rooms of each member.
const MEMBERS: usize = 10;
const ROOMS_EACH: usize = 3;
/// Connections of one process: it may usually have 20,000 files.
const PER_PROCESS: usize = 15_000;
/// Time for what connecting has set off to end.
const SETTLING: Duration = Duration::from_secs(5);

/// Has them come, looks at what that costs, and looks again after a while.
pub(crate) async fn run(bench: &Bench, stage: &Stage) -> Result<Outcome> {
    let circles = bench.connections.div_ceil(MEMBERS);
    let secret = stage.secret.as_deref();
    let cast = Cast::gather(&stage.urls, secret, circles, MEMBERS, ROOMS_EACH).await?;
    sleep(SETTLING).await;
    let doors = cast.doors(&stage.urls)?;
    let before = cpu::resident(&stage.watched);
    let run = fastrand::u8(1..255);
    let parts = doors
        .chunks(PER_PROCESS)
        .zip(cast.tokens.chunks(PER_PROCESS));
    let mut holders = Vec::new();
    for (block, (doors, tokens)) in (1..).zip(parts) {
        let source = Ipv4Addr::new(127, run, block, 1);
        let is_local = doors.iter().all(|door| door.ip() == Ipv4Addr::LOCALHOST);
        holders.push(Holder::start(&Order {
            doors: doors.to_vec(),
            tokens: tokens.to_vec(),
            source: is_local.then_some(IpAddr::V4(source)),
            core: bench.own_core(),
        })?);
    }
    let (holders, slowest) = waiting(holders, Holder::come).await?;
    let slowest = slowest.into_iter().fold(0.0, f64::max);
    sleep(SETTLING).await;
    let (used, looked) = (cpu::used(&stage.watched), Instant::now());
    sleep(Duration::from_secs_f64(bench.seconds)).await;
    let seconds = looked.elapsed().as_secs_f64();
    let now = cpu::used(&stage.watched);
    let resident = cpu::resident(&stage.watched);
    let mut errors = 0;
    let mut complaint = None;
    for holder in holders {
        let held = holder.end()?;
        errors += held.closed;
        complaint = complaint.or(held.complaint);
    }
    let all = doors.len();
    let note = format!(
        "{all} connections with {ROOMS_EACH} rooms each, {} of them gone after {:.0} s",
        errors,
        looked.elapsed().as_secs_f64() + SETTLING.as_secs_f64()
    );
    let per_connection = resident.iter().map(|(name, after)| {
        let before = before.get(name).copied().unwrap_or(0);
        let grown = after.saturating_sub(before);
        (name.clone(), count(grown) / count(all as u64))
    });
    Ok(Outcome {
        label: bench.label.clone(),
        shape: "idle".to_owned(),
        rooms: cast.rooms.len(),
        members: MEMBERS,
        connections: all,
        seconds,
        kib_per_connection: per_connection.collect(),
        busy: share(&used, &now, seconds),
        connects_per_second: count(all as u64) / slowest.max(0.001),
        resident_mib: resident
            .into_iter()
            .map(|(name, kib)| (name, count(kib) / 1024.0))
            .collect(),
        errors,
        complaint,
        notes: vec![note],
        ..Outcome::default()
    })
}

/// Which part of a core each kind of process used.
pub(crate) fn share(
    before: &std::collections::BTreeMap<String, Duration>,
    after: &std::collections::BTreeMap<String, Duration>,
    seconds: f64,
) -> std::collections::BTreeMap<String, f64> {
    let share = after.iter().map(|(name, after)| {
        let before = before.get(name).copied().unwrap_or_default();
        let used = after.saturating_sub(before).as_secs_f64();
        (name.clone(), used / seconds.max(0.001))
    });
    share.collect()
}

/// Waits for all holders, off the threads that others need.
async fn waiting<T: Send + 'static>(
    holders: Vec<Holder>,
    wait: impl Fn(&mut Holder) -> Result<T> + Send + 'static,
) -> Result<(Vec<Holder>, Vec<T>)> {
    let waiting = tokio::task::spawn_blocking(move || {
        let mut holders = holders;
        let waited = holders.iter_mut().map(wait).collect::<Result<Vec<T>>>();
        waited.map(|waited| (holders, waited))
    });
    waiting.await.context("wait for connections")?
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}
