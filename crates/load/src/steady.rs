//! Rooms in which one member each writes at a steady rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::account::{self, Account};
use crate::args::{Load, Steady};
use crate::member::{self, Part};
use crate::seen::Seen;

pub(crate) async fn run(load: &Load, steady: &Steady) -> Result<()> {
    ensure!(
        steady.rooms > 0 && steady.members > 0,
        "--rooms and --members: at least 1"
    );
    ensure!(steady.rate > 0.0, "--rate: more than 0");
    let parts = prepare(load, steady).await?;
    let begin = Instant::now() + Duration::from_millis(500);
    let mut playing = JoinSet::new();
    for (part, connection) in parts {
        // Rooms take turns within the pause, as if they knew nothing of each other.
        let begin = begin + part.offset;
        playing.spawn(member::play(Part { begin, ..part }, connection));
    }
    let mut seen = Seen::nothing()?;
    while let Some(member) = playing.join_next().await {
        seen.add(&member??)?;
    }
    let took = Duration::from_secs(steady.seconds);
    seen.report(took)
}

/// Registers everybody, makes the rooms and connects.
#[expect(clippy::print_stdout, reason = "long work shows progress")]
async fn prepare(
    load: &Load,
    steady: &Steady,
) -> Result<Vec<(Part, chinwag_client::connection::Connection)>> {
    let run = account::run_name();
    println!(
        "registering {} users in {} rooms",
        steady.rooms * steady.members,
        steady.rooms
    );
    let room_rate = steady.rate / f64::from(u32::try_from(steady.rooms)?);
    let pause = Duration::from_secs_f64(1.0 / room_rate);
    let messages =
        u64::try_from(Duration::from_secs(steady.seconds).as_nanos() / pause.as_nanos().max(1))?;
    let mut parts = Vec::new();
    for room in 0..steady.rooms {
        let mut members: Vec<Account> = Vec::with_capacity(steady.members);
        for member in 0..steady.members {
            let name = format!("load-{run}-{room}-{member}");
            members.push(account::register(url(load, member), &name).await?);
        }
        let owner = members.first().context("a room has members")?.clone();
        let ids: Vec<String> = members
            .iter()
            .skip(1)
            .map(|member| member.id.clone())
            .collect();
        let name = format!("Load {room}");
        let id = account::make_room(url(load, 0), &owner, &name, &ids).await?;
        for (at, member) in members.iter().enumerate() {
            let part = Part {
                url: url(load, parts.len()).to_owned(),
                token: member.token.clone(),
                room: id.clone(),
                begin: Instant::now(),
                offset: pause.mul_f64(share(room, steady.rooms)),
                messages,
                pause,
                writes: at == 0,
                bytes: steady.bytes,
            };
            let connection = member::connect(&part.url, &part.token).await?;
            parts.push((part, connection));
        }
    }
    println!("{messages} messages a room, one every {pause:?}");
    Ok(parts)
}

/// The addresses take turns.
pub(crate) fn url(load: &Load, turn: usize) -> &str {
    let at = turn % load.urls.len().max(1);
    load.urls.get(at).map_or("", String::as_str)
}

/// Which part of the whole comes before one of `all`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn share(one: usize, all: usize) -> f64 {
    one as f64 / all.max(1) as f64
}
