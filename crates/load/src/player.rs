//! One client: comes, listens, writes by its schedule, goes and comes back.

mod letters;
mod rooms;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use chinwag_client::error::Error;
use chinwag_protocol::command::Method;
use chinwag_protocol::reply::{Outcome, Reply};
use chinwag_protocol::request::SubscribeRequest;
use chinwag_protocol::result::ConnectResult;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use self::letters::Letters;
use crate::cast::Part;
use crate::check::history::{Record, What};
use crate::meter::Meter;
use crate::notes::Notes;
use crate::place::Place;

/// Longest pause between two attempts at connecting.
const PAUSE: Duration = Duration::from_secs(2);
/// What a slow reader has the system take in for it.
const SLOW_BUFFER: u32 = 4096;

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everybody comes, and waits.
    Gathering,
    /// The clock of the schedules began at this time of the run.
    Playing(Instant),
    /// Nobody writes any more; readers get the rest, and slow ones hurry.
    Ending,
    /// It is over.
    Over,
}

/// What all players share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub meter: Meter,
    pub phase: watch::Receiver<Phase>,
    /// Who has come for the first time.
    pub come: AtomicU64,
    /// Who has written all, and has all answers.
    pub written: AtomicU64,
    /// Where each room and each reader stands.
    pub heard: Vec<AtomicU64>,
}

/// What a player brings home.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub records: Vec<Record>,
    pub holes: u64,
    pub doubled: u64,
    /// Messages that never were answered.
    pub unanswered: u64,
    /// Messages refused for good, and why the last one was.
    pub denied: u64,
    pub reason: Option<String>,
}

pub(crate) struct Player {
    part: Part,
    stage: Arc<Stage>,
    notes: Notes,
    place: Place,
    letters: Letters,
    played: Played,
    phase: watch::Receiver<Phase>,
    /// The next absence.
    absence: usize,
    come: bool,
    told_written: bool,
    /// Before when a slow reader reads nothing.
    reads_at: Instant,
}

/// Why a session is over.
enum End {
    /// The run is.
    Run,
    /// The client is away until then.
    Away(Instant),
    /// The connection was lost.
    Lost,
}

impl Player {
    pub(crate) fn new(part: Part, stage: Arc<Stage>, notes: Notes) -> Self {
        let phase = stage.phase.clone();
        let letters = Letters::new(&part);
        Self {
            part,
            stage,
            notes,
            place: Place::default(),
            letters,
            played: Played::default(),
            phase,
            absence: 0,
            come: false,
            told_written: false,
            reads_at: Instant::now(),
        }
    }

    /// Plays the part to its end.
    pub(crate) async fn play(mut self) -> Played {
        let room = self.part.room;
        self.notes.write(What::Entered { room });
        let mut lost = None;
        loop {
            let end = match self.come(lost).await {
                Some(connection) => self.session(connection).await,
                None => End::Run,
            };
            match end {
                End::Run => break,
                End::Lost => lost = Some(Instant::now()),
                End::Away(back) => {
                    lost = Some(back);
                    self.away(back).await;
                }
            }
        }
        self.played.holes = self.place.holes;
        self.played.doubled = self.place.doubled;
        self.played.unanswered = self.letters.open();
        self.played.records = self.notes.records;
        self.played
    }

    async fn away(&mut self, back: Instant) {
        loop {
            tokio::select! {
                () = sleep_until(back) => return,
                changed = self.phase.changed() => {
                    if changed.is_err() || self.is_over() {
                        return;
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::Over
    }

    /// Connects, and goes on trying until the run is over.
    async fn come(&mut self, since: Option<Instant>) -> Option<Connection> {
        let mut pause = PAUSE / 16;
        while !self.is_over() {
            match self.connect().await {
                Ok((mut connection, result)) => {
                    if self.take_session(&mut connection, result).await.is_err() {
                        self.gone(0);
                        continue;
                    }
                    if let (Some(since), Some(mut page)) = (since, self.page()) {
                        page.returned(since.elapsed());
                    }
                    if !std::mem::replace(&mut self.come, true) {
                        self.stage.come.fetch_add(1, Ordering::Relaxed);
                    }
                    return Some(connection);
                }
                Err(error) => {
                    let asked = match &error {
                        Error::Refused { retry_after, .. } => *retry_after,
                        _ => None,
                    };
                    self.played.reason = Some(format!("connect: {error}"));
                    let most = asked.unwrap_or(pause).max(pause);
                    sleep(most.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(PAUSE);
                }
            }
        }
        None
    }

    async fn connect(&self) -> Result<(Connection, ConnectResult), Error> {
        let socket = self.part.url.replacen("http", "ws", 1);
        let mut options = Options::new(
            format!("{socket}/connection/websocket"),
            self.part.token.clone(),
        );
        options.source = self.part.source;
        options.receive_buffer = self.part.pace.map(|_| SLOW_BUFFER);
        "load".clone_into(&mut options.name);
        let mut request = options.connect_request();
        if let Some((offset, epoch)) = self.place.stands {
            let known = SubscribeRequest {
                recover: true,
                offset,
                epoch: epoch.to_string(),
                ..SubscribeRequest::default()
            };
            request.subs.insert(self.part.room_id.to_string(), known);
        }
        let mut connection = Connection::open(&options).await?;
        match connection.call(Method::Connect(request)).await? {
            Outcome::Connect(result) => Ok((connection, result)),
            other => Err(Error::Malformed(format!("{other:?}"))),
        }
    }

    async fn take_session(
        &mut self,
        connection: &mut Connection,
        result: ConnectResult,
    ) -> Result<(), Error> {
        let (gateway, user) = (self.part.gateway, self.part.client);
        self.notes.write(What::Connected { gateway, user });
        self.stage.meter.connection(1);
        for (room, subscribed) in result.subs {
            if *room == *self.part.room_id {
                self.subscribed(connection, subscribed).await?;
            }
        }
        self.send_again(connection).await
    }

    /// The connection is no more.
    fn gone(&mut self, code: u32) {
        self.stage.meter.connection(-1);
        self.notes.write(What::Disconnected { code });
        self.letters.lost();
    }

    async fn session(&mut self, mut connection: Connection) -> End {
        let end = match self.run(&mut connection).await {
            Ok(end) => end,
            Err(error) => {
                let code = match &error {
                    Error::Closed(closed) => closed.code.into(),
                    _ => 0,
                };
                self.played.reason = Some(error.to_string());
                self.gone(code);
                return End::Lost;
            }
        };
        if let End::Away(_) = end {
            self.gone(0);
        }
        end
    }

    /// One turn after the other, until something ends it.
    async fn run(&mut self, connection: &mut Connection) -> Result<End, Error> {
        let mut phase = self.phase.clone();
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Over {
                return Ok(End::Run);
            }
            let begun = match now {
                Phase::Playing(begun) => Some(begun),
                _ => None,
            };
            self.tell(begun);
            let absence = begun.and_then(|begun| {
                let (from, to) = self.part.absences.get(self.absence)?;
                Some((begun + *from, begun + *to))
            });
            let due = begun.and_then(|begun| self.letters.next_due(begun));
            let slow = self.part.pace.is_some() && now != Phase::Ending;
            let reads_at = if slow { self.reads_at } else { Instant::now() };
            tokio::select! {
                reply = receive(connection, reads_at) => self.heard(connection, reply?, slow).await?,
                () = until(due) => self.write(connection, begun).await?,
                () = until(absence.map(|(from, _)| from)) => {
                    self.absence += 1;
                    return Ok(absence.map_or(End::Lost, |(_, to)| End::Away(to)));
                }
                _ = phase.changed() => {}
            }
        }
    }

    /// Whether all is written and answered is for the others to know.
    fn tell(&mut self, begun: Option<Instant>) {
        if !self.told_written && begun.is_some() && self.letters.is_done() {
            self.told_written = true;
            self.stage.written.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn heard(
        &mut self,
        connection: &mut Connection,
        reply: Reply,
        slow: bool,
    ) -> Result<(), Error> {
        match reply.outcome {
            Some(Outcome::Push(push)) => {
                let bytes = self.pushed(connection, push).await?;
                if let Some(pace) = self.part.pace.filter(|_| slow) {
                    let pause =
                        Duration::from_secs(bytes) / u32::try_from(pace).unwrap_or(u32::MAX);
                    self.reads_at = self.reads_at.max(Instant::now()) + pause;
                }
                Ok(())
            }
            Some(outcome) => {
                self.answered(reply.id, outcome);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn page(&self) -> Option<std::sync::MutexGuard<'_, crate::meter::Page>> {
        let client = usize::try_from(self.part.client).unwrap_or(0);
        self.stage.meter.page(client)
    }
}

async fn receive(connection: &mut Connection, at: Instant) -> Result<Reply, Error> {
    if at > Instant::now() {
        sleep_until(at).await;
    }
    connection.receive().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
