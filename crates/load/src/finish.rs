//! When all is played: the rooms' final histories, the check, the report.

use std::fs::File;
use std::io::BufWriter;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::account;
use crate::args::Load;
use crate::cast::{Cast, Part};
use crate::check::history::{Final, History, NOBODY};
use crate::check::verdict::Verdict;
use crate::check::{Rules, check};
use crate::play::{self, Performance, say};
use crate::report::{Run, html, milliseconds};
use crate::script::Script;

/// Rooms read at once.
const AT_ONCE: usize = 8;

/// Where each room stands.
pub(crate) async fn tops(cast: &Cast) -> Result<Vec<u64>> {
    let mut tops = vec![0; cast.rooms.len()];
    let mut reading = JoinSet::new();
    let mut read = |room: u32, top: u64| {
        if let Some(place) = tops.get_mut(usize::try_from(room).unwrap_or(usize::MAX)) {
            *place = top;
        }
    };
    for part in readers(cast, |_| true) {
        if reading.len() >= AT_ONCE
            && let Some(done) = reading.join_next().await
        {
            let (room, top) = done??;
            read(room, top);
        }
        reading.spawn(async move {
            let page = account::page(&part.url, &part.token, &part.room_id, 0).await?;
            let top = page["seq"].as_u64().context("no seq in a page")?;
            Ok::<_, anyhow::Error>((part.room, top))
        });
    }
    while let Some(done) = reading.join_next().await {
        let (room, top) = done??;
        read(room, top);
    }
    Ok(tops)
}

/// One member of each room.
fn readers(cast: &Cast, such: impl Fn(&Part) -> bool) -> Vec<Part> {
    let mut readers: Vec<Part> = Vec::new();
    for part in &cast.parts {
        let is_next = readers.last().is_none_or(|last| last.room != part.room);
        if is_next && such(part) {
            readers.push(part.clone());
        }
    }
    readers
}

/// What is read of a page.
#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
    has_after: bool,
}

#[derive(Deserialize)]
struct Event {
    seq: u64,
    body: Option<Body>,
}

#[derive(Deserialize)]
struct Body {
    sender: u32,
    n: u64,
}

async fn read(url: String, gateway: u32, part: Part) -> Result<Final> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = account::page(&url, &part.token, &part.room_id, after).await?;
        let page: Page = serde_json::from_value(page).context("a page of history")?;
        for event in page.events {
            let (sender, n) = event.body.map_or((NOBODY, 0), |body| (body.sender, body.n));
            events.push((event.seq, 0, sender, n));
            after = after.max(event.seq);
        }
        if !page.has_after {
            let room = part.room;
            return Ok(Final {
                gateway,
                room,
                events,
            });
        }
    }
}

/// The histories of all rooms that were written down, through each gateway.
async fn finals(load: &Load, cast: &Cast) -> Result<Vec<Final>> {
    let mut finals = Vec::new();
    let mut reading = JoinSet::new();
    for (gateway, url) in (0..).zip(&load.urls) {
        for part in readers(cast, |part| part.recorded) {
            if reading.len() >= AT_ONCE
                && let Some(done) = reading.join_next().await
            {
                finals.push(done??);
            }
            reading.spawn(read(url.clone(), gateway, part));
        }
    }
    while let Some(done) = reading.join_next().await {
        finals.push(done??);
    }
    Ok(finals)
}

/// Checks, writes the reports, and ends with an error if promises were broken.
pub(crate) async fn report(
    load: &Load,
    script: &Script,
    cast: &Cast,
    performance: Performance,
) -> Result<()> {
    let Performance {
        totals,
        mut played,
        ended,
    } = performance;
    let mut run = play::run(load, script, &totals);
    let mut history = play::history(&mut played);
    let recorded = cast.parts.iter().filter(|part| part.recorded).count();
    if recorded > 0 {
        history.finals = finals(load, cast).await?;
        run.verdict = Some(check(&history, &Rules::default()));
    }
    let add = |field: fn(&crate::player::Played) -> u64| played.iter().map(field).sum::<u64>();
    let holes = add(|player| player.holes);
    let doubled = add(|player| player.doubled);
    let unanswered = add(|player| player.unanswered);
    let denied = add(|player| player.denied);
    run.notes.push(format!(
        "All {} streams: {holes} passed over, {doubled} doubled, {unanswered} messages without an \
         answer, {denied} refused. {recorded} clients were written down.",
        cast.parts.len()
    ));
    let returns = totals.returns();
    if returns.count > 0 {
        run.notes.push(format!(
            "Coming back: {} times, p50 {}, p99 {}, longest {}.",
            returns.count,
            milliseconds(returns.p50),
            milliseconds(returns.p99),
            milliseconds(returns.max)
        ));
    }
    let reasons = played.iter().find_map(|player| player.reason.clone());
    run.notes
        .extend(reasons.map(|reason| format!("Somebody was told: {reason}")));
    let late = u64::try_from(ended.len())?;
    run.notes.extend(ended);
    write(load, &run, &history)?;
    tell(&run);
    let checked = run.verdict.as_ref().map_or(0, Verdict::total);
    play::verdict(checked.max(holes + doubled) + unanswered + denied + late)
}

fn write(load: &Load, run: &Run, history: &History) -> Result<()> {
    let create = |path: &std::path::Path| {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok::<_, anyhow::Error>(BufWriter::new(file))
    };
    if let Some(path) = &load.output.json {
        serde_json::to_writer_pretty(create(path)?, run)?;
    }
    if let Some(path) = &load.output.html {
        std::fs::write(path, html(run)).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &load.output.history {
        history.write(create(path)?)?;
    }
    Ok(())
}

fn tell(run: &Run) {
    say("");
    for (name, times) in [("answer", &run.acks), ("delivery", &run.deliveries)] {
        say(&format!(
            "{name:<9} p50 {}  p90 {}  p99 {}  p99.9 {}  longest {}",
            milliseconds(times.p50),
            milliseconds(times.p90),
            milliseconds(times.p99),
            milliseconds(times.p999),
            milliseconds(times.max)
        ));
    }
    say(&format!(
        "sent {}  acked {}  delivered {}",
        run.sent(),
        run.acked(),
        run.delivered()
    ));
    for note in &run.notes {
        say(note);
    }
    if let Some(verdict) = &run.verdict {
        say(&verdict.to_string());
    }
}
