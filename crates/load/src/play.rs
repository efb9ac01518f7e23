//! A run from its beginning to its report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::args::Load;
use crate::cast::Cast;
use crate::check::history::History;
use crate::ending::Violated;
use crate::finish;
use crate::meter::{Meter, Totals};
use crate::notes::{Clock, Notes};
use crate::player::{Phase, Played, Player, Stage};
use crate::report::{Machine, Run, Second, milliseconds};
use crate::script::Script;

/// How long everybody together may take to come.
const COMING: Duration = Duration::from_secs(120);
/// Clients that come at once, so that coming is no storm of its own.
const COME_AT_ONCE: u64 = 64;
/// How long the last answers and deliveries may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(20);

/// Plays a conversation and reports.
pub(crate) async fn play(load: &Load, script: &Script) -> Result<()> {
    raise_files();
    say(&format!(
        "{}: {} rooms of {}, {} messages/s for {} s",
        script.title, script.rooms, script.members, script.rate, script.seconds
    ));
    let cast = Cast::gather(load, script).await?;
    let mut troupe = Troupe::come(&cast).await?;
    let (totals, ended) = troupe.perform(&cast, script).await?;
    let played = troupe.home().await?;
    finish::report(
        load,
        script,
        &cast,
        Performance {
            totals,
            played,
            ended,
        },
    )
    .await
}

/// What came of a performance.
pub(crate) struct Performance {
    pub totals: Totals,
    pub played: Vec<Played>,
    /// What the players did not get done in time.
    pub ended: Vec<String>,
}

/// All players, on their stage.
struct Troupe {
    stage: Arc<Stage>,
    phase: watch::Sender<Phase>,
    players: JoinSet<Played>,
}

impl Troupe {
    /// Has everybody come.
    async fn come(cast: &Cast) -> Result<Self> {
        let (phase, phases) = watch::channel(Phase::Gathering);
        let stage = Arc::new(Stage {
            meter: Meter::new()?,
            phase: phases,
            come: AtomicU64::new(0),
            written: AtomicU64::new(0),
            heard: cast.parts.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        let clock = Clock(Instant::now());
        let mut players = JoinSet::new();
        let deadline = Instant::now() + COMING;
        for (number, part) in (0_u64..).zip(&cast.parts) {
            while stage.come.load(Ordering::Relaxed) + COME_AT_ONCE <= number {
                in_time(deadline, number)?;
                sleep(LOOK / 10).await;
            }
            let notes = Notes {
                clock,
                client: part.client,
                on: part.recorded,
                records: Vec::new(),
            };
            players.spawn(Player::new(part.clone(), Arc::clone(&stage), notes).play());
        }
        let all = u64::try_from(cast.parts.len())?;
        while stage.come.load(Ordering::Relaxed) < all {
            in_time(deadline, stage.come.load(Ordering::Relaxed))?;
            sleep(LOOK).await;
        }
        say(&format!("{all} connections in {:.1?}", clock.0.elapsed()));
        Ok(Self {
            stage,
            phase,
            players,
        })
    }

    /// Has everybody play, until all is said and heard.
    async fn perform(&mut self, cast: &Cast, script: &Script) -> Result<(Totals, Vec<String>)> {
        let begun = Instant::now() + Duration::from_millis(200);
        self.phase.send_replace(Phase::Playing(begun));
        let mut totals = Totals::new()?;
        let mut seconds = interval(Duration::from_secs(1));
        seconds.tick().await;
        let writers = cast.parts.len();
        let mut late = Vec::new();
        let over = begun + Duration::from_secs(script.seconds) + PATIENCE;
        let mut tops: Option<Vec<u64>> = None;
        let mut second = 0;
        loop {
            tokio::select! {
                _ = seconds.tick() => {
                    second += 1;
                    show(&self.stage.meter.second(second, &mut totals)?);
                }
                () = sleep(LOOK) => {}
            }
            let written = self.stage.written.load(Ordering::Relaxed);
            let all_written = usize::try_from(written)? >= writers;
            if Instant::now()
                > over
                    + if tops.is_some() {
                        PATIENCE
                    } else {
                        Duration::ZERO
                    }
            {
                late.push("not everything was answered and heard in time".to_owned());
                break;
            }
            match &tops {
                None if all_written => {
                    self.phase.send_replace(Phase::Ending);
                    tops = Some(finish::tops(cast).await?);
                }
                Some(tops) if self.all_heard(cast, tops) => break,
                _ => {}
            }
        }
        self.stage.meter.second(second + 1, &mut totals)?;
        Ok((totals, late))
    }

    fn all_heard(&self, cast: &Cast, tops: &[u64]) -> bool {
        let heard = self.stage.heard.iter().zip(&cast.parts);
        heard.into_iter().all(|(heard, part)| {
            let room = usize::try_from(part.room).unwrap_or(usize::MAX);
            let top = tops.get(room).copied().unwrap_or(0);
            heard.load(Ordering::Relaxed) >= top
        })
    }

    /// Has everybody come home with what they saw.
    async fn home(mut self) -> Result<Vec<Played>> {
        self.phase.send_replace(Phase::Over);
        let mut played = Vec::with_capacity(self.players.len());
        while let Some(player) = self.players.join_next().await {
            played.push(player?);
        }
        Ok(played)
    }
}

fn in_time(deadline: Instant, come: u64) -> Result<()> {
    if Instant::now() > deadline {
        bail!("after {COMING:?} only {come} clients have connected and are in their rooms");
    }
    Ok(())
}

/// The whole report's beginning.
pub(crate) fn run(load: &Load, script: &Script, totals: &Totals) -> Run {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    let began = u64::try_from(now).unwrap_or(0) - 1000 * script.seconds;
    let mut parameters = script.parameters();
    parameters.push(("at".to_owned(), load.urls.join(", ")));
    Run {
        title: format!("chinwag load: {}", script.title),
        began,
        parameters,
        machine: Machine::this(),
        seconds: totals.seconds.clone(),
        acks: totals.acks(),
        deliveries: totals.deliveries(),
        ..Run::default()
    }
}

/// Joins what players wrote down.
pub(crate) fn history(played: &mut [Played]) -> History {
    let mut history = History::default();
    for player in played {
        history.records.append(&mut player.records);
    }
    history
}

/// An error if promises were broken.
pub(crate) fn verdict(violations: u64) -> Result<()> {
    match violations {
        0 => Ok(()),
        some => Err(Violated(some).into()),
    }
}

/// A connection is a file, and the usual limit on those is low.
pub(crate) fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        say("the limit of open files cannot be raised");
    }
}

fn show(second: &Second) {
    let [ack, worst_ack] = second.ack.map(milliseconds);
    let [delivery, worst_delivery] = second.delivery.map(milliseconds);
    let refused = match second.refused {
        0 => String::new(),
        some => format!("  refused {some}"),
    };
    say(&format!(
        "{:>4} s  sent {}  acked {}  delivered {}  ack {ack} / {worst_ack}  delivery {delivery} / \
         {worst_delivery}  connections {}  behind {}{refused}",
        second.at,
        second.sent,
        second.acked,
        second.delivered,
        second.connections,
        milliseconds(second.behind)
    ));
}

/// Tells whoever watches.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
