//! Connections that say nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chinwag_client::connect::Options;
use chinwag_client::connection::Connection;
use tokio::task::JoinSet;

use crate::account;
use crate::args::{Idle, Load};
use crate::cast::url;
use crate::sign::Signer;

/// Connections of one user. Each user's presence is told to their other sessions, as it is to a
/// few devices of a person.
const PER_USER: usize = 5;
/// Connections that are being made at once.
const AT_ONCE: usize = 32;

/// Connections that answer pings, each until it is lost.
type Held = JoinSet<()>;

#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) async fn run(load: &Load, idle: &Idle) -> Result<()> {
    let users = idle.connections.div_ceil(PER_USER);
    println!("registering {users} users, each in three rooms of ten");
    let tokens = users_in_rooms(load, users).await?;
    let mut held = Held::new();
    // The first ones warm up what is made once.
    hold(load, &tokens, 100, &mut held).await?;
    let before = idle.pid.map(resident).transpose()?;
    let began = Instant::now();
    hold(load, &tokens, idle.connections, &mut held).await?;
    println!(
        "{} connections in {:.1?}",
        idle.connections,
        began.elapsed()
    );
    let over = tokio::time::sleep(Duration::from_secs(idle.seconds));
    tokio::pin!(over);
    let mut lost = 0;
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(_) = held.join_next() => lost += 1,
        }
    }
    println!("{lost} of them were lost in {} s", idle.seconds);
    if let (Some(before), Some(pid)) = (before, idle.pid) {
        let grown = resident(pid)?.saturating_sub(before);
        println!(
            "{:.1} KiB of the server's memory each (on one that has just been started; \
             later it reuses what it has)",
            kib(grown) / kib_count(idle.connections)
        );
    }
    anyhow::ensure!(lost == 0, "connections were lost");
    Ok(())
}

/// Registers users and puts them, ten by ten, into three rooms; their tokens.
async fn users_in_rooms(load: &Load, users: usize) -> Result<Vec<String>> {
    let run = account::run_name();
    let signer = load.token_secret_file.as_deref();
    let signer = signer.map(Signer::from_file).transpose()?;
    let mut all = Vec::with_capacity(users);
    for user in 0..users {
        let name = format!("idle-{run}-{user}");
        all.push(account::come(url(load, user), &name, signer.as_ref()).await?);
    }
    for (at, ten) in all.chunks(10).enumerate() {
        let others: Vec<String> = ten.iter().skip(1).map(|user| user.id.clone()).collect();
        for room in 0..3 {
            let name = format!("Idle {at}-{room}");
            let owner = ten.first().context("a room has members")?;
            account::make_room(url(load, at), owner, &name, &others).await?;
        }
    }
    Ok(all.into_iter().map(|user| user.token).collect())
}

async fn hold(load: &Load, tokens: &[String], count: usize, held: &mut Held) -> Result<()> {
    let mut opening = JoinSet::new();
    for number in 0..count {
        if opening.len() >= AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            answer(held, opened??);
        }
        let address = url(load, number).to_owned();
        let token = tokens
            .get(number % tokens.len().max(1))
            .cloned()
            .unwrap_or_default();
        opening.spawn(async move { connect(&address, &token).await });
    }
    while let Some(opened) = opening.join_next().await {
        answer(held, opened??);
    }
    Ok(())
}

/// Opens a session; it is subscribed to its rooms by itself.
async fn connect(url: &str, token: &str) -> Result<Connection> {
    let socket = format!("{}/connection/websocket", url.replacen("http", "ws", 1));
    let connected = Connection::connect(&Options::new(&socket, token)).await;
    Ok(connected.with_context(|| format!("connect to {socket}"))?.0)
}

fn answer(held: &mut Held, mut connection: Connection) {
    held.spawn(async move { while connection.receive().await.is_ok() {} });
}

/// A process's resident memory, in bytes (Linux).
fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kib_count(count: usize) -> f64 {
    count.max(1) as f64
}
