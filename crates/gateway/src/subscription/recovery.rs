//! What a subscription that goes on from a position is given of what it has missed.
//!
//! What is read and what is heard may come from two servers for a while: a primary that was cut
//! off goes on publishing, and commands leave it before the listening connection does. Sequences of
//! the two mean different events, so what was read is only put before what is heard when both are
//! of one epoch.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use chinwag_protocol::code::Refusal;
use chinwag_protocol::position::Position;
use chinwag_protocol::push::Publication;
use tokio::time::{Instant, timeout_at};

use super::{Plan, unavailable};
use crate::delivery::Delivery;
use crate::inlet::Wanted;
use crate::past::{After, Question};
use crate::recover::RECOVER_EVENTS;
use crate::shard::Shard;

/// How often the past is read anew because an epoch began meanwhile.
const ATTEMPTS: usize = 4;

/// Everything after a position, or `None` if it cannot be given whole. By the `deadline` the room
/// must be heard in the epoch in which this was read.
pub(super) async fn recovered(
    shard: &Shard,
    plan: &Plan,
    since: Position,
    deadline: Instant,
    answer_room: &Cell<usize>,
) -> Result<Option<(Position, Vec<Publication>)>, Refusal> {
    for _ in 0..ATTEMPTS {
        // Before the read: what turns while it is under way counts.
        let turned = shard.hub.turned(&plan.room);
        let (Some(known), Some(turned)) = (shard.hub.position(&plan.room), turned) else {
            return Err(unavailable());
        };
        let after = shard
            .backend
            .after(&plan.room, question(plan, since, known));
        let after = match after.await {
            Ok(after) => after,
            // What cannot be read can be recovered no more than what is gone, and must not keep
            // somebody out for good.
            Err(refusal) if crate::behind::is_for_good(&refusal) => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let heard = shard.hub.position(&plan.room).ok_or_else(unavailable)?;
        match after.top().epoch.cmp(&heard.epoch) {
            std::cmp::Ordering::Equal => return Ok(given(plan, since, &after, answer_room)),
            std::cmp::Ordering::Greater => {
                shard.wish(Wanted::Look(plan.room.clone()));
                // Whether it has turned or is gone, the next round finds.
                let waited = timeout_at(deadline, turned).await;
                drop(waited.map_err(|_| unavailable())?);
            }
            // It was asked before the epoch began.
            std::cmp::Ordering::Less => {}
        }
    }
    Err(unavailable())
}

fn question(plan: &Plan, since: Position, known: Position) -> Question {
    let archived = plan.policy.members_only;
    let lives = Duration::from_secs(u64::from(plan.policy.history_seconds));
    Question {
        since,
        most: RECOVER_EVENTS,
        known,
        archived,
        age: (!archived && !lives.is_zero()).then_some(lives),
    }
}

/// Of what came after a position, what has room in an answer; `None` if it is not whole.
fn given(
    plan: &Plan,
    since: Position,
    after: &After,
    answer_room: &Cell<usize>,
) -> Option<(Position, Vec<Publication>)> {
    let After::Events(top, events) = after else {
        return None;
    };
    let last = events.last().and_then(|event| event.position);
    let whole = last.map_or(since.seq, |last| last.seq) == top.seq;
    // The ring may hold more than the namespace promises, as long as the archiver is behind; nobody
    // should come to rely on that.
    let kept = plan.policy.members_only || events.len() <= plan.policy.history_size as usize;
    if !whole || !kept {
        return None;
    }
    let publications = fitting(events, answer_room);
    metrics::counter!("chinwag_gateway_recovered_publications_total")
        .increment(publications.len() as u64);
    let seq = publications.last().map_or(since.seq, |last| last.offset);
    Some((Position::new(top.epoch, seq), publications))
}

/// The first events for which there is room in an answer, which is taken. The rest is read on from the
/// log, like what any slow reader has missed.
fn fitting(events: &[Arc<Delivery>], room: &Cell<usize>) -> Vec<Publication> {
    let mut given = Vec::new();
    for publication in events.iter().filter_map(|event| event.publication()) {
        let Some(left) = room.get().checked_sub(publication.data.len() + 100) else {
            break;
        };
        room.set(left);
        given.push(publication.clone());
    }
    given
}
