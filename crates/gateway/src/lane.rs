//! Serving a partition's queue: batch after batch, each tried until Redis has what it asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chinwag_protocol::code::Refusal;
use chinwag_protocol::id::RoomId;
use chinwag_store::append::{Appended, Draft, Receipt};
use chinwag_store::{Error, Partition};
use futures_util::future::join_all;

use crate::backend::{ATTEMPTS, Backend, archive_refusal, refusal, unsettled};
use crate::batcher::{Waiting, count};

/// How long a batch waits before it is sent again after a connection broke.
const PAUSE: Duration = Duration::from_millis(50);
/// A failure that took as long was silence, and is not asked for a second time.
const SILENCE: Duration = Duration::from_millis(500);

/// What a batch has come to.
enum Outcome {
    /// All but these are answered; they are to be tried again, in this order.
    Again(Vec<Waiting>),
    /// Redis cannot be reached. Nobody has been answered.
    Lost(Vec<Waiting>, Refusal),
}

impl Backend {
    /// Sends batches of a partition until none waits.
    pub(crate) async fn serve(&self, partition: Partition) {
        loop {
            let _turn = self.batcher.turn().await;
            let mut batch = self.batcher.next(partition);
            if batch.is_empty() {
                return;
            }
            metrics::histogram!("chinwag_gateway_append_batch_size").record(count(batch.len()));
            // Stable, so that each room's order stays; the function wants rooms in one piece.
            batch.sort_by(|one, other| one.draft.room.cmp(&other.draft.room));
            let mut lost = None;
            for _ in 0..ATTEMPTS {
                let began = Instant::now();
                match self.send(partition, batch).await {
                    Outcome::Again(again) => batch = again,
                    Outcome::Lost(all, refusal) => {
                        batch = all;
                        // Without an id it may be written twice: that is the sender's choice.
                        let named = batch.iter().all(|waiting| waiting.draft.id.is_some());
                        let again = named && lost.is_none() && began.elapsed() < SILENCE;
                        lost = Some(refusal);
                        if !again {
                            break;
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                if batch.is_empty() {
                    break;
                }
            }
            let refusal = lost.clone().unwrap_or_else(unsettled);
            let given_up = !batch.is_empty() && lost.is_some();
            for waiting in batch {
                drop(waiting.answer.send(Err(refusal.clone())));
            }
            if given_up {
                for waiting in self.batcher.give_up(partition) {
                    drop(waiting.answer.send(Err(refusal.clone())));
                }
                return;
            }
        }
    }

    /// Sends a batch, answers what is answered, and does what is asked for the rest.
    async fn send(&self, partition: Partition, batch: Vec<Waiting>) -> Outcome {
        let (drafts, answers): (Vec<Draft>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.draft, waiting.answer))
            .unzip();
        let appended = self.store.append(partition, &drafts).await;
        let waiting = drafts.into_iter().zip(answers);
        let waiting = waiting.map(|(draft, answer)| Waiting { draft, answer });
        let refusal = match appended {
            Ok(appended) => return Outcome::Again(self.answered(waiting.zip(appended)).await),
            Err(Error::NeedEpoch { run_id }) => match self.renew_epoch(partition, &run_id).await {
                Ok(()) => return Outcome::Again(waiting.collect()),
                Err(refusal) => refusal,
            },
            Err(error @ Error::Unavailable(_)) => {
                return Outcome::Lost(waiting.collect(), refusal(&error));
            }
            Err(error) => refusal(&error),
        };
        for waiting in waiting {
            drop(waiting.answer.send(Err(refusal.clone())));
        }
        Outcome::Again(Vec::new())
    }

    /// Answers what has an answer, does what the rest needs, each room once, and returns what is
    /// to be tried again.
    async fn answered(&self, batch: impl Iterator<Item = (Waiting, Appended)>) -> Vec<Waiting> {
        let batch: Vec<(Waiting, Appended)> = batch.collect();
        let rooms = self.repaired(&batch).await;
        let looked = batch
            .iter()
            .map(|(waiting, appended)| self.looked(&waiting.draft, *appended));
        let looked = join_all(looked).await;
        let mut again = Vec::new();
        for ((mut waiting, appended), looked) in batch.into_iter().zip(looked) {
            let outcome = match appended {
                Appended::NeedReconcile { .. } | Appended::Missing => {
                    rooms.get(&waiting.draft.room).cloned().unwrap_or(Ok(false))
                }
                Appended::Look => match looked {
                    Ok(Some(found)) => {
                        drop(waiting.answer.send(Ok(found)));
                        continue;
                    }
                    Ok(None) => {
                        waiting.draft.looked = true;
                        Ok(true)
                    }
                    Err(refusal) => Err(refusal),
                },
                // What the archive has is never taken back.
                Appended::LookBefore => match looked {
                    Ok(Some(_)) => {
                        waiting.draft.after = None;
                        Ok(true)
                    }
                    Ok(None) => {
                        drop(waiting.answer.send(Ok(Appended::Lacks)));
                        continue;
                    }
                    Err(refusal) => Err(refusal),
                },
                Appended::Again => Ok(true),
                _ => Ok(false),
            };
            match outcome {
                Ok(true) => again.push(waiting),
                Ok(false) => drop(waiting.answer.send(Ok(appended))),
                Err(refusal) => drop(waiting.answer.send(Err(refusal))),
            }
        }
        again
    }

    /// Brings the rooms of a batch that need it into the epoch, or to life, each once. Says for
    /// each whether to try again.
    async fn repaired(
        &self,
        batch: &[(Waiting, Appended)],
    ) -> BTreeMap<RoomId, Result<bool, Refusal>> {
        let mut rooms: BTreeMap<&RoomId, (&Draft, Appended)> = BTreeMap::new();
        for (Waiting { draft, .. }, appended) in batch {
            if matches!(appended, Appended::NeedReconcile { .. } | Appended::Missing) {
                rooms.entry(&draft.room).or_insert((draft, *appended));
            }
        }
        let repairs = rooms
            .into_iter()
            .map(|(room, (draft, appended))| async move {
                let repaired = match appended {
                    Appended::NeedReconcile { epoch } => self.reconcile(room, epoch).await,
                    _ => self.begin_room(draft).await,
                };
                (room.clone(), repaired)
            });
        join_all(repairs).await.into_iter().collect()
    }

    /// What the archive has under the id of a draft, or of the one that it follows, if that has to be
    /// looked for.
    async fn looked(&self, draft: &Draft, appended: Appended) -> Result<Option<Appended>, Refusal> {
        let id = match appended {
            Appended::Look => &draft.id,
            Appended::LookBefore => &draft.after,
            _ => &None,
        };
        let Some(id) = id else {
            return Ok(None);
        };
        metrics::counter!("chinwag_gateway_old_ids_total").increment(1);
        let found = self
            .archive
            .find(&draft.room, draft.sender.as_ref(), id)
            .await;
        let found = found.map_err(|error| archive_refusal(&error))?;
        Ok(found.map(|event| Appended::Repeated(Receipt::of_archived(&event))))
    }
}
