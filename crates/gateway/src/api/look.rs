//! Looking into channels: who is there, what was said, and which gateways are up.

use std::collections::{BTreeMap, BTreeSet};

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::push::{ClientInfo, Publication};
use chinwag_protocol::request::{self, StreamPosition};
use serde::{Deserialize, Serialize};

use super::channel;
use crate::backend::{Backend, refusal};
use crate::command::history as past;
use crate::delivery;
use crate::http::Http;

/// `presence` and `presence_stats`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresenceRequest {
    channel: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct PresenceResult {
    presence: BTreeMap<String, ClientInfo>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PresenceStats {
    num_clients: usize,
    num_users: usize,
}

/// `history`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryRequest {
    channel: String,
    /// Absent or 0: the position alone. -1: as much as one answer holds.
    #[serde(default)]
    limit: i32,
    since: Option<StreamPosition>,
    #[serde(default)]
    reverse: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct HistoryResult {
    publications: Vec<Publication>,
    offset: u64,
    epoch: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct InfoResult {
    nodes: Vec<Node>,
}

/// A gateway. What it holds is in its metrics.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    uid: String,
    name: String,
}

pub(crate) async fn presence(
    http: &Http,
    request: PresenceRequest,
) -> Result<PresenceResult, Refusal> {
    let (backend, alive) = (&http.backend, http.alive.gateways(&http.backend.store));
    let (room, policy) = channel(backend, &request.channel)?;
    if !policy.presence {
        let message = "presence is not kept in this namespace";
        return Err(Refusal::new(Code::NotAvailable, message));
    }
    let alive = alive.await.map_err(|error| refusal(&error))?;
    let occupants = backend.store.occupants(&room).await;
    let occupants = occupants.map_err(|error| refusal(&error))?.into_iter();
    let present = occupants.filter(|(gateway, _)| alive.contains(gateway));
    let presence = present.map(|(_, occupant)| {
        let client = occupant.client.to_string();
        (client, delivery::info(&occupant))
    });
    Ok(PresenceResult {
        presence: presence.collect(),
    })
}

pub(crate) async fn presence_stats(
    http: &Http,
    request: PresenceRequest,
) -> Result<PresenceStats, Refusal> {
    let PresenceResult { presence } = presence(http, request).await?;
    let users: BTreeSet<&str> = presence.values().map(|info| info.user.as_str()).collect();
    Ok(PresenceStats {
        num_clients: presence.len(),
        num_users: users.len(),
    })
}

pub(crate) async fn history(
    backend: &Backend,
    request: HistoryRequest,
) -> Result<HistoryResult, Refusal> {
    let (room, policy) = channel(backend, &request.channel)?;
    let asked = request::HistoryRequest {
        channel: request.channel,
        limit: request.limit,
        since: request.since,
        reverse: request.reverse,
    };
    let found = past::of(backend, &room, policy, &asked).await?;
    Ok(HistoryResult {
        publications: found.publications,
        offset: found.offset,
        epoch: found.epoch,
    })
}

pub(crate) async fn info(http: &Http) -> Result<InfoResult, Refusal> {
    let alive = http.alive.gateways(&http.backend.store).await;
    let alive = alive.map_err(|error| refusal(&error))?;
    let mut names: Vec<String> = alive.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let nodes = names.into_iter().map(|name| Node {
        uid: name.clone(),
        name,
    });
    Ok(InfoResult {
        nodes: nodes.collect(),
    })
}
