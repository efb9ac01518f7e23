//! Pages of history, put together from ring and archive. Pure.

use chinwag_protocol::event::Event;

/// What a reader wants of a room's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The last ones.
    Newest,
    /// Those before a sequence.
    Before(u64),
    /// Those after a sequence.
    After(u64),
    /// Those on both sides of a sequence, itself included.
    Around(u64),
}

/// A run of sequences, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: u64,
    pub to: u64,
}

/// Events of ring and archive as one list.
#[derive(Debug, PartialEq)]
pub(crate) struct Merged {
    /// Ascending, each sequence once.
    pub events: Vec<Event>,
    /// What neither had, ascending.
    pub holes: Vec<Span>,
}

/// The sequences that make the page, in a room whose last one is `top`: at most `limit`, none if
/// there is nothing there.
pub(crate) fn span(wanted: Wanted, limit: u64, top: u64) -> Option<Span> {
    let limit = limit.max(1);
    let ending_at = |to: u64| Span {
        from: to.saturating_sub(limit - 1).max(1),
        to,
    };
    let starting_at = |from: u64| Span {
        from,
        to: from.saturating_add(limit - 1).min(top),
    };
    let span = match wanted {
        Wanted::Newest => ending_at(top),
        Wanted::Before(seq) => ending_at(seq.saturating_sub(1).min(top)),
        Wanted::After(seq) => starting_at(seq.saturating_add(1)),
        Wanted::Around(seq) => {
            let last_start = top.saturating_sub(limit - 1).max(1);
            let first = seq.saturating_sub(limit / 2).max(1);
            starting_at(first.min(last_start))
        }
    };
    (span.from <= span.to && span.to >= 1).then_some(span)
}

/// Puts the events of a span together. Where both have one it is the same, so either will do.
pub(crate) fn merged(span: Span, ring: Vec<Event>, archived: Vec<Event>) -> Merged {
    let mut events: Vec<Event> = archived.into_iter().chain(ring).collect();
    events.retain(|event| (span.from..=span.to).contains(&event.seq));
    events.sort_by_key(|event| event.seq);
    events.dedup_by_key(|event| event.seq);
    let (mut holes, mut next) = (Vec::new(), span.from);
    for event in &events {
        if event.seq > next {
            let to = event.seq - 1;
            holes.push(Span { from: next, to });
        }
        next = event.seq + 1;
    }
    if next <= span.to {
        let to = span.to;
        holes.push(Span { from: next, to });
    }
    Merged { events, holes }
}

/// Which of a page's events fit into `most` bytes, as a range of their indexes: those nearest to
/// what was asked for, one at least.
pub(crate) fn fitting(
    wanted: Wanted,
    seqs: &[u64],
    sizes: &[usize],
    most: usize,
) -> std::ops::Range<usize> {
    let count = seqs.len().min(sizes.len());
    if count == 0 {
        return 0..0;
    }
    let start = match wanted {
        Wanted::Newest | Wanted::Before(_) => count - 1,
        Wanted::After(_) => 0,
        Wanted::Around(seq) => seqs.partition_point(|other| *other < seq).min(count - 1),
    };
    let (mut from, mut to, mut bytes) = (start, start + 1, sizes[start]);
    loop {
        // By turns on both sides, so that what was asked for stays in the middle.
        let before = from.checked_sub(1).map(|at| sizes[at]);
        let after = (to < count).then(|| sizes[to]);
        let left_first = start - from <= to - 1 - start;
        match (before, after) {
            (Some(size), _) if bytes + size <= most && (left_first || after.is_none()) => {
                (from, bytes) = (from - 1, bytes + size);
            }
            (_, Some(size)) if bytes + size <= most => (to, bytes) = (to + 1, bytes + size),
            (Some(size), None) if bytes + size <= most => {
                (from, bytes) = (from - 1, bytes + size);
            }
            _ => return from..to,
        }
    }
}

#[cfg(test)]
mod tests;
