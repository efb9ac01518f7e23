//! Pages of a room's history, from ring and archive without a seam.

use std::time::Duration;

use chinwag_archive::Range;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Event;
use chinwag_protocol::id::RoomId;
use chinwag_protocol::json::Json;
use chinwag_protocol::limit;
use chinwag_protocol::position::{Position, epoch_text};
use serde::{Deserialize, Serialize};

use super::access::{self, Readable};
use super::merge::{self, Merged, Span, Wanted};
use super::request;
use crate::backend::{Backend, archive_refusal, refusal};
use crate::token::Caller;

/// Events in a page, unless it is said how many.
const USUAL_EVENTS: usize = 50;
/// Most bytes of events in a page: what a slow line takes a second or two for. One event always
/// fits, see [`limit::FRAME_BYTES`].
const PAGE_BYTES: usize = 256 * 1024;
/// How often a page with a hole is read again, because the archiver was just moving it.
const ATTEMPTS: u32 = 5;
/// The first wait before reading again; each next one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// `message.page`. At most one of `before`, `after` and `around`; without them, the newest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// Of which room.
    pub room: RoomId,
    /// Events before this sequence.
    pub before: Option<u64>,
    /// Events after this sequence.
    pub after: Option<u64>,
    /// Events on both sides of this sequence, itself included.
    pub around: Option<u64>,
    /// How many at most: 1 to 200, 50 if absent. Fewer come if they would be over 256 KiB.
    pub limit: Option<u32>,
}

/// A page of events.
#[derive(Debug, Serialize)]
pub struct PageResponse {
    /// Ascending by sequence, without a hole that is not in `gaps`.
    pub events: Vec<Json>,
    /// The room's last sequence.
    pub seq: u64,
    /// Its epoch.
    pub epoch: String,
    /// Whether there are events before these.
    pub has_before: bool,
    /// Whether there are events after these.
    pub has_after: bool,
    /// Sequences within the page that are gone for good: neither Redis nor the archive has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// A run of sequences, both ends included, that are gone for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// Reads a page of history.
///
/// # Errors
/// `NotFound` if the caller may not read there or there is no such room, `BadRequest` naming the
/// field, `PermissionDenied` in channels whose history is not for reading.
pub async fn page(
    backend: &Backend,
    caller: &Caller,
    request: PageRequest,
) -> Result<PageResponse, Refusal> {
    let user = caller.user()?;
    let limit = request::limit(request.limit, USUAL_EVENTS, limit::PAGE_EVENTS)?;
    let wanted = wanted(&request)?;
    let room = access::readable(backend, &request.room, user).await?;
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        let read = Read::new(backend, &room, wanted, limit as u64).await?;
        if read.merged.holes.is_empty() {
            return read.response(backend, &room, wanted).await;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    let read = Read::new(backend, &room, wanted, limit as u64).await?;
    if !read.merged.holes.is_empty() {
        tracing::error!(room = %room.room, holes = ?read.merged.holes, "events are gone");
    }
    read.response(backend, &room, wanted).await
}

fn wanted(request: &PageRequest) -> Result<Wanted, Refusal> {
    match (request.before, request.after, request.around) {
        (None, None, None) => Ok(Wanted::Newest),
        (Some(seq), None, None) => Ok(Wanted::Before(request::sequence("before", seq, 1)?)),
        (None, Some(seq), None) => Ok(Wanted::After(request::sequence("after", seq, 0)?)),
        (None, None, Some(seq)) => Ok(Wanted::Around(request::sequence("around", seq, 1)?)),
        _ => {
            let message = "only one of before, after and around may be given";
            Err(Refusal::new(Code::BadRequest, message))
        }
    }
}

/// What one reading of ring and archive brought.
struct Read {
    top: Position,
    /// What the page is to hold; `None` if there is nothing there.
    span: Option<Span>,
    /// One event more than `span` at its beginning, which tells whether there are any before it.
    merged: Merged,
}

impl Read {
    /// Reads the ring, then the archive: what the ring let go of meanwhile had been archived.
    async fn new(
        backend: &Backend,
        room: &Readable,
        wanted: Wanted,
        limit: u64,
    ) -> Result<Self, Refusal> {
        let top = top(backend, room).await?;
        let nothing = Merged {
            events: Vec::new(),
            holes: Vec::new(),
        };
        let Some(span) = merge::span(wanted, limit, top.seq) else {
            return Ok(Self {
                top,
                span: None,
                merged: nothing,
            });
        };
        let probed = Span {
            from: span.from.saturating_sub(1).max(1),
            to: span.to,
        };
        let ring = ring(backend, &room.room, probed).await?;
        let first = ring.first().map_or(probed.to + 1, |event| event.seq);
        let archived = if first > probed.from {
            archived(backend, &room.room, probed.from, first - 1).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            top,
            span: Some(span),
            merged: merge::merged(probed, ring, archived),
        })
    }

    async fn response(
        mut self,
        backend: &Backend,
        room: &Readable,
        wanted: Wanted,
    ) -> Result<PageResponse, Refusal> {
        let mut response = PageResponse {
            events: Vec::new(),
            seq: self.top.seq,
            epoch: epoch_text(self.top.epoch),
            has_before: false,
            has_after: false,
            gaps: Vec::new(),
        };
        let Some(span) = self.span else {
            // Nothing there: all that the room has, if anything, is on the other side.
            let before_all = matches!(wanted, Wanted::Before(_) | Wanted::Around(_));
            response.has_after = before_all && self.top.seq > 0;
            response.has_before = matches!(wanted, Wanted::After(_)) && self.top.seq > 0;
            return Ok(response);
        };
        let probed = self
            .merged
            .events
            .first()
            .is_some_and(|event| event.seq < span.from);
        if probed {
            self.merged.events.remove(0);
        }
        let before = probed || older_exist(backend, room, span).await?;
        let seqs: Vec<u64> = self.merged.events.iter().map(|event| event.seq).collect();
        let shown: Vec<Json> = self.merged.events.iter().map(Event::to_json).collect();
        let sizes: Vec<usize> = shown.iter().map(|json| json.as_bytes().len()).collect();
        let kept = merge::fitting(wanted, &seqs, &sizes, PAGE_BYTES);
        response.has_before = before || kept.start > 0;
        response.has_after = span.to < self.top.seq || kept.end < shown.len();
        let within = Span {
            from: if kept.start > 0 {
                seqs[kept.start]
            } else {
                span.from
            },
            to: if kept.end < seqs.len() {
                seqs[kept.end - 1]
            } else {
                span.to
            },
        };
        response.gaps = gaps(&self.merged.holes, within);
        response.events = shown.into_iter().take(kept.end).skip(kept.start).collect();
        Ok(response)
    }
}

/// The holes, as far as they are within a span.
fn gaps(holes: &[Span], within: Span) -> Vec<Gap> {
    let clipped = holes.iter().map(|hole| Gap {
        from: hole.from.max(within.from),
        to: hole.to.min(within.to),
    });
    clipped.filter(|gap| gap.from <= gap.to).collect()
}

/// Whether the archive has events before a span whose neighbour is gone. Sequences are dense, so
/// without holes the neighbour has told already.
async fn older_exist(backend: &Backend, room: &Readable, span: Span) -> Result<bool, Refusal> {
    if span.from <= 1 {
        return Ok(false);
    }
    let older = backend
        .archive
        .page(&room.room, Range::before(span.from, 1))
        .await;
    let older = older.map_err(|error| archive_refusal(&error))?;
    Ok(!older.is_empty())
}

/// Where a room stands.
async fn top(backend: &Backend, room: &Readable) -> Result<Position, Refusal> {
    let begun = room.begun;
    let room = &room.room;
    let partition = backend.store.keys().of_room(room);
    if !begun {
        let epoch = backend.store.epoch(partition).await;
        let epoch = epoch.map_err(|error| refusal(&error))?;
        return Ok(Position::new(epoch, 0));
    }
    Ok(backend.top(room).await?.position)
}

async fn ring(backend: &Backend, room: &RoomId, span: Span) -> Result<Vec<Event>, Refusal> {
    let partition = backend.store.keys().of_room(room);
    backend
        .fenced(partition, || backend.store.ring(room, span.from, span.to))
        .await
}

async fn archived(
    backend: &Backend,
    room: &RoomId,
    from_seq: u64,
    to_seq: u64,
) -> Result<Vec<Event>, Refusal> {
    let range = Range {
        from_seq,
        to_seq,
        limit: limit::PAGE_EVENTS + 1,
        ascending: true,
    };
    let page = backend.archive.page(room, range).await;
    page.map_err(|error| archive_refusal(&error))
}
