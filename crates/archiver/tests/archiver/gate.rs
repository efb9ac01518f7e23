//! A real archive behind a gate, which can be shut, and which counts what goes through.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chinwag_archive::{
    Archive, Checkpoint, Commit, CommitError, Committed, Error, Found, High, Range, RecentId,
    Result, Search,
};
use chinwag_protocol::event::Event;
use chinwag_protocol::id::{MessageId, RoomId, UserId};
use tokio::sync::watch;

/// What the gate does with commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// The archive is away.
    Away,
    /// A commit waits before the gate until that opens.
    Before,
    /// A commit goes through, and its answer waits until the gate opens.
    Behind,
}

pub struct Gated {
    pub archive: Arc<dyn Archive>,
    gate: watch::Sender<Gate>,
    counted: Mutex<Counted>,
}

/// What went through the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub inserted: usize,
    /// Rows that came again, or in the place of others.
    pub wrong: usize,
    pub fenced: usize,
    pub waiting: usize,
}

impl Gated {
    pub fn new(archive: Arc<dyn Archive>) -> Arc<Self> {
        let (gate, _) = watch::channel(Gate::Open);
        Arc::new(Self {
            archive,
            gate,
            counted: Mutex::default(),
        })
    }

    pub fn set(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    pub fn counted(&self) -> Counted {
        *self.counted.lock().unwrap()
    }

    async fn opened(&self) {
        self.counted.lock().unwrap().waiting += 1;
        let mut gate = self.gate.subscribe();
        gate.wait_for(|gate| *gate == Gate::Open).await.unwrap();
    }
}

#[async_trait]
impl Archive for Gated {
    async fn checkpoint(&self, partition: u16) -> Result<Option<Checkpoint>> {
        if *self.gate.borrow() == Gate::Away {
            return Err(Error::Unavailable("the disk is full".to_owned()));
        }
        self.archive.checkpoint(partition).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, CommitError> {
        let gate = *self.gate.borrow();
        match gate {
            Gate::Away => {
                let error = Error::Unavailable("the disk is full".to_owned());
                return Err(error.into());
            }
            Gate::Before => self.opened().await,
            Gate::Open | Gate::Behind => {}
        }
        let outcome = self.archive.commit(commit).await;
        {
            let mut counted = self.counted.lock().unwrap();
            match &outcome {
                Ok(committed) => {
                    counted.inserted += committed.inserted;
                    counted.wrong +=
                        committed.replayed + committed.conflicts + committed.duplicates;
                }
                Err(CommitError::Fenced { .. }) => counted.fenced += 1,
                Err(CommitError::Failed(error)) => panic!("{error}"),
            }
        }
        if gate == Gate::Behind {
            self.opened().await;
        }
        outcome
    }

    async fn allocate_epoch(&self, partition: u16, run_id: &str, above: u64) -> Result<u64> {
        self.archive.allocate_epoch(partition, run_id, above).await
    }

    async fn high(&self, room: &RoomId) -> Result<Option<High>> {
        self.archive.high(room).await
    }

    async fn page(&self, room: &RoomId, range: Range) -> Result<Vec<Event>> {
        self.archive.page(room, range).await
    }

    async fn messages_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>> {
        self.archive.messages_at(room, seq).await
    }

    async fn find(
        &self,
        room: &RoomId,
        sender: Option<&UserId>,
        id: &MessageId,
    ) -> Result<Option<Event>> {
        self.archive.find(room, sender, id).await
    }

    async fn recent_ids(
        &self,
        room: &RoomId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<RecentId>> {
        self.archive.recent_ids(room, after_seq, limit).await
    }

    async fn happenings(&self, room: &RoomId, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        self.archive.happenings(room, after_seq, limit).await
    }

    async fn identity(&self) -> Result<String> {
        self.archive.identity().await
    }

    async fn search(&self, search: Search<'_>) -> Result<Found> {
        self.archive.search(search).await
    }
}
