//! Waiting until messages are archived. A mark that is heard says so; whoever has waited for a
//! second without one asks, because a mark is a hint and may be lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chinwag_archive::Range;
use chinwag_protocol::ack::Ack;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_store::append::{Draft, Receipt};
use chinwag_store::mark::Fate;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::{Backend, Sent};
use crate::batcher::count;

/// Most that wait for the archive in one process. Beyond that, senders hear that it is accepted.
const WAITING_MOST: usize = 65_536;
/// How long a mark may take before it is asked for.
const LATE: Duration = Duration::from_secs(1);
/// How often it is looked who is late.
const LOOK: Duration = Duration::from_millis(250);
/// Places asked for in one round trip.
const ASKED_AT_ONCE: usize = 512;
/// Questions to the archive at once, when Redis does not answer.
const SEARCHED_AT_ONCE: usize = 64;
/// Marks remembered in each of two generations.
const KNOWN: usize = 8_192;
/// How long a message that may be gone waits before it is looked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Who waits for the archive, and what is known of it.
#[derive(Default)]
pub(crate) struct Acks(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    waiting: HashMap<RoomId, Vec<Waiter>>,
    waiters: usize,
    /// Whether somebody looks after those who are late.
    watched: bool,
    /// The last mark of rooms, this generation and the one before.
    known: HashMap<RoomId, Position>,
    known_before: HashMap<RoomId, Position>,
}

struct Waiter {
    position: Position,
    since: Instant,
    answer: oneshot::Sender<Fate>,
}

impl Acks {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place to be archived; the second says whether somebody must begin to watch.
    /// `None` if too many wait.
    fn wait(&self, room: &RoomId, position: Position) -> Option<(oneshot::Receiver<Fate>, bool)> {
        let (answer, fate) = oneshot::channel();
        let mut inner = self.inner();
        if inner
            .mark_of(room)
            .is_some_and(|mark| covers(mark, position))
        {
            let _waits = answer.send(Fate::Archived);
            return Some((fate, false));
        }
        if inner.waiters >= WAITING_MOST {
            return None;
        }
        let since = Instant::now();
        let waiter = Waiter {
            position,
            since,
            answer,
        };
        inner.waiting.entry(room.clone()).or_default().push(waiter);
        inner.waiters += 1;
        let watch = !std::mem::replace(&mut inner.watched, true);
        inner.show();
        Some((fate, watch))
    }

    /// Takes marks that were heard.
    pub(crate) fn marked(&self, marks: &[(RoomId, Position)]) {
        let mut inner = self.inner();
        for (room, mark) in marks {
            inner.learn(room, *mark);
            inner.settle(room, |waiter| {
                if waiter.position.epoch < mark.epoch {
                    // What is true of its epoch now has to be asked.
                    waiter.since = waiter.since.checked_sub(LATE).unwrap_or(waiter.since);
                }
                covers(*mark, waiter.position).then_some(Fate::Archived)
            });
        }
        inner.show();
    }

    /// The last mark of a room, if it was heard or read, and not so long ago that it is forgotten.
    pub(crate) fn mark(&self, room: &RoomId) -> Option<Position> {
        self.inner().mark_of(room)
    }

    /// Places that have been waited for too long, each once; they have the time again. `None` if
    /// nobody waits any more, and the watch is over.
    fn late(&self, now: Instant) -> Option<Vec<(RoomId, Position)>> {
        let mut inner = self.inner();
        let mut late = Vec::new();
        for (room, waiters) in &mut inner.waiting {
            waiters.retain(|waiter| !waiter.answer.is_closed());
            for waiter in waiters {
                if now.saturating_duration_since(waiter.since) >= LATE {
                    waiter.since = now;
                    late.push((room.clone(), waiter.position));
                }
            }
        }
        inner.waiting.retain(|_, waiters| !waiters.is_empty());
        let waiters = inner.waiting.values().map(Vec::len).sum();
        inner.waiters = waiters;
        inner.show();
        if inner.waiters == 0 {
            inner.watched = false;
            return None;
        }
        Some(late)
    }

    fn tell(&self, room: &RoomId, position: Position, fate: Fate) {
        let mut inner = self.inner();
        inner.settle(room, |waiter| (waiter.position == position).then_some(fate));
        inner.show();
    }
}

impl Inner {
    fn mark_of(&self, room: &RoomId) -> Option<Position> {
        let known = self.known.get(room).or_else(|| self.known_before.get(room));
        known.copied()
    }

    fn learn(&mut self, room: &RoomId, mark: Position) {
        if self
            .mark_of(room)
            .is_some_and(|known| (known.epoch, known.seq) >= (mark.epoch, mark.seq))
        {
            return;
        }
        if self.known.len() >= KNOWN {
            self.known_before = std::mem::take(&mut self.known);
        }
        self.known.insert(room.clone(), mark);
    }

    /// Answers those in a room of whom `fate` knows something.
    fn settle(&mut self, room: &RoomId, mut fate: impl FnMut(&mut Waiter) -> Option<Fate>) {
        let Some(waiters) = self.waiting.get_mut(room) else {
            return;
        };
        let before = waiters.len();
        let mut waiting = Vec::with_capacity(before);
        for mut waiter in waiters.drain(..) {
            match fate(&mut waiter) {
                Some(fate) => {
                    let _gone = waiter.answer.send(fate);
                }
                None => waiting.push(waiter),
            }
        }
        self.waiters -= before - waiting.len();
        if waiting.is_empty() {
            self.waiting.remove(room);
        } else {
            *waiters = waiting;
        }
    }

    fn show(&self) {
        metrics::gauge!("chinwag_gateway_acks_waiting").set(count(self.waiters));
    }
}

/// Whether a mark says that a place is archived. One of a later epoch says nothing about an
/// earlier one, which may have lost its end.
fn covers(mark: Position, position: Position) -> bool {
    mark.epoch == position.epoch && mark.seq >= position.seq
}

impl Backend {
    /// Waits until a message is as safe as wanted, but no longer than the settings allow. Gives
    /// its place, which is another one if Redis has lost the first, and the level reached.
    ///
    /// # Errors
    /// `Unavailable` if the message was lost and cannot be sent again.
    pub(crate) async fn acknowledge(
        &self,
        draft: &Draft,
        sent: Sent,
        wanted: Ack,
    ) -> Result<(Sent, Ack), Refusal> {
        let until = Instant::now() + self.config.ack_timeout;
        let (sent, reached) = match wanted {
            _ if sent.receipt.archived => (sent, Ack::Archived),
            Ack::Accepted => (sent, Ack::Accepted),
            Ack::Replicated => {
                let partition = self.store.keys().of_room(&draft.room);
                let epoch = sent.receipt.position.epoch;
                let replicated = Box::pin(self.replicated(partition, epoch, until)).await;
                let reached = [Ack::Accepted, Ack::Replicated];
                (
                    sent,
                    *reached
                        .get(usize::from(replicated))
                        .unwrap_or(&Ack::Accepted),
                )
            }
            Ack::Archived => Box::pin(self.await_archive(draft, sent, until)).await?,
        };
        let (wanted, reached_name) = (wanted.name(), reached.name());
        metrics::counter!("chinwag_gateway_acks_total", "wanted" => wanted, "reached" => reached_name)
            .increment(1);
        Ok((sent, reached))
    }

    async fn await_archive(
        &self,
        draft: &Draft,
        mut sent: Sent,
        until: Instant,
    ) -> Result<(Sent, Ack), Refusal> {
        while Instant::now() < until {
            let position = sent.receipt.position;
            let Some((fate, watch)) = self.acks.wait(&draft.room, position) else {
                break;
            };
            if watch {
                let backend = self.clone();
                self.context.spawn("late acknowledgements", async move {
                    backend.watch_acks().await;
                });
            }
            match tokio::time::timeout_at(until, fate).await {
                Ok(Ok(Fate::Archived)) => return Ok((sent, Ack::Archived)),
                Ok(Ok(Fate::Waits)) => {}
                Ok(Ok(Fate::Doubtful)) => {
                    if let Some(receipt) = self.found_again(draft, position).await? {
                        sent.receipt = receipt;
                        if receipt.archived {
                            return Ok((sent, Ack::Archived));
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok((sent, Ack::Accepted))
    }

    /// A message that Redis may have lost: where the archive has it, or where it is after it was
    /// sent again. `None` if the archive cannot say.
    async fn found_again(
        &self,
        draft: &Draft,
        position: Position,
    ) -> Result<Option<Receipt>, Refusal> {
        let Some(id) = &draft.id else {
            let message = "Redis has lost its tail, and perhaps this message; look, and try again";
            return Err(Refusal::new(Code::Unavailable, message));
        };
        match self
            .archive
            .find(&draft.room, draft.sender.as_ref(), id)
            .await
        {
            Ok(Some(event)) => Ok(Some(Receipt::of_archived(&event))),
            Ok(None) => {
                let again = self.append(draft.clone()).await?.receipt;
                if again.position != position {
                    metrics::counter!("chinwag_gateway_resent_total").increment(1);
                }
                Ok(Some(again))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for a message in the archive");
                Ok(None)
            }
        }
    }

    /// Asks for those who are late, until nobody waits.
    async fn watch_acks(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(late) = self.acks.late(Instant::now()) else {
                return;
            };
            for some in late.chunks(ASKED_AT_ONCE) {
                let fates = match self.store.fates(some).await {
                    Ok(fates) => fates,
                    Err(error) => {
                        tracing::debug!(%error, "Redis cannot say what is archived");
                        self.searched(some).await
                    }
                };
                for ((room, position), fate) in some.iter().zip(fates) {
                    if fate != Fate::Waits {
                        self.acks.tell(room, *position, fate);
                    }
                }
            }
        }
    }

    /// What the archive itself says of the first of these places.
    async fn searched(&self, places: &[(RoomId, Position)]) -> Vec<Fate> {
        let some = places.iter().take(SEARCHED_AT_ONCE);
        let searched = some.map(|(room, position)| async move {
            let range = Range {
                from_seq: position.seq,
                to_seq: position.seq,
                limit: 1,
                ascending: true,
            };
            match self.archive.page(room, range).await {
                Ok(events) if events.iter().any(|event| event.epoch == position.epoch) => {
                    Fate::Archived
                }
                _ => Fate::Waits,
            }
        });
        join_all(searched).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomId {
        RoomId::new("room:abc").unwrap()
    }

    #[test]
    fn a_mark_answers_those_whom_it_covers_and_nobody_of_another_epoch() {
        let acks = Acks::default();
        let mut fates = [(1, 5), (2, 6), (2, 9)]
            .map(|(epoch, seq)| acks.wait(&room(), Position::new(epoch, seq)).unwrap().0);
        acks.marked(&[(room(), Position::new(2, 8))]);
        let told = fates.each_mut().map(|fate| fate.try_recv().ok());
        assert_eq!(told, [None, Some(Fate::Archived), None]);
        // The first has waited for a mark of its epoch long enough.
        let late = acks.late(Instant::now()).unwrap();
        assert_eq!(late, [(room(), Position::new(1, 5))]);
    }

    #[test]
    fn a_mark_that_came_before_the_answer_counts() {
        let acks = Acks::default();
        acks.marked(&[(room(), Position::new(2, 8))]);
        let (mut fate, watch) = acks.wait(&room(), Position::new(2, 8)).unwrap();
        assert_eq!((fate.try_recv(), watch), (Ok(Fate::Archived), false));
    }

    #[test]
    fn who_waits_too_long_is_late_and_who_went_is_forgotten() {
        let acks = Acks::default();
        let (fate, watch) = acks.wait(&room(), Position::new(1, 1)).unwrap();
        let now = Instant::now();
        assert!(watch && acks.late(now).is_some_and(|late| late.is_empty()));
        let later = now + LATE;
        let late = acks.late(later).unwrap();
        assert_eq!(late, [(room(), Position::new(1, 1))]);
        let again = acks.late(later).unwrap();
        assert!(again.is_empty(), "asked for a moment ago");
        drop(fate);
        assert_eq!(acks.late(later), None);
        assert_eq!(acks.inner().waiters, 0);
    }

    #[test]
    fn only_so_many_wait() {
        let acks = Acks::default();
        let waiting: Vec<_> = (0..WAITING_MOST)
            .map(|_| acks.wait(&room(), Position::new(1, 1)).unwrap())
            .collect();
        assert!(acks.wait(&room(), Position::new(1, 1)).is_none());
        drop(waiting);
        assert_eq!(acks.late(Instant::now()), None);
        assert!(acks.wait(&room(), Position::new(1, 1)).is_some());
    }
}
