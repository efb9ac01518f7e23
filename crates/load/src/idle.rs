//! Connections that say nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::account;
use crate::args::{Idle, Load};
use crate::member;
use crate::steady::url;

#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) async fn run(load: &Load, idle: &Idle) -> Result<()> {
    let name = format!("idle-{}", account::run_name());
    let user = account::register(url(load, 0), &name).await?;
    for room in 0..3 {
        account::make_room(url(load, 0), &user, &format!("Idle {room}"), &[]).await?;
    }
    // The first ones warm up what is made once.
    let mut held = hold(load, &user.token, 50).await?;
    let before = idle.pid.map(resident).transpose()?;
    let began = Instant::now();
    held.extend(hold(load, &user.token, idle.connections).await?);
    let took = began.elapsed();
    println!("{} connections in {took:.1?}", idle.connections);
    let mut answering = JoinSet::new();
    for mut connection in held {
        answering.spawn(async move { while connection.receive().await.is_ok() {} });
    }
    let over = tokio::time::sleep(Duration::from_secs(idle.seconds));
    tokio::pin!(over);
    let mut lost = 0;
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(_) = answering.join_next() => lost += 1,
        }
    }
    println!("{lost} of them were lost in {} s", idle.seconds);
    if let (Some(before), Some(pid)) = (before, idle.pid) {
        let grown = resident(pid)?.saturating_sub(before);
        println!(
            "{:.1} KiB of the server's memory each",
            kib(grown) / kib_count(idle.connections)
        );
    }
    anyhow::ensure!(lost == 0, "connections were lost");
    Ok(())
}

async fn hold(
    load: &Load,
    token: &str,
    count: usize,
) -> Result<Vec<chinwag_client::connection::Connection>> {
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        held.push(member::connect(url(load, number), token).await?);
    }
    Ok(held)
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
