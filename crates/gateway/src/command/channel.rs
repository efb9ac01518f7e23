//! `publish`, `presence` and `presence_stats`.

use std::collections::{BTreeMap, HashSet};

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Content;
use chinwag_protocol::id::{MessageId, RoomId};
use chinwag_protocol::push::ClientInfo;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::PublishRequest;
use chinwag_protocol::result::{PresenceResult, PresenceStatsResult, PublishResult};
use chinwag_store::append::Draft;

use crate::access;
use crate::backend::refusal;
use crate::command::{Asked, channel_named, data_given};
use crate::config::Policy;
use crate::delivery;

pub(crate) async fn publish(asked: Asked, request: PublishRequest) {
    let appended = match draft(&asked, &request) {
        Ok(draft) => asked.shard.backend.append(draft).await.map(drop),
        Err(refusal) => Err(refusal),
    };
    metrics::histogram!("chinwag_gateway_append_seconds").record(asked.began.elapsed());
    // Not for this client and not there are one answer here, as for subscribing.
    let appended = appended.map_err(|refusal| match refusal.code {
        Code::NotFound => denied(),
        _ => refusal,
    });
    asked.answer(appended.map(|()| Outcome::Publish(PublishResult {})));
}

/// What is published: a message in chat rooms, data as it is elsewhere.
fn draft(asked: &Asked, request: &PublishRequest) -> Result<Draft, Refusal> {
    let room = channel_named(&request.channel)?;
    let data = data_given(&request.data)?;
    let policy = access::policy(&asked.shard.backend, &room)?;
    let user = asked.connection.user();
    let subscribed = asked.connection.is_subscribed(&room);
    if !policy.publish || !(subscribed || policy.members_only) {
        return Err(denied());
    }
    let (id, content) = if policy.members_only {
        if user.is_none() {
            return Err(denied());
        }
        let id = MessageId::new(uuid::Uuid::now_v7().to_string()).ok();
        (id, Content::Message { body: data })
    } else {
        (None, Content::Publication { data })
    };
    metrics::counter!("chinwag_gateway_messages_in_total").increment(1);
    let client = &asked.connection.client;
    Ok(Draft::new(
        room,
        policy.rules(),
        user,
        Some(client),
        id,
        &content,
    ))
}

pub(crate) async fn presence(asked: Asked, channel: String) {
    let outcome = occupants(&asked, &channel).await;
    asked.answer(outcome.map(|presence| Outcome::Presence(PresenceResult { presence })));
}

pub(crate) async fn presence_stats(asked: Asked, channel: String) {
    let outcome = occupants(&asked, &channel).await.map(|presence| {
        let users: HashSet<&str> = presence.values().map(|info| info.user.as_str()).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (num_clients, num_users) = (count(presence.len()), count(users.len()));
        Outcome::PresenceStats(PresenceStatsResult {
            num_clients,
            num_users,
        })
    });
    asked.answer(outcome);
}

/// Who is in a channel, as far as living gateways hold them.
async fn occupants(asked: &Asked, channel: &str) -> Result<BTreeMap<String, ClientInfo>, Refusal> {
    let room = channel_named(channel)?;
    let backend = &asked.shard.backend;
    let policy = readable(asked, &room).await?;
    if !policy.presence {
        return Err(Refusal::new(
            Code::NotAvailable,
            "presence is not kept in this namespace",
        ));
    }
    if !policy.presence_read {
        return Err(denied());
    }
    let occupants = backend
        .store
        .occupants(&room)
        .await
        .map_err(|error| refusal(&error))?;
    let alive = asked
        .shard
        .alive
        .gateways(&backend.store)
        .await
        .map_err(|error| refusal(&error))?;
    let here = occupants
        .into_iter()
        .filter(|(gateway, _)| alive.contains(gateway));
    Ok(here
        .map(|(_, occupant)| (occupant.client.to_string(), delivery::info(&occupant)))
        .collect())
}

/// The policy of a channel that the caller may look into: a subscriber's, or a member's.
pub(crate) async fn readable(asked: &Asked, room: &RoomId) -> Result<Policy, Refusal> {
    let policy = access::policy(&asked.shard.backend, room)?;
    if asked.connection.is_subscribed(room) {
        return Ok(policy);
    }
    if !policy.members_only {
        return Err(denied());
    }
    let caller = asked.connection.caller().ok_or_else(denied)?;
    Ok(access::to(&asked.shard.backend, &caller, room, "")
        .await?
        .policy)
}

pub(crate) fn denied() -> Refusal {
    Refusal::new(Code::PermissionDenied, "permission denied")
}
