//! What the inlet has others do, so that it never waits for Redis: opening rooms, reading what
//! was missed, sweeping the silent ones. Each ends with a [`Done`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chinwag_protocol::id::{Incarnation, RoomId};
use chinwag_protocol::position::Position;
use chinwag_runtime::Context;
use chinwag_store::channel::{Ear, Notice};
use tokio::sync::{Semaphore, mpsc};

use crate::backend::Backend;
use crate::delivery::Delivery;
use crate::recover::{Missed, RECOVER_EVENTS};

/// Repairs under way at once, so that a reconnection does not flood Redis.
const REPAIRS: usize = 64;
/// How long a look that failed waits before it says so: it is followed by another.
const FAILED_PAUSE: Duration = Duration::from_millis(200);
/// Rooms asked for in one round trip.
const CHUNK: usize = 512;

/// Something that was done. What was done through a connection carries its number, see
/// [`Work::listen_through`].
pub(crate) enum Done {
    /// Rooms are listened to, from these positions on; `None` where that failed.
    Opened(u64, Vec<(RoomId, Option<Position>)>),
    /// Rooms are no longer listened to.
    Closed(u64, Vec<RoomId>),
    /// A room was looked at.
    Repaired(RoomId, Read),
    /// Redis is ahead of what was heard of these rooms.
    Behind(Vec<RoomId>),
    /// The listening connection gives no sign of life: make another.
    Deaf(u64),
    /// What is said to this name of the gateway is heard.
    Renamed(u64, Incarnation),
    /// A number could not be published.
    Unsaid(u64, u64),
}

/// What a look at a room's log has brought.
pub(crate) enum Read {
    /// What came after the position, in order, and the epoch that is current.
    Missed {
        /// The epoch.
        epoch: u64,
        /// The events.
        deliveries: Vec<Arc<Delivery>>,
    },
    /// The position is no longer true. The room stands here now.
    Rewound(Position),
    /// Too much was missed to hand it out. The room stands here now.
    Skipped(Position),
    /// Redis or the archive did not answer.
    Failed,
}

/// Where work is given.
pub(crate) struct Work {
    backend: Backend,
    context: Context,
    finished: mpsc::Sender<Done>,
    ear: Option<Ear>,
    /// The names to which the connection listens, the last one last.
    names: Vec<Incarnation>,
    /// Grows with each connection.
    generation: u64,
    repairs: Arc<Semaphore>,
    comparing: Arc<Semaphore>,
    /// Whether what was lost with a connection is being listened to again.
    mending: Arc<AtomicBool>,
}

impl Work {
    pub(crate) fn new(backend: Backend, context: Context, finished: mpsc::Sender<Done>) -> Self {
        let repairs = Arc::new(Semaphore::new(REPAIRS));
        Self {
            backend,
            context,
            finished,
            ear: None,
            names: Vec::new(),
            generation: 0,
            repairs,
            comparing: Arc::new(Semaphore::new(1)),
            mending: Arc::default(),
        }
    }

    /// Subscribes through this connection from now on. What was begun through another counts no
    /// longer.
    pub(crate) fn listen_through(&mut self, ear: Ear, name: Incarnation) {
        self.ear = Some(ear);
        self.names = vec![name];
        self.generation += 1;
        self.mending = Arc::default();
    }

    /// Listens to what is said to another name of the gateway; and still to what is said to the one
    /// before, by which others know of it until it has said whom it has.
    pub(crate) fn answer_to(&mut self, name: Incarnation) {
        let (finished, generation) = (self.finished.clone(), self.generation);
        let Some(mut ear) = self.ear.clone() else {
            return;
        };
        let last = self.names.len().saturating_sub(1);
        let former: Vec<Incarnation> = self.names.drain(..last).collect();
        self.names.push(name.clone());
        self.context.spawn("answer to a name", async move {
            let done = match ear.answer_to(&name, &former).await {
                Ok(()) => Done::Renamed(generation, name),
                Err(error) => {
                    tracing::warn!(%error, "cannot listen to what is said to the gateway");
                    Done::Deaf(generation)
                }
            };
            drop(finished.send(done).await);
        });
    }

    /// Listens again to what was lost with one of several connections, until all of it is heard.
    pub(crate) fn mend(&self) {
        let (context, finished) = (self.context.clone(), self.finished.clone());
        let Some(mut ear) = self.ear.clone() else {
            return;
        };
        let mending = Arc::clone(&self.mending);
        if mending.swap(true, Ordering::AcqRel) {
            return;
        }
        self.context.spawn("mend", async move {
            while !context.is_stopping() {
                let (rooms, whole) = ear.mend().await;
                drop(finished.send(Done::Behind(rooms)).await);
                if whole {
                    break;
                }
                tokio::time::sleep(FAILED_PAUSE).await;
            }
            mending.store(false, Ordering::Release);
        });
    }

    /// Whether something was done through the present connection.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Begins to listen to rooms, and then reads where they stand: all that comes later is heard.
    pub(crate) fn open(&self, rooms: Vec<RoomId>) {
        let (backend, finished) = (self.backend.clone(), self.finished.clone());
        let Some(mut ear) = self.ear.clone() else {
            return;
        };
        let generation = self.generation;
        self.context.spawn("open rooms", async move {
            for some in &backend.store.together(&rooms, CHUNK) {
                let positions = match ear.join(some).await {
                    Ok(()) => opened(&backend, &mut ear, some).await,
                    Err(error) => {
                        tracing::warn!(%error, "cannot listen to rooms");
                        some.iter().map(|room| (room.clone(), None)).collect()
                    }
                };
                drop(finished.send(Done::Opened(generation, positions)).await);
            }
        });
    }

    /// Reads what came after a position of a room.
    pub(crate) fn repair(&self, room: RoomId, from: Position) {
        let (backend, finished) = (self.backend.clone(), self.finished.clone());
        let repairs = Arc::clone(&self.repairs);
        self.context.spawn("repair room", async move {
            let _turn = repairs.acquire().await;
            let began = Instant::now();
            let read = read(&backend, &room, from).await;
            metrics::histogram!("chinwag_gateway_gap_repair_seconds").record(began.elapsed());
            if matches!(read, Read::Failed) {
                tokio::time::sleep(FAILED_PAUSE).await;
            }
            drop(finished.send(Done::Repaired(room, read)).await);
        });
    }

    /// Stops listening to rooms.
    pub(crate) fn close(&self, rooms: Vec<RoomId>) {
        let (finished, generation) = (self.finished.clone(), self.generation);
        let Some(mut ear) = self.ear.clone().filter(|_| !rooms.is_empty()) else {
            return;
        };
        self.context.spawn("leave rooms", async move {
            if let Err(error) = ear.leave(&rooms).await {
                tracing::warn!(%error, "cannot stop listening to rooms");
            }
            drop(finished.send(Done::Closed(generation, rooms)).await);
        });
    }

    /// Whether rooms are being compared with Redis.
    pub(crate) fn is_comparing(&self) -> bool {
        self.comparing.available_permits() == 0
    }

    /// Compares where rooms stand with Redis.
    pub(crate) fn compare(&self, rooms: Vec<(RoomId, Position)>) {
        let (backend, finished) = (self.backend.clone(), self.finished.clone());
        let turn = Arc::clone(&self.comparing).try_acquire_owned();
        let Some(turn) = turn.ok().filter(|_| !rooms.is_empty()) else {
            return;
        };
        self.context.spawn("compare rooms", async move {
            let _turn = turn;
            let known: HashMap<RoomId, Position> = rooms.into_iter().collect();
            let rooms: Vec<RoomId> = known.keys().cloned().collect();
            for some in &backend.store.together(&rooms, CHUNK) {
                let behind = behind(&backend, some, &known).await;
                if !behind.is_empty() {
                    drop(finished.send(Done::Behind(behind)).await);
                }
            }
        });
    }

    /// Has a number published to the gateway of this name, and asks the listening connection for a
    /// sign of life.
    pub(crate) fn probe(&self, name: Incarnation, number: u64) {
        let (backend, finished) = (self.backend.clone(), self.finished.clone());
        let Some(mut ear) = self.ear.clone() else {
            return;
        };
        let generation = self.generation;
        self.context.spawn("probe", async move {
            if let Err(error) = ear.ping().await {
                tracing::warn!(%error, "the listening connection gives no sign of life");
                drop(finished.send(Done::Deaf(generation)).await);
                return;
            }
            let (lost, _) = ear.mend().await;
            drop(finished.send(Done::Behind(lost)).await);
            let notice = Notice::Probe { number };
            if backend.store.notify(&name, &notice).await.is_err() {
                drop(finished.send(Done::Unsaid(generation, number)).await);
            }
        });
    }
}

/// Where rooms stand that are listened to. Those of which that cannot be known are left again.
async fn opened(
    backend: &Backend,
    ear: &mut Ear,
    rooms: &[RoomId],
) -> Vec<(RoomId, Option<Position>)> {
    let positions = positions(backend, rooms).await;
    let failed = positions.iter().filter(|(_, position)| position.is_none());
    let failed: Vec<RoomId> = failed.map(|(room, _)| room.clone()).collect();
    if let Err(error) = ear.leave(&failed).await {
        tracing::warn!(%error, "cannot stop listening to rooms");
    }
    positions
}

async fn positions(backend: &Backend, rooms: &[RoomId]) -> Vec<(RoomId, Option<Position>)> {
    let known = match backend.store.stand(rooms).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(%error, "cannot read where rooms stand");
            return rooms.iter().map(|room| (room.clone(), None)).collect();
        }
    };
    let marks = rooms.iter().zip(&known).filter_map(|(room, known)| {
        let (position, archived) = known.filter(|(_, archived)| *archived > 0)?;
        Some((room.clone(), Position::new(position.epoch, archived)))
    });
    backend.acks.marked(&marks.collect::<Vec<_>>());
    let mut positions = Vec::with_capacity(rooms.len());
    for (room, known) in rooms.iter().zip(known) {
        let position = match known {
            Some((position, _)) => Some(position),
            None => backend.top(room).await.ok().map(|top| top.position),
        };
        positions.push((room.clone(), position));
    }
    positions
}

async fn read(backend: &Backend, room: &RoomId, from: Position) -> Read {
    let kind = backend.config.namespaces.kind(room);
    match backend.missed(room, from, RECOVER_EVENTS, true).await {
        Ok(Missed::Events(top, events)) => {
            let behind = events.last().map_or(from.seq, |event| event.seq);
            if behind < top.position.seq {
                return Read::Skipped(top.position);
            }
            let heard = Instant::now();
            let deliveries = events
                .iter()
                .map(|event| Arc::new(Delivery::event(room.clone(), kind, event, heard)))
                .collect();
            Read::Missed {
                epoch: top.position.epoch,
                deliveries,
            }
        }
        Ok(Missed::Rewind(top)) => Read::Rewound(top.position),
        // What can never be read is told, not tried for ever.
        Err(refusal) if crate::behind::is_for_good(&refusal) => match backend.top(room).await {
            Ok(top) => Read::Rewound(top.position),
            Err(_) => Read::Failed,
        },
        Err(_) => Read::Failed,
    }
}

/// Those of some rooms of which Redis has another position than is known here.
async fn behind(
    backend: &Backend,
    rooms: &[RoomId],
    known: &HashMap<RoomId, Position>,
) -> Vec<RoomId> {
    match backend.store.positions(rooms).await {
        Ok(positions) => rooms
            .iter()
            .zip(positions)
            .filter(|(room, now)| now.is_some_and(|now| known.get(*room) != Some(&now)))
            .map(|(room, _)| room.clone())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot compare rooms with Redis");
            Vec::new()
        }
    }
}
