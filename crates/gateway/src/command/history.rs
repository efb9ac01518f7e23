//! `history`: a channel's past by positions.

use chinwag_archive::Range;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::limit;
use chinwag_protocol::position::{Position, epoch_from_text, epoch_text};
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::HistoryRequest;
use chinwag_protocol::result::HistoryResult;
use chinwag_store::history::Top;

use crate::backend::{Backend, archive_refusal, refusal};
use crate::command::channel::{denied, readable};
use crate::command::{Asked, channel_named};
use crate::config::Policy;
use crate::delivery::publication;
use crate::recover::{Missed, RECOVER_EVENTS};

pub(crate) async fn history(asked: Asked, request: HistoryRequest) {
    let outcome = read(&asked, &request).await.map(Outcome::History);
    asked.answer(outcome);
}

async fn read(asked: &Asked, request: &HistoryRequest) -> Result<HistoryResult, Refusal> {
    let room = channel_named(&request.channel)?;
    let policy = readable(asked, &room).await?;
    if !policy.history {
        return Err(denied());
    }
    of(&asked.shard.backend, &room, policy, request).await
}

/// What a channel's history has of what is asked for. Whoever calls this knows that the asker may
/// read it.
pub(crate) async fn of(
    backend: &Backend,
    room: &RoomId,
    policy: Policy,
    request: &HistoryRequest,
) -> Result<HistoryResult, Refusal> {
    let since = request.since.as_ref();
    if since.is_some_and(|since| since.offset > limit::SEQUENCE) {
        let message = format!("history.since.offset: must be at most {}", limit::SEQUENCE);
        return Err(Refusal::new(Code::BadRequest, message));
    }
    // -1 is all there is; what one answer holds is bounded.
    let most = usize::try_from(request.limit)
        .unwrap_or(RECOVER_EVENTS)
        .min(RECOVER_EVENTS);
    let since = since.map(|since| Position::new(epoch_from_text(&since.epoch), since.offset));
    let (top, events) = if request.reverse {
        backward(backend, room, policy, since, most).await?
    } else {
        forward(backend, room, policy, since, most).await?
    };
    let kind = backend.config.namespaces.kind(room);
    Ok(HistoryResult {
        publications: events
            .iter()
            .map(|event| publication(kind, event))
            .collect(),
        epoch: epoch_text(top.position.epoch),
        offset: top.position.seq,
    })
}

/// The oldest first, after a position or from the oldest that the policy keeps.
async fn forward(
    backend: &Backend,
    room: &RoomId,
    policy: Policy,
    since: Option<Position>,
    most: usize,
) -> Result<(Top, Vec<Event>), Refusal> {
    let top = checked(backend, room, since).await?;
    if most == 0 {
        return Ok((top, Vec::new()));
    }
    let oldest = top
        .position
        .seq
        .saturating_sub(u64::from(policy.history_size));
    let after = match since {
        Some(since) if policy.members_only => since.seq,
        Some(since) => since.seq.max(oldest),
        None => oldest,
    };
    if policy.members_only {
        let position = Position::new(0, after);
        return match backend.missed(room, position, most, true).await? {
            Missed::Events(top, events) => Ok((top, events)),
            Missed::Rewind(top) => Ok((top, Vec::new())),
        };
    }
    let mut events = ring(backend, room, after + 1, top.position.seq).await?;
    events.truncate(most);
    Ok((top, events))
}

/// The newest first, before a position or from the newest.
async fn backward(
    backend: &Backend,
    room: &RoomId,
    policy: Policy,
    since: Option<Position>,
    most: usize,
) -> Result<(Top, Vec<Event>), Refusal> {
    let top = checked(backend, room, since).await?;
    let last = since.map_or(top.position.seq, |since| since.seq.saturating_sub(1));
    let last = last.min(top.position.seq);
    if most == 0 || last == 0 {
        return Ok((top, Vec::new()));
    }
    let oldest = top
        .position
        .seq
        .saturating_sub(u64::from(policy.history_size));
    let mut from = (last + 1).saturating_sub(most as u64).max(1);
    if !policy.members_only {
        from = from.max(oldest + 1);
    }
    let mut events = ring(backend, room, from, last).await?;
    let first = events.first().map_or(last + 1, |event| event.seq);
    if policy.members_only && first > from {
        let range = Range {
            from_seq: from,
            to_seq: first - 1,
            limit: most,
            ascending: true,
        };
        let page = backend.archive.page(room, range).await;
        let mut archived = page.map_err(|error| archive_refusal(&error))?;
        archived.append(&mut events);
        events = archived;
    }
    events.reverse();
    Ok((top, events))
}

/// Where the room stands, if the position that was given is one of its life.
async fn checked(
    backend: &Backend,
    room: &RoomId,
    since: Option<Position>,
) -> Result<Top, Refusal> {
    let position = since.unwrap_or_default();
    let probe = match position.epoch {
        0 => Position::default(),
        _ => position,
    };
    match backend.missed(room, probe, 0, true).await? {
        Missed::Events(top, _) => Ok(top),
        Missed::Rewind(_) => {
            let message = "history.since: not a position of this channel's present history";
            Err(Refusal::new(Code::UnrecoverablePosition, message))
        }
    }
}

async fn ring(backend: &Backend, room: &RoomId, from: u64, to: u64) -> Result<Vec<Event>, Refusal> {
    let ring = backend.store.ring(room, from, to).await;
    ring.map_err(|error| refusal(&error))
}
