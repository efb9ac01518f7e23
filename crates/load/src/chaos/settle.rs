//! The end of a run: everything arrives, and each room is read through each gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::http;
use super::player::message;
use super::stage::Stage;
use super::system::System;
use crate::check::history::Final;

/// How long everything may take to arrive, once nobody sends any more.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a page may take to be read.
const PAGE_PATIENCE: Duration = Duration::from_secs(20);

/// Waits until every message is answered and archived, and every seat has been given the end of
/// its room. What is missing, if that takes too long.
pub(crate) async fn settle(system: &mut System, stage: &Stage) -> Option<String> {
    let late = Instant::now() + PATIENCE;
    loop {
        system.supervise();
        match missing(system, stage).await {
            None => return None,
            Some(missing) if Instant::now() > late => return Some(missing),
            Some(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn missing(system: &mut System, stage: &Stage) -> Option<String> {
    if let Some(complaint) = system.complaint().await {
        return Some(complaint);
    }
    let open = stage.pulse.open();
    if open > 0 {
        return Some(format!("{open} messages are not known to be archived"));
    }
    let guests = stage.pulse.guests();
    if guests > 0 {
        return Some(format!(
            "{guests} have not left the room again that they came into"
        ));
    }
    let tops = match tops(system).await {
        Ok(tops) => tops,
        Err(error) => return Some(error.to_string()),
    };
    for (number, room) in (0u32..).zip(&stage.rooms) {
        let Some((top, archived)) = tops.get(&room.id) else {
            return Some(format!("redis does not know room {number}"));
        };
        if archived < top {
            return Some(format!("room {number}: {archived} of {top} are archived"));
        }
        if let Some((client, seq)) = stage.pulse.behind(number, *top) {
            return Some(format!(
                "client {client} has {seq} of {top} in room {number}"
            ));
        }
    }
    None
}

/// The last sequence of each room and how far it is archived, as Redis knows them.
async fn tops(system: &System) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut tops = BTreeMap::new();
    for number in system.servers.primaries().await {
        let node = system.servers.nodes.get(number).context("no such redis")?;
        for key in node.keys("room:*").await? {
            let values = node.ask(&["HMGET", &key, "s", "a"]).await?;
            let number = |at: usize| values.list().get(at)?.text()?.parse::<u64>().ok();
            let room = key.split_once("}:").map_or(key.as_str(), |(_, room)| room);
            let (top, archived) = (number(0).unwrap_or(0), number(1).unwrap_or(0));
            tops.insert(room.to_owned(), (top, archived));
        }
    }
    Ok(tops)
}

/// Reads each room through each gateway.
///
/// # Errors
/// If a gateway does not give it.
pub(crate) async fn finals(system: &System, stage: &Stage) -> Result<()> {
    for (gateway, port) in (0u32..).zip(system.gateways()) {
        for (number, room) in (0u32..).zip(&stage.rooms) {
            let reader = room.members.first().context("an empty room")?;
            let account = stage.accounts.get(*reader as usize).context("no account")?;
            let events = history(port, &room.id, &account.token).await;
            let events = events.with_context(|| format!("room {number} at gateway {gateway}"))?;
            stage.recorder.finally(Final {
                gateway,
                room: number,
                events,
            });
        }
    }
    Ok(())
}

async fn history(port: u16, room: &str, token: &str) -> Result<Vec<(u64, u64, u32, u64)>> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/v1/rooms/{room}/messages?after={after}&limit=200");
        let page = http::call(Method::GET, port, &path, token, None, PAGE_PATIENCE).await?;
        let here = page["events"].as_array().context("a page without events")?;
        for event in here {
            let seq = event["seq"].as_u64().context("an event without a seq")?;
            let epoch = event["epoch"].as_str().and_then(|epoch| epoch.parse().ok());
            let (sender, n, _) = message(event.to_string().as_bytes());
            events.push((seq, epoch.unwrap_or(0), sender, n));
            after = after.max(seq);
        }
        if here.is_empty() || page["has_after"] != Value::Bool(true) {
            return Ok(events);
        }
    }
}
