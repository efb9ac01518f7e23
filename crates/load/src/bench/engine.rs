//! The loop that plays all members on one thread.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};

use super::dialect::{Dialect, Heard, text};
use super::frame::Kind;
use super::ledger::Ledger;
use super::socket::{Said, Socket};
use super::timer::Timer;

/// Connections that are being made at once.
pub(crate) const AT_ONCE: usize = 128;
/// How long nobody may come before the rest is given up.
const COMING: Duration = Duration::from_secs(20);
/// How often it is looked whether messages are overdue.
const LOOK: Duration = Duration::from_millis(250);
/// What is read at once: all that a socket usually has.
const READ: usize = 256 * 1024;
const TIMER: Token = Token(usize::MAX - 1);

/// When members send.
pub(crate) enum Sending {
    /// Nobody does.
    Nobody,
    /// Whoever's message is over.
    Freed,
    /// One after the other, at a rate.
    Steadily(Schedule),
}

/// When the next message is due, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub due: u64,
    pub every: u64,
    pub senders: Vec<usize>,
    pub next: usize,
}

/// All members and their sockets.
pub(crate) struct Engine<D> {
    poll: Poll,
    timer: Timer,
    began: Instant,
    pub dialect: D,
    pub ledger: Ledger,
    sockets: Vec<Socket>,
    dirty: Vec<usize>,
    buffer: Vec<u8>,
    text: String,
    text_bytes: usize,
    pub bytes_in: u64,
    /// Connections that are being made at once.
    pub at_once: usize,
    /// When each began to connect.
    started: Vec<u64>,
}

impl<D: Dialect> Engine<D> {
    pub fn new(dialect: D, ledger: Ledger, text_bytes: usize) -> Result<Self> {
        let poll = Poll::new().context("make a poll")?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        Ok(Self {
            poll,
            timer,
            began: Instant::now(),
            dialect,
            ledger,
            sockets: Vec::new(),
            dirty: Vec::new(),
            buffer: vec![0; READ],
            text: String::new(),
            text_bytes,
            bytes_in: 0,
            at_once: AT_ONCE,
            started: Vec::new(),
        })
    }

    /// Nanoseconds since this was made.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Has all members come, a few at a time, to these doors in turn; how long that took.
    ///
    /// # Errors
    /// If they do not.
    pub fn come(
        &mut self,
        doors: &[SocketAddr],
        sources: impl Fn(usize) -> Option<IpAddr>,
    ) -> Result<Duration> {
        let (began, mut last) = (Instant::now(), (0, Instant::now()));
        let mut events = Events::with_capacity(1024);
        let all = doors.len();
        while self.ledger.ready < all {
            while self.sockets.len() < all && self.sockets.len() - self.ledger.ready < self.at_once
            {
                let member = self.sockets.len();
                let door = *doors.get(member).context("a door for each")?;
                self.connect(member, door, sources(member))?;
            }
            self.turn(&mut events, Duration::from_millis(100))?;
            if self.ledger.ready != last.0 {
                last = (self.ledger.ready, Instant::now());
            }
            if last.1.elapsed() > COMING {
                let complaint = self.ledger.complaint.as_deref();
                bail!(
                    "only {} of {all} have come; {}",
                    self.ledger.ready,
                    complaint.unwrap_or("nobody says why")
                );
            }
        }
        Ok(began.elapsed())
    }

    fn connect(&mut self, member: usize, door: SocketAddr, source: Option<IpAddr>) -> Result<()> {
        let (path, subprotocol) = (self.dialect.path(), self.dialect.subprotocol());
        let mut socket = Socket::connect(door, source, path, subprotocol)?;
        self.poll.registry().register(
            &mut socket.stream,
            Token(member),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.sockets.push(socket);
        self.started.push(self.now());
        Ok(())
    }

    /// How long each member took to come, in nanoseconds.
    pub fn comings(&self) -> impl Iterator<Item = u64> {
        let comings = self.ledger.comings().iter().zip(&self.started);
        comings.filter_map(|(come, started)| Some((*come)?.saturating_sub(*started)))
    }

    /// Everybody goes; what they know stays.
    pub fn part(self) -> D {
        self.dialect
    }

    /// Plays until then.
    ///
    /// # Errors
    /// If the system refuses to wait.
    pub fn run(&mut self, until: Instant, sending: &mut Sending) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut looked = Instant::now();
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            self.send_due(sending)?;
            self.turn(&mut events, (until - now).min(LOOK))?;
            if matches!(sending, Sending::Freed) {
                let now = self.now();
                while let Some(member) = self.ledger.free.pop_front() {
                    self.send(member as usize, now);
                }
                self.flush();
            } else {
                self.ledger.free.clear();
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                let now = self.now();
                self.ledger.give_up(now);
            }
        }
    }

    /// Plays until all messages are complete, or until then.
    ///
    /// # Errors
    /// If the system refuses to wait.
    pub fn drain(&mut self, until: Instant) -> Result<()> {
        let step = Duration::from_millis(5);
        while Instant::now() < until && self.ledger.incomplete().0 > 0 {
            self.run(Instant::now() + step, &mut Sending::Nobody)?;
        }
        Ok(())
    }

    /// Sends what is due, and sets the timer for what is next.
    fn send_due(&mut self, sending: &mut Sending) -> Result<()> {
        let Sending::Steadily(schedule) = sending else {
            return Ok(());
        };
        let now = self.now();
        while schedule.due <= now {
            let turn = schedule.next % schedule.senders.len().max(1);
            if let Some(member) = schedule.senders.get(turn) {
                self.send(*member, schedule.due);
            }
            schedule.next += 1;
            schedule.due += schedule.every;
        }
        self.flush();
        let wait = schedule.due.saturating_sub(self.now());
        self.timer.set(Duration::from_nanos(wait))
    }

    /// Has a member send a message. It is written with the next flush.
    pub fn send(&mut self, member: usize, due: u64) {
        let Some(socket) = self.sockets.get_mut(member) else {
            return;
        };
        let id = self.ledger.send(member, due);
        text(id, self.text_bytes, &mut self.text);
        let mut heard = Heard {
            ledger: &mut self.ledger,
            out: &mut socket.out,
            now: due,
            member,
        };
        self.dialect.send(id, &self.text, &mut heard);
        if !std::mem::replace(&mut socket.is_dirty, true) {
            self.dirty.push(member);
        }
    }

    /// Writes to all sockets for which something waits.
    pub fn flush(&mut self) {
        for member in std::mem::take(&mut self.dirty) {
            if let Some(socket) = self.sockets.get_mut(member) {
                write(socket, &mut self.ledger);
            }
        }
    }

    /// Waits for something to happen, and takes it in.
    fn turn(&mut self, events: &mut Events, wait: Duration) -> Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("poll")?,
        }
        for event in events.iter() {
            let Token(member) = event.token();
            let Some(socket) = self.sockets.get_mut(member) else {
                continue;
            };
            if event.is_writable() && !socket.is_writable {
                socket.is_writable = true;
                write(socket, &mut self.ledger);
            }
            if event.is_readable() || event.is_error() {
                self.read(member);
            }
        }
        Ok(())
    }

    fn read(&mut self, member: usize) {
        let Self {
            dialect,
            ledger,
            sockets,
            buffer,
            began,
            ..
        } = self;
        let Some(socket) = sockets.get_mut(member) else {
            return;
        };
        let now = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let bytes = socket.read(buffer, |out, said| {
            let mut heard = Heard {
                ledger: &mut *ledger,
                out,
                now,
                member,
            };
            match said {
                Said::Open => dialect.opened(&mut heard),
                Said::Frame(Kind::Text | Kind::Binary, payload) => {
                    dialect.frame(payload, &mut heard);
                }
                Said::Frame(..) => {}
                Said::Closed(reason) => heard.wrong(reason),
            }
        });
        self.bytes_in += bytes;
        if !socket.out.is_empty() && !socket.is_dirty {
            write(socket, &mut self.ledger);
        }
    }
}

fn write(socket: &mut Socket, ledger: &mut Ledger) {
    if socket.is_closed {
        socket.out.clear();
        return;
    }
    if let Err(error) = socket.flush() {
        socket.is_closed = true;
        ledger.wrong(error.to_string().as_bytes());
    }
}
