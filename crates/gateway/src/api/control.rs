//! What the host orders for a user's connections, wherever they are.

use chinwag_protocol::code::{Close, Refusal};
use chinwag_protocol::id::UserId;
use chinwag_protocol::limit::Violation;
use chinwag_store::channel::Order;
use serde::Deserialize;
use serde_json::Value;

use super::{Done, channel, unsupported};
use crate::backend::{Backend, refusal};

/// Longest reason of a close, in bytes: a close frame holds 123.
const REASON_BYTES: usize = 123;

/// `subscribe`. What a connection gets with a subscription is the gateway's business here, so most
/// of Centrifugo's options are not available.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscribeRequest {
    user: UserId,
    channel: String,
    client: Option<String>,
    session: Option<String>,
    info: Option<Value>,
    b64info: Option<String>,
    data: Option<Value>,
    b64data: Option<String>,
    recover_since: Option<Value>,
    r#override: Option<Value>,
}

/// `unsubscribe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnsubscribeRequest {
    user: UserId,
    channel: String,
    client: Option<String>,
    session: Option<String>,
}

/// `disconnect`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisconnectRequest {
    user: UserId,
    client: Option<String>,
    session: Option<String>,
    #[serde(default)]
    whitelist: Vec<String>,
    disconnect: Option<Ending>,
}

/// What the client is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn subscribe(
    backend: &Backend,
    request: SubscribeRequest,
) -> Result<Done, Refusal> {
    refuse(&[
        ("client", request.client.is_some()),
        ("session", request.session.is_some()),
        ("info", request.info.is_some()),
        ("b64info", request.b64info.is_some()),
        ("data", request.data.is_some()),
        ("b64data", request.b64data.is_some()),
        ("recover_since", request.recover_since.is_some()),
        ("override", request.r#override.is_some()),
    ])?;
    let (room, _) = channel(backend, &request.channel)?;
    let user = request.user;
    give(backend, &Order::Subscribe { user, room }).await
}

pub(crate) async fn unsubscribe(
    backend: &Backend,
    request: UnsubscribeRequest,
) -> Result<Done, Refusal> {
    refuse(&[
        ("client", request.client.is_some()),
        ("session", request.session.is_some()),
    ])?;
    let (room, _) = channel(backend, &request.channel)?;
    let user = request.user;
    give(backend, &Order::Unsubscribe { user, room }).await
}

pub(crate) async fn disconnect(
    backend: &Backend,
    request: DisconnectRequest,
) -> Result<Done, Refusal> {
    refuse(&[
        ("session", request.session.is_some()),
        ("whitelist", !request.whitelist.is_empty()),
    ])?;
    let (code, reason) = ending(request.disconnect)?;
    let order = Order::Disconnect {
        user: request.user,
        client: request.client.filter(|client| !client.is_empty()),
        code,
        reason,
    };
    give(backend, &order).await
}

/// The close code and its words; of the codes, those that are the application's to use.
fn ending(asked: Option<Ending>) -> Result<(u16, String), Violation> {
    let usual = Close::ForceNoReconnect;
    let Some(Ending { code, reason }) = asked.filter(|ending| ending.code != 0) else {
        return Ok((usual.number(), usual.reason().to_owned()));
    };
    if !(3000..5000).contains(&code) {
        let problem = format!("must be 3000 to 4999, got {code}");
        return Err(Violation::new("disconnect.code", problem));
    }
    if reason.len() > REASON_BYTES {
        let problem = format!("must be at most {REASON_BYTES} bytes, got {}", reason.len());
        return Err(Violation::new("disconnect.reason", problem));
    }
    Ok((code, reason))
}

/// Refuses the first of these options that is given.
fn refuse(options: &[(&str, bool)]) -> Result<(), Refusal> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(unsupported(option)),
        None => Ok(()),
    }
}

async fn give(backend: &Backend, order: &Order) -> Result<Done, Refusal> {
    let given = backend.store.order(order).await;
    given.map(|()| Done {}).map_err(|error| refusal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, reason: &str) -> Result<(u16, String), String> {
        let reason = reason.to_owned();
        ending(Some(Ending { code, reason })).map_err(|violation| violation.to_string())
    }

    #[test]
    fn connections_end_with_a_code_of_the_applications() {
        assert_eq!(ending(None).unwrap(), (3503, "force disconnect".to_owned()));
        assert_eq!(of(0, "").unwrap().0, 3503);
        assert_eq!(of(4001, "bye"), Ok((4001, "bye".to_owned())));
        assert_eq!(
            of(1000, ""),
            Err("disconnect.code: must be 3000 to 4999, got 1000".into())
        );
        assert!(of(4001, &"x".repeat(124)).is_err());
    }
}
