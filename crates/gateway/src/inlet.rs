//! The way out begins here: one connection to Redis that listens for the whole process, each room
//! checked for holes once, and every event handed to each thread once.
//!
//! Threads say which rooms they want. A room's place in the order of a thread's events is where
//! [`ShardEvent::Opened`] stands: all that comes after it is newer than the position it names.

mod answer;
mod event;
mod probe;
mod room;
mod wish;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chinwag_protocol::id::{Incarnation, RoomId};
use chinwag_runtime::{Backoff, Context, Part};
use chinwag_store::channel::{Heard, Listener, Notice, Signal};
use chinwag_store::record;
use tokio::sync::mpsc;

use crate::backend::Backend;
use crate::delivery::Delivery;
use crate::identity::Identity;
use crate::inlet::probe::Probe;
use crate::inlet::room::{Offered, Room};
use crate::inlet::work::{Done, Work};
use crate::orders::Orders;

pub(crate) use crate::inlet::event::ShardEvent;
pub(crate) use crate::inlet::wish::{Wanted, WishList, Wishes};

/// What was heard and not handled yet. When it is full the rest is dropped and every room looked at.
const HEARD_QUEUE: usize = 65_536;
/// What a thread has been handed and not handled yet. When it is full the inlet waits.
pub(crate) const SHARD_QUEUE: usize = 8_192;
/// Orders of threads that wait. When it is full the threads wait.
const WANTED_QUEUE: usize = 8_192;
/// How long a room without members here is listened to: they tend to come back.
const LINGER: Duration = Duration::from_secs(45);
/// The least and the most between two attempts to listen: nobody here sees anything new meanwhile.
const RELISTEN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// A connection that lasted as long was a good one: when it breaks, the next is tried at once.
const LASTING: Duration = Duration::from_secs(5);
/// A room that was silent for so long is compared with Redis: its last event may have been lost.
const SILENT: Duration = Duration::from_millis(3_500);
/// How often it is looked which rooms those are.
const SWEEP: Duration = Duration::from_millis(500);
/// How often it is looked whether what is published is heard.
const PROBE: Duration = Duration::from_secs(2);

/// The task behind the listening connection.
pub(crate) struct Inlet {
    backend: Backend,
    context: Context,
    shards: Vec<mpsc::Sender<ShardEvent>>,
    wanted: mpsc::Receiver<Wanted>,
    identity: Identity,
    /// The name that threads were told of last.
    told: Incarnation,
    orders: Arc<Orders>,
    rooms: HashMap<RoomId, Room>,
    done: mpsc::Receiver<Done>,
    work: Work,
    probe: Probe,
    ready: Part,
}

/// All that can happen to an inlet.
enum Happening {
    Heard(Option<Heard>),
    Wanted(Wanted),
    Done(Done),
    Renamed,
    Sweep,
    Probe,
    Stop,
}

impl Inlet {
    /// An inlet that hands out to `shards`, and where to ask it for rooms.
    pub(crate) fn new(
        backend: Backend,
        context: &Context,
        shards: Vec<mpsc::Sender<ShardEvent>>,
        identity: Identity,
        orders: Arc<Orders>,
    ) -> (Self, Wishes) {
        let (wishes, wanted) = mpsc::channel(WANTED_QUEUE);
        let (finished, done) = mpsc::channel(WANTED_QUEUE);
        let work = Work::new(backend.clone(), context.clone(), finished);
        let ready = context.part("inlet");
        let (context, rooms) = (context.clone(), HashMap::new());
        (
            Self {
                backend,
                context,
                shards,
                wanted,
                told: identity.now(),
                identity,
                orders,
                rooms,
                done,
                work,
                probe: Probe::default(),
                ready,
            },
            wishes,
        )
    }

    /// Listens until the context stops, through as many connections as it takes.
    pub(crate) async fn run(mut self) {
        let backoff = Backoff::new(RELISTEN.0, RELISTEN.1).unwrap_or_default();
        let mut backoff = backoff.delays();
        let mut first = true;
        while !self.context.is_stopping() {
            match self.connected().await {
                Ok(listener) => {
                    self.ready.ready();
                    if !std::mem::take(&mut first) {
                        self.missed().await;
                    }
                    let began = Instant::now();
                    self.listen(listener).await;
                    if !self.context.is_stopping() {
                        metrics::counter!("chinwag_redis_reconnects_total", "connection" => "inlet")
                            .increment(1);
                    }
                    if began.elapsed() > LASTING {
                        backoff.reset();
                        self.ready.not_ready("not listening to Redis");
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot listen to Redis"),
            }
            self.ready.not_ready("not listening to Redis");
            tokio::select! {
                () = backoff.wait() => {}
                () = self.context.stopping() => {}
            }
        }
    }

    /// A connection that listens to everything that threads want, with every room to be looked at.
    async fn connected(&mut self) -> chinwag_store::Result<Listener> {
        let listener = self.backend.store.listen(HEARD_QUEUE).await?;
        let mut ear = listener.ear();
        let name = self.identity.name.borrow_and_update().clone();
        ear.join_as_gateway(&name).await?;
        self.rooms.retain(|_, room| room.is_wanted());
        let rooms: Vec<RoomId> = self.rooms.keys().cloned().collect();
        for some in rooms.chunks(512) {
            ear.rejoin(some).await?;
        }
        self.work.listen_through(ear, name.clone());
        self.probe = Probe::default();
        self.reopen_all();
        self.renamed(name).await;
        Ok(listener)
    }

    async fn listen(&mut self, mut listener: Listener) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut probe = tokio::time::interval(PROBE);
        for interval in [&mut sweep, &mut probe] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let stopping = all_gone(self.context.stopping(), self.shards.clone());
        tokio::pin!(stopping);
        loop {
            let happening = tokio::select! {
                biased;
                () = &mut stopping => Happening::Stop,
                Some(wanted) = self.wanted.recv() => Happening::Wanted(wanted),
                Some(done) = self.done.recv() => Happening::Done(done),
                Ok(()) = self.identity.name.changed() => Happening::Renamed,
                _ = sweep.tick() => Happening::Sweep,
                _ = probe.tick() => Happening::Probe,
                heard = listener.heard.recv() => Happening::Heard(heard),
            };
            match happening {
                Happening::Heard(Some(heard)) => self.heard(heard).await,
                Happening::Wanted(wanted) => self.wanted(wanted).await,
                Happening::Done(Done::Deaf(generation)) => {
                    if self.work.is_current(generation) {
                        return;
                    }
                }
                Happening::Done(done) => self.done(done).await,
                Happening::Renamed => {
                    let name = self.identity.name.borrow_and_update().clone();
                    self.work.answer_to(name);
                }
                Happening::Sweep => self.sweep(&listener),
                Happening::Probe => {
                    if !self.probe() {
                        return;
                    }
                }
                Happening::Heard(None) | Happening::Stop => return,
            }
            if listener.overflowed() {
                tracing::warn!("more was published than could be taken; looking at every room");
                let rooms: Vec<RoomId> = self.rooms.keys().cloned().collect();
                rooms.into_iter().for_each(|id| self.repair(id));
                self.missed().await;
            }
        }
    }

    /// Has everything looked after that may have been said while nobody heard it.
    async fn missed(&self) {
        self.orders.look();
        self.identity.doubts.look();
        self.hand_all(&ShardEvent::Missed).await;
    }

    async fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Room(room, payload) => self.heard_in_room(room, payload).await,
            Heard::Notice(Notice::Probe { number }) => self.probe.settled(number),
            Heard::Notice(notice) => self.hand_all(&ShardEvent::Notice(Arc::new(notice))).await,
            Heard::Order(order) => {
                if self.orders.heard(&order) {
                    self.hand_all(&ShardEvent::Order(Arc::new(order), None))
                        .await;
                }
            }
            Heard::Archived(rooms) => {
                self.backend.acks.marked(&rooms);
                self.hand_all(&ShardEvent::Archived(Arc::new(rooms))).await;
            }
            Heard::Torn => {
                self.identity.doubts.look();
                self.work.mend();
            }
            Heard::Wake(_) | Heard::Handover => {}
        }
    }

    async fn heard_in_room(&mut self, id: RoomId, payload: Bytes) {
        let heard = Instant::now();
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if !record::is_record(&payload) {
            match Signal::decode(&payload) {
                Ok(signal) => {
                    let delivery = Arc::new(Delivery::signal(id, signal, heard));
                    let to = room.shards();
                    self.hand(&to, &ShardEvent::Delivery(delivery)).await;
                }
                Err(error) => tracing::warn!(room = %id, %error, "cannot read a signal"),
            }
            return;
        }
        match record::decode(&payload) {
            Ok(event) => {
                let behind = self.backend.store.now().saturating_sub(event.time);
                metrics::histogram!("chinwag_gateway_receive_seconds")
                    .record(Duration::from_millis(behind));
                let kind = self.backend.config.namespaces.kind(&id);
                let delivery = Delivery::event(id.clone(), kind, &event, heard);
                let offered = room.offer(Arc::new(delivery));
                self.offered(id, offered).await;
            }
            Err(error) => {
                tracing::error!(room = %id, %error, "cannot read a record");
                self.offered(id, Offered::Gap).await;
            }
        }
    }

    async fn offered(&mut self, id: RoomId, offered: Offered) {
        match offered {
            Offered::Hand(delivery) => {
                self.backend.past.recent.heard(&delivery);
                let to = self.rooms.get(&id).map(Room::shards).unwrap_or_default();
                self.hand(&to, &ShardEvent::Delivery(delivery)).await;
            }
            Offered::Gap => {
                metrics::counter!("chinwag_gateway_gaps_total").increment(1);
                self.repair(id);
            }
            Offered::Duplicate => {
                metrics::counter!("chinwag_gateway_duplicates_total").increment(1);
            }
            Offered::Held => {}
        }
    }

    async fn wanted(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Join(shard, rooms) => {
                let mut unknown = Vec::new();
                for id in rooms {
                    let room = self.rooms.entry(id.clone()).or_insert_with(|| {
                        unknown.push(id.clone());
                        Room::new(self.shards.len())
                    });
                    // A room that is being looked at opens when that is done.
                    if let Some(position) = room.join(shard) {
                        self.hand(&[shard], &ShardEvent::Opened(id, Some(position)))
                            .await;
                    }
                }
                if !unknown.is_empty() {
                    self.work.open(unknown);
                }
            }
            Wanted::Leave(shard, id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.leave(shard);
                }
            }
            Wanted::Look(id) => self.repair(id),
        }
        metrics::gauge!("chinwag_gateway_rooms").set(crate::batcher::count(self.rooms.len()));
    }

    /// Has itself told something. `false` if what it was told before did not come.
    fn probe(&mut self) -> bool {
        let Some(number) = self.probe.next() else {
            tracing::warn!("what is published is not heard; listening anew");
            return false;
        };
        self.work.probe(self.identity.now(), number);
        true
    }

    /// Compares rooms that have been silent with Redis, and forgets those that nobody wants.
    fn sweep(&mut self, listener: &Listener) {
        let waiting = listener.heard.len();
        metrics::gauge!("chinwag_gateway_inlet_queue_depth").set(crate::batcher::count(waiting));
        let now = Instant::now();
        // One comparison at a time: a slow Redis is not helped by more of them.
        let compares = !self.work.is_comparing();
        let mut silent = Vec::new();
        let mut unwanted = Vec::new();
        for (id, room) in &mut self.rooms {
            let unwanted_for = room.unwanted_for(now).filter(|_| !room.is_closing());
            if unwanted_for.is_some_and(|time| time > LINGER) {
                room.close();
                self.backend.past.recent.forget(id);
                unwanted.push(id.clone());
            } else if compares && let Some(position) = room.silent_at(now, SILENT) {
                silent.push((id.clone(), position));
            }
        }
        self.work.close(unwanted);
        self.work.compare(silent);
        self.backend.past.recent.sample();
    }

    async fn hand_all(&self, event: &ShardEvent) {
        for shard in &self.shards {
            drop(shard.send(event.clone()).await);
        }
    }

    async fn hand(&self, to: &[usize], event: &ShardEvent) {
        for shard in to {
            if let Some(sender) = self.shards.get(*shard) {
                drop(sender.send(event.clone()).await);
            }
        }
    }
}

/// When the process stops and every thread has let its connections go.
async fn all_gone(stopping: impl Future<Output = ()>, shards: Vec<mpsc::Sender<ShardEvent>>) {
    stopping.await;
    for shard in shards {
        shard.closed().await;
    }
}
