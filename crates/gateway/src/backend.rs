//! Redis and the archive together: operations that are tried again after doing what Redis asks.
//!
//! A gateway has one of these per thread. Whatever is said here in errors is for clients.

use std::future::Future;
use std::sync::Arc;

use chinwag_archive::Archive;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::limit::Violation;
use chinwag_runtime::Context;
use chinwag_store::append::{Appended, Draft, Receipt};
use chinwag_store::room::NewRoom;
use chinwag_store::{Error, Partition, Store};
use tokio::sync::Mutex;

use crate::acks::Acks;
use crate::batcher::{Batcher, Queued};
use crate::config::Config;
use crate::past::Past;
use crate::pressure::Pressure;
use crate::replicas::Replicas;

/// How often an operation is tried, with what Redis asked for done in between: a new epoch, then
/// the room, then ids that only the archive knows, and all of it once more if Redis restarted just
/// then.
pub(crate) const ATTEMPTS: usize = 8;

/// A cheap handle.
#[derive(Clone)]
pub struct Backend {
    /// Redis.
    pub store: Store,
    /// The archive.
    pub archive: Arc<dyn Archive>,
    /// What the gateway was told.
    pub config: Arc<Config>,
    pub(crate) context: Context,
    pub(crate) batcher: Arc<Batcher>,
    /// Who waits for the archive; all threads share it.
    pub(crate) acks: Arc<Acks>,
    /// Whether Redis has room; all threads share it.
    pub(crate) pressure: Arc<Pressure>,
    /// Who waits for replicas.
    pub(crate) replicas: Arc<Replicas>,
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
            acks: Arc::default(),
            pressure: Arc::default(),
            replicas: Arc::default(),
            repair: Arc::default(),
            past,
        }
    }

    /// The same with the past of another backend, and with those who wait for the archive.
    #[must_use]
    pub(crate) fn with_past_of(mut self, other: &Self) -> Self {
        self.past = Arc::clone(&other.past);
        self.acks = Arc::clone(&other.acks);
        self.pressure = Arc::clone(&other.pressure);
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
        let admitted = self.pressure.admit();
        let queued = admitted.and_then(|()| self.batcher.hand_in(partition, draft));
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
            let appended = receiver?.await.map_err(lost)??;
            settled(appended, members_only)
        }
    }

    /// Whether messages are on their way to Redis.
    pub(crate) fn is_busy(&self) -> bool {
        self.batcher.is_busy()
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

    /// Has the archive allocate an epoch for this reign of Redis, and installs it.
    pub(crate) async fn renew_epoch(
        &self,
        partition: Partition,
        run_id: &str,
    ) -> Result<(), Refusal> {
        let _turn = self.repair.lock().await;
        let installed = self.store.installed_epoch(partition).await;
        let installed = installed.map_err(|error| refusal(&error))?;
        if installed.run_id == run_id {
            // Somebody was faster. Another one would put every reader out for nothing.
            return Ok(());
        }
        let claim = self.store.claim_epoch(partition).await;
        let claim = claim.map_err(|error| refusal(&error))?;
        let epoch = self
            .archive
            .allocate_epoch(partition.0, &claim, installed.epoch)
            .await;
        let epoch = epoch.map_err(|error| archive_refusal(&error))?;
        match self.store.install_epoch(partition, epoch, &claim).await {
            // Somebody was faster, or Redis restarted again: trying again will tell.
            Ok(()) | Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }
}

/// What a sender hears of what became of a message.
fn settled(appended: Appended, members_only: bool) -> Result<Sent, Refusal> {
    match appended {
        Appended::Written(receipt) => Ok(Sent {
            receipt,
            repeated: false,
        }),
        Appended::Repeated(receipt) => Ok(Sent {
            receipt,
            repeated: true,
        }),
        Appended::Refused | Appended::Missing if members_only => Err(Refusal::no_such_room()),
        Appended::Future => {
            let problem = "the time in it must be at most 5 minutes ahead of the server's";
            Err(Violation::new("id", problem).into())
        }
        Appended::Behind => {
            let message = "the archive is too far behind to tell whether this was sent; try again";
            Err(Refusal::new(Code::Unavailable, message))
        }
        Appended::Lacks => Err(Refusal {
            code: Code::Conflict,
            message: "after: that message is not in the room; send it and all behind it again"
                .to_owned(),
            field: Some("after"),
        }),
        Appended::Refused
        | Appended::Missing
        | Appended::Look
        | Appended::LookBefore
        | Appended::Again
        | Appended::NeedReconcile { .. } => Err(unsettled()),
    }
}

pub(crate) fn unsettled() -> Refusal {
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
