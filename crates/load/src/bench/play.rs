//! A shape from its beginning to its outcome.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cpu::{self, Watched, on_core};
use super::dialect::Dialect;
use super::engine::{Engine, Schedule, Sending};
use super::ledger::Ledger;
use super::outcome::{Outcome, Window};
use super::shape::Size;

/// Time for everybody's coming to have its effects.
const SETTLING: Duration = Duration::from_millis(700);
/// How long the last messages may take.
const DRAINING: Duration = Duration::from_secs(5);
/// How long writing what is to be read may take.
const WRITING: Duration = Duration::from_secs(120);
/// Connections from one address to one server; it has some 28,000 ports.
const PER_SOURCE: usize = 15_000;

/// What to play, and against whom.
#[derive(Debug, Clone)]
pub struct Play {
    /// What is measured.
    pub label: String,
    /// The shape's name.
    pub shape: String,
    /// How large it is.
    pub size: Size,
    /// Where each member connects.
    pub doors: Vec<SocketAddr>,
    /// How long to measure.
    pub seconds: f64,
    /// How long to play before.
    pub warm_up: f64,
    /// Length of each text.
    pub bytes: u16,
    /// The core to be on.
    pub core: Option<usize>,
    /// Whose time is counted.
    pub watched: Vec<Watched>,
}

/// Plays it on this thread.
///
/// # Errors
/// If members cannot connect, or the system refuses what this needs.
pub fn play<D: Dialect>(play: &Play, dialect: D) -> Result<Outcome> {
    on_core(play.core, || on_this_core(play, dialect))
}

fn on_this_core<D: Dialect>(play: &Play, dialect: D) -> Result<Outcome> {
    let size = play.size;
    let ledger = Ledger::new(size.rooms, size.members, size.senders)?;
    let mut engine = Engine::new(dialect, ledger, usize::from(play.bytes))?;
    let coming = engine.come(&play.doors, sources(&play.doors))?;
    measure(play, &mut engine, coming)
}

/// Plays and measures, once everybody is there.
pub(crate) fn measure<D: Dialect>(
    play: &Play,
    engine: &mut Engine<D>,
    coming: Duration,
) -> Result<Outcome> {
    let size = play.size;
    engine.run(Instant::now() + SETTLING, &mut Sending::Nobody)?;
    let senders: Vec<usize> = (0..size.senders * size.rooms).collect();
    let mut sending = begin(engine, size, senders);
    engine.run(after(play.warm_up), &mut sending)?;
    engine.ledger.measuring = true;
    let (began, own, used, bytes) = (
        Instant::now(),
        cpu::own(),
        cpu::used(&play.watched),
        engine.bytes_in,
    );
    engine.run(after(play.seconds), &mut sending)?;
    let window = Window {
        seconds: began.elapsed().as_secs_f64(),
        own: cpu::own().saturating_sub(own),
        used: cpu::used(&play.watched)
            .into_iter()
            .map(|(name, now)| {
                let before = used.get(&name).copied().unwrap_or_default();
                (name, now.saturating_sub(before))
            })
            .collect(),
        bytes: engine.bytes_in - bytes,
        resident: cpu::resident(&play.watched),
        coming,
    };
    engine.ledger.measuring = false;
    engine.drain(Instant::now() + DRAINING)?;
    Ok(Outcome::new(play, &engine.ledger, &window))
}

fn begin<D: Dialect>(engine: &mut Engine<D>, size: Size, senders: Vec<usize>) -> Sending {
    let now = engine.now();
    let Some(rate) = size.rate else {
        for _ in 0..size.window {
            for sender in &senders {
                engine.send(*sender, now);
            }
        }
        engine.flush();
        return Sending::Freed;
    };
    Sending::Steadily(Schedule {
        due: now,
        every: u64::try_from(Duration::from_secs_f64(1.0 / rate).as_nanos()).unwrap_or(u64::MAX),
        senders,
        next: 0,
    })
}

/// Has the first member of each room send so many messages, and waits until all are complete.
pub(crate) fn write_each<D: Dialect>(
    engine: &mut Engine<D>,
    rooms: usize,
    messages: usize,
    window: usize,
) -> Result<()> {
    let late = Instant::now() + WRITING;
    for _ in (0..messages).step_by(window.max(1)) {
        let now = engine.now();
        for _ in 0..window {
            for room in 0..rooms {
                engine.send(room, now);
            }
        }
        engine.flush();
        engine.drain(late)?;
    }
    anyhow::ensure!(
        engine.ledger.incomplete().0 == 0,
        "what is to be read cannot be written"
    );
    Ok(())
}

fn after(seconds: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(seconds)
}

/// Addresses of this machine to connect from. Ports that were used a minute ago are not free yet,
/// so that each run takes others.
pub(crate) fn sources(doors: &[SocketAddr]) -> impl Fn(usize) -> Option<IpAddr> + use<> {
    let is_local = doors.iter().all(|door| door.ip() == Ipv4Addr::LOCALHOST);
    let run = fastrand::u8(1..255);
    move |member| {
        let block = u8::try_from(member / PER_SOURCE).unwrap_or(u8::MAX);
        is_local.then_some(IpAddr::V4(Ipv4Addr::new(127, run, block, 1)))
    }
}
