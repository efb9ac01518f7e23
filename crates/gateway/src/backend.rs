//! Redis and the archive together: operations that are tried again after doing what Redis asks.
//!
//! A gateway has one of these per thread. Whatever is said here in errors is for clients.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chinwag_archive::Archive;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::{Kind, Role};
use chinwag_runtime::Context;
use chinwag_store::append::{Appended, Draft, Receipt};
use chinwag_store::room::NewRoom;
use chinwag_store::{Error, Partition, Store};
use tokio::sync::Mutex;

use crate::batcher::{Batcher, Queued, Waiting, count};
use crate::config::Config;
use crate::past::Past;

/// How often an operation is tried, with what Redis asked for done in between: a new epoch, then
/// the room, then once more if Redis restarted just then.
const ATTEMPTS: usize = 4;

/// A cheap handle.
#[derive(Clone)]
pub struct Backend {
    /// Redis.
    pub store: Store,
    /// The archive.
    pub archive: Arc<dyn Archive>,
    /// What the gateway was told.
    pub config: Arc<Config>,
    context: Context,
    batcher: Arc<Batcher>,
    /// Held while something is repaired, so that a crowd does not ask the archive the same.
    repair: Arc<Mutex<()>>,
    /// Shared by all threads.
    pub(crate) past: Arc<Past>,
}

/// A message that has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its place and time.
    pub receipt: Receipt,
    /// Whether it had them before: the id was used already.
    pub repeated: bool,
}

impl Backend {
    /// A backend through `store`'s connection.
    #[must_use]
    pub fn new(
        store: Store,
        archive: Arc<dyn Archive>,
        config: Arc<Config>,
        context: Context,
    ) -> Self {
        let past = Arc::new(Past::new(config.recent_limit));
        let batcher = Arc::new(Batcher::new(store.keys().partitions()));
        Self {
            store,
            archive,
            config,
            context,
            batcher,
            repair: Arc::default(),
            past,
        }
    }

    /// The same with the past of another backend.
    #[must_use]
    pub(crate) fn with_past_of(mut self, other: &Self) -> Self {
        self.past = Arc::clone(&other.past);
        self
    }

    /// Writes an event. It has its turn in the partition's queue when this returns; the future
    /// brings the answer.
    pub fn append(
        &self,
        draft: Draft,
    ) -> impl Future<Output = Result<Sent, Refusal>> + Send + use<> {
        let partition = self.store.keys().of_room(&draft.room);
        let members_only = draft.rules.members_only;
        let queued = self.batcher.hand_in(partition, draft);
        let receiver = match queued {
            Ok(Queued::Waits(receiver)) => Ok(receiver),
            Ok(Queued::Serve(receiver)) => {
                let backend = self.clone();
                self.context
                    .spawn("append", async move { backend.serve(partition).await });
                Ok(receiver)
            }
            Err(refusal) => Err(refusal),
        };
        async move {
            let lost = |_| Refusal::new(Code::Unavailable, "the gateway is stopping; try again");
            match receiver?.await.map_err(lost)?? {
                Appended::Written(receipt) => Ok(Sent {
                    receipt,
                    repeated: false,
                }),
                Appended::Repeated(receipt) => Ok(Sent {
                    receipt,
                    repeated: true,
                }),
                Appended::Refused if members_only => Err(Refusal::no_such_room()),
                Appended::Refused | Appended::NeedReconcile { .. } => Err(unsettled()),
            }
        }
    }

    /// Whether messages are on their way to Redis.
    pub(crate) fn is_busy(&self) -> bool {
        self.batcher.is_busy()
    }

    /// Sends batches of a partition until none waits.
    async fn serve(&self, partition: Partition) {
        loop {
            let mut batch = self.batcher.next(partition);
            if batch.is_empty() {
                return;
            }
            metrics::histogram!("chinwag_gateway_append_batch_size").record(count(batch.len()));
            // Stable, so that each room's order stays; the function wants rooms in one piece.
            batch.sort_by(|one, other| one.draft.room.cmp(&other.draft.room));
            let mut attempt = 0;
            while !batch.is_empty() && attempt < ATTEMPTS {
                attempt += 1;
                batch = self.send(partition, batch).await;
            }
            for waiting in batch {
                drop(waiting.answer.send(Err(unsettled())));
            }
        }
    }

    /// Sends a batch, answers what is answered, and returns what is to be tried again.
    async fn send(&self, partition: Partition, batch: Vec<Waiting>) -> Vec<Waiting> {
        let (drafts, answers): (Vec<Draft>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.draft, waiting.answer))
            .unzip();
        let appended = match self.store.append(partition, &drafts).await {
            Ok(appended) => appended,
            Err(error) => {
                let refusal = self.repaired(partition, &error, &drafts).await;
                let waiting = drafts.into_iter().zip(answers);
                let waiting = waiting.map(|(draft, answer)| Waiting { draft, answer });
                let Err(refusal) = refusal else {
                    return waiting.collect();
                };
                for waiting in waiting {
                    drop(waiting.answer.send(Err(refusal.clone())));
                }
                return Vec::new();
            }
        };
        let mut again = Vec::new();
        for ((draft, answer), appended) in drafts.into_iter().zip(answers).zip(appended) {
            let repaired = match appended {
                Appended::NeedReconcile { epoch } => self.reconcile(&draft.room, epoch).await,
                Appended::Refused => self.begin_direct(&draft).await,
                Appended::Written(_) | Appended::Repeated(_) => Ok(false),
            };
            match repaired {
                Ok(true) => again.push(Waiting { draft, answer }),
                Ok(false) => drop(answer.send(Ok(appended))),
                Err(refusal) => drop(answer.send(Err(refusal))),
            }
        }
        again
    }

    /// Does what a failed batch asks for; `Ok` if it may be tried again.
    async fn repaired(
        &self,
        partition: Partition,
        error: &Error,
        drafts: &[Draft],
    ) -> Result<(), Refusal> {
        match error {
            Error::NeedEpoch { run_id } => self.renew_epoch(partition, run_id).await,
            // It may have been written. Under ids it may be sent again; else that is the sender's
            // choice.
            Error::Unavailable(_) if drafts.iter().all(|draft| draft.id.is_some()) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
            error => Err(refusal(error)),
        }
    }

    /// A direct room comes to be with its first message: makes it if the sender is one of its two
    /// users and the other exists. Says whether to try again.
    async fn begin_direct(&self, draft: &Draft) -> Result<bool, Refusal> {
        let (Some((low, high)), Some(sender)) = (draft.room.direct_pair(), draft.sender.clone())
        else {
            return Ok(false);
        };
        if sender != low && sender != high {
            return Ok(false);
        }
        let pair = [low, high];
        let known = self
            .store
            .users(&pair)
            .await
            .map_err(|error| refusal(&error))?;
        if known.iter().any(Option::is_none) {
            return Ok(false);
        }
        let new = NewRoom {
            room: draft.room.clone(),
            kind: Kind::Dm,
            name: String::new(),
            topic: String::new(),
            creator: sender,
            members: pair.into_iter().map(|user| (user, Role::Member)).collect(),
        };
        // Redis may have lost it together with its tail: its sequences are not given twice.
        let archived = self.archived(&draft.room).await?;
        let partition = self.store.keys().of_room(&new.room);
        let create = || self.store.create_room_above(&new, archived);
        self.fenced(partition, create).await?;
        Ok(true)
    }

    /// Makes a room whose id nobody has had; says whether it was made or there already.
    ///
    /// # Errors
    /// What the client may know.
    pub async fn create_room(&self, new: &NewRoom) -> Result<bool, Refusal> {
        let partition = self.store.keys().of_room(&new.room);
        self.fenced(partition, || self.store.create_room(new)).await
    }

    /// Runs an operation, and again after doing what it asks for: an epoch, or a room brought
    /// into it.
    ///
    /// # Errors
    /// What the client may know.
    pub async fn fenced<T, F, Fut>(&self, partition: Partition, operation: F) -> Result<T, Refusal>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        for _ in 0..ATTEMPTS {
            match operation().await {
                Ok(value) => return Ok(value),
                Err(Error::NeedEpoch { run_id }) => self.renew_epoch(partition, &run_id).await?,
                Err(Error::NeedReconcile { room, epoch }) => {
                    self.reconcile(&room, epoch).await?;
                }
                Err(error) => return Err(refusal(&error)),
            }
        }
        Err(unsettled())
    }

    /// Has the archive allocate an epoch for this run of Redis, and installs it.
    async fn renew_epoch(&self, partition: Partition, run_id: &str) -> Result<(), Refusal> {
        let _turn = self.repair.lock().await;
        let installed = self.store.installed_epoch(partition).await;
        let installed = installed.map_err(|error| refusal(&error))?;
        if installed.run_id == run_id {
            // Somebody was faster. Another one would put every reader out for nothing.
            return Ok(());
        }
        let epoch = self
            .archive
            .allocate_epoch(partition.0, run_id, installed.epoch)
            .await;
        let epoch = epoch.map_err(|error| archive_refusal(&error))?;
        match self.store.install_epoch(partition, epoch, run_id).await {
            // Somebody was faster, or Redis restarted again: trying again will tell.
            Ok(()) | Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }
}

fn unsettled() -> Refusal {
    Refusal::new(Code::Unavailable, "Redis has just restarted; try again")
}

/// What a client may know of a failure in Redis. The rest is logged.
#[must_use]
pub fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Unavailable(_) => {
            tracing::warn!(%error, "Redis cannot be reached");
            Refusal::new(Code::Unavailable, "the store cannot be reached; try again")
        }
        Error::Full(problem) => {
            tracing::error!(%error, "Redis refuses writes");
            let message = if problem.contains("MISCONF") {
                "the store cannot write to its disk; try again later"
            } else if problem.contains("NOREPLICAS") {
                "the store has too few replicas; try again later"
            } else {
                "the store is full; try again later"
            };
            Refusal::new(Code::Unavailable, message)
        }
        error => {
            tracing::error!(%error, "unexpected failure in Redis");
            Refusal::new(Code::Internal, "internal error")
        }
    }
}

/// What a client may know of a failure in the archive. The rest is logged.
#[must_use]
pub fn archive_refusal(error: &chinwag_archive::Error) -> Refusal {
    tracing::warn!(%error, "the archive failed");
    Refusal::new(
        Code::Unavailable,
        "the archive cannot be reached; try again",
    )
}
