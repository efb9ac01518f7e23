//! Publishing into channels, in nobody's name.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chinwag_protocol::ack::Ack;
use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::event::Content;
use chinwag_protocol::id::MessageId;
use chinwag_protocol::json::Json;
use chinwag_protocol::limit::{BODY_BYTES, Violation};
use chinwag_protocol::position::epoch_text;
use chinwag_store::append::Draft;
use chinwag_store::channel::Signal;
use futures_util::future::join_all;
use ring::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Reply, channel, unsupported};
use crate::backend::{Backend, refusal};

/// Most channels of one broadcast.
const CHANNELS_MOST: usize = 1000;

/// `publish`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishRequest {
    channel: String,
    data: Option<Json>,
    b64data: Option<String>,
    #[serde(default)]
    skip_history: bool,
    idempotency_key: Option<String>,
    ack: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    delta: bool,
}

/// `broadcast`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroadcastRequest {
    channels: Vec<String>,
    data: Option<Json>,
    b64data: Option<String>,
    #[serde(default)]
    skip_history: bool,
    idempotency_key: Option<String>,
    ack: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    delta: bool,
}

/// Where it stands; nowhere if it is not kept.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PublishResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    /// How safe it is, for who asked for a level.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BroadcastResult {
    responses: Vec<Reply<PublishResult>>,
}

/// What is published, checked.
struct Publishing {
    data: Json,
    key: Option<MessageId>,
    ack: Option<Ack>,
    kept: bool,
}

pub(crate) async fn publish(
    backend: &Backend,
    request: PublishRequest,
) -> Result<PublishResult, Refusal> {
    options(&request.tags, request.delta)?;
    let publishing = Publishing {
        data: data(request.data, request.b64data.as_deref())?,
        key: request.idempotency_key.as_deref().map(named).transpose()?,
        ack: request.ack.as_deref().map(Ack::named).transpose()?,
        kept: !request.skip_history,
    };
    into(backend, &request.channel, &publishing).await
}

pub(crate) async fn broadcast(
    backend: &Backend,
    request: BroadcastRequest,
) -> Result<BroadcastResult, Refusal> {
    let got = request.channels.len();
    if got == 0 || got > CHANNELS_MOST {
        let problem = format!("must be 1 to {CHANNELS_MOST}, got {got}");
        return Err(Violation::new("channels", problem).into());
    }
    options(&request.tags, request.delta)?;
    let publishing = Publishing {
        data: data(request.data, request.b64data.as_deref())?,
        key: request.idempotency_key.as_deref().map(named).transpose()?,
        ack: request.ack.as_deref().map(Ack::named).transpose()?,
        kept: !request.skip_history,
    };
    let all = request.channels.iter();
    let outcomes = join_all(all.map(|channel| into(backend, channel, &publishing))).await;
    let responses = outcomes.into_iter().map(Reply::of).collect();
    Ok(BroadcastResult { responses })
}

/// Publishes into one channel: in chat rooms a message of nobody, which has no `user` and counts as
/// unread; elsewhere data as it is.
async fn into(
    backend: &Backend,
    name: &str,
    publishing: &Publishing,
) -> Result<PublishResult, Refusal> {
    let (room, policy) = channel(backend, name)?;
    let data = publishing.data.clone();
    if !publishing.kept {
        if policy.members_only {
            return Err(unsupported("skip_history (in a chat room)"));
        }
        if publishing.ack.is_some() {
            return Err(unsupported("ack (with skip_history)"));
        }
        let signal = Signal::Data(data.as_bytes().to_vec());
        let said = backend.store.signal(&room, &signal).await;
        return said
            .map(|()| PublishResult::default())
            .map_err(|error| refusal(&error));
    }
    let (id, content) = if policy.members_only {
        let id = publishing.key.clone();
        let id = id.or_else(|| MessageId::new(Uuid::now_v7().to_string()).ok());
        (id, Content::Message { body: data })
    } else {
        (publishing.key.clone(), Content::Publication { data })
    };
    let draft = Draft::new(room, policy.rules(), None, None, id, &content);
    let sent = backend
        .append(draft.clone())
        .await
        .map_err(|refusal| match refusal.code {
            Code::NotFound => Refusal::new(Code::UnknownChannel, "unknown channel"),
            _ => refusal,
        })?;
    let room_ack = sent.receipt.room_ack;
    let wanted = publishing.ack.or(room_ack).unwrap_or(backend.config.ack);
    let (sent, reached) = backend.acknowledge(&draft, sent, wanted).await?;
    Ok(PublishResult {
        offset: Some(sent.receipt.position.seq),
        epoch: Some(epoch_text(sent.receipt.position.epoch)),
        durability: publishing.ack.map(|_| reached.name()),
    })
}

fn options(tags: &BTreeMap<String, String>, delta: bool) -> Result<(), Refusal> {
    if !tags.is_empty() {
        return Err(unsupported("tags"));
    }
    if delta {
        return Err(unsupported("delta"));
    }
    Ok(())
}

/// The data, which is JSON however it comes.
fn data(data: Option<Json>, encoded: Option<&str>) -> Result<Json, Refusal> {
    let (field, text) = match (data, encoded) {
        // An official client that sends `b64data` has to send some `data` too.
        (Some(data), None | Some("")) => ("data", data.as_bytes().to_vec()),
        (_, Some(encoded)) => {
            let decoded = STANDARD.decode(encoded);
            let not_base64 = |error| Violation::new("b64data", format!("must be base64: {error}"));
            ("b64data", decoded.map_err(not_base64)?)
        }
        (None, None) => return Err(Violation::new("data", "is missing").into()),
    };
    if text.len() > BODY_BYTES {
        let message = format!(
            "{field}: must be at most {BODY_BYTES} bytes, got {}",
            text.len()
        );
        return Err(Refusal::new(Code::TooLarge, message));
    }
    Ok(Json::new(field, &text, BODY_BYTES)?)
}

/// The message id for an idempotency key. Keys can be any text; what is no id is known by its
/// digest, which is one.
fn named(key: &str) -> Result<MessageId, Refusal> {
    if key.is_empty() {
        return Err(Violation::new("idempotency_key", "must not be empty").into());
    }
    if let Ok(id) = MessageId::new(key) {
        return Ok(id);
    }
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(MessageId::new(hex)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_json_however_it_comes() {
        let of = |plain: Option<&str>, encoded: Option<&str>| {
            let plain = plain.map(|text| Json::new("data", text.as_bytes(), 1000).unwrap());
            data(plain, encoded)
                .map(|json| json.as_str().to_owned())
                .map_err(|refusal| refusal.message)
        };
        assert_eq!(of(Some(r#"{"a":1}"#), None), Ok(r#"{"a":1}"#.into()));
        assert_eq!(of(None, Some("eyJhIjoxfQ==")), Ok(r#"{"a":1}"#.into()));
        assert_eq!(
            of(Some("null"), Some("eyJhIjoxfQ==")),
            Ok(r#"{"a":1}"#.into())
        );
        assert_eq!(of(None, None), Err("data: is missing".into()));
        let error = of(None, Some("AAEC")).unwrap_err();
        assert!(error.starts_with("b64data: must be JSON:"), "{error}");
        let error = of(None, Some("???")).unwrap_err();
        assert!(error.starts_with("b64data: must be base64:"), "{error}");
    }

    #[test]
    fn any_text_is_a_key() {
        assert_eq!(named("order-17").unwrap().as_str(), "order-17");
        let long = named("order #17, the second").unwrap();
        assert_eq!(long.as_str().len(), 64);
        assert_eq!(long, named("order #17, the second").unwrap());
        assert!(named("").is_err());
    }
}
