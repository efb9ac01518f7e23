//! What a client may ask for on a socket: one file a verb.
//!
//! `connect`, `subscribe`, `unsubscribe` and the refreshes are done one after another, because each
//! changes what the next may do. The rest runs side by side; a connection's messages still keep
//! their order, because each takes its place in the queue before it first waits.

mod channel;
mod connect;
pub(crate) mod history;
mod refresh;
mod subscribe;

use std::rc::Rc;
use std::time::Instant;

use chinwag_protocol::code::{Close, Code, Refusal};
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::json::Json;
use chinwag_protocol::limit;
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::result::{PingResult, RpcResult};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::connection::Connection;
use crate::shard::Shard;
use crate::verbs;

pub(crate) use connect::WATCHED_ROOMS;

/// What is left to do of a command.
pub(crate) type Later = Option<LocalBoxFuture<'static, ()>>;

/// A command that is being answered.
pub(crate) struct Asked {
    pub shard: Rc<Shard>,
    pub connection: Rc<Connection>,
    id: u32,
    method: &'static str,
    began: Instant,
}

impl Asked {
    fn answer(&self, outcome: Result<Outcome, Refusal>) {
        let result = outcome
            .as_ref()
            .map_or_else(|refusal| refusal.code.slug(), |_| "ok");
        self.count(result);
        self.connection.reply(self.id, outcome);
    }

    fn count(&self, result: &'static str) {
        let method = self.method;
        metrics::counter!("chinwag_gateway_commands_total", "method" => method, "result" => result)
            .increment(1);
        metrics::histogram!("chinwag_gateway_command_seconds", "method" => method)
            .record(self.began.elapsed());
    }
}

/// Handles a command, up to what may go on beside the next one.
///
/// # Errors
/// Why the connection must be closed.
pub(crate) async fn handle(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    command: Command,
) -> Result<Later, Close> {
    let Command { id, method } = command;
    let Some(method) = method else {
        let refusal = Refusal::new(
            Code::MethodNotFound,
            "the command names no method known here",
        );
        connection.reply(id, Err(refusal));
        return Ok(None);
    };
    let name = method.name();
    if id == 0 && !matches!(method, Method::Send(_)) {
        return Err(Close::BadRequest);
    }
    let (shard, connection) = (Rc::clone(shard), Rc::clone(connection));
    let asked = Asked {
        shard,
        connection,
        id,
        method: name,
        began: Instant::now(),
    };
    let connected = asked.connection.caller().is_some();
    if matches!(method, Method::Connect(_)) == connected {
        // A second one, or something before the first.
        return Err(Close::BadRequest);
    }
    match method {
        // What is rare has its room elsewhere: a connection keeps that of the largest for ever.
        Method::Connect(request) => Box::pin(connect::handle(asked, request))
            .await
            .map(|()| None),
        Method::Subscribe(request) => {
            Box::pin(subscribe::subscribe(asked, request)).await;
            Ok(None)
        }
        Method::Unsubscribe(request) => {
            subscribe::unsubscribe(&asked, &request);
            Ok(None)
        }
        Method::Refresh(request) => Box::pin(refresh::connection(asked, request))
            .await
            .map(|()| None),
        Method::SubRefresh(request) => {
            refresh::subscription(&asked, &request);
            Ok(None)
        }
        Method::Ping(_) => {
            asked.answer(Ok(Outcome::Ping(PingResult {})));
            Ok(None)
        }
        Method::Send(_) => {
            // Nothing listens to messages without an answer; they are counted.
            asked.count("ok");
            Ok(None)
        }
        Method::Publish(request) => Ok(Some(channel::publish(asked, request).boxed_local())),
        Method::Presence(request) => Ok(Some(
            channel::presence(asked, request.channel).boxed_local(),
        )),
        Method::PresenceStats(request) => Ok(Some(
            channel::presence_stats(asked, request.channel).boxed_local(),
        )),
        Method::History(request) => Ok(Some(history::history(asked, request).boxed_local())),
        Method::Rpc(request) => Ok(Some(rpc(asked, request).boxed_local())),
    }
}

/// A chat verb.
async fn rpc(asked: Asked, request: chinwag_protocol::request::RpcRequest) {
    let outcome = match asked.connection.caller() {
        Some(caller) => {
            let (backend, client) = (&asked.shard.backend, &asked.connection.client);
            let began = asked.began;
            let answer = verbs::call(
                backend,
                &caller,
                Some(client),
                &request.method,
                &request.data,
            )
            .await;
            if request.method == "message.send" {
                metrics::histogram!("chinwag_gateway_append_seconds").record(began.elapsed());
            }
            answer.map(|data: Json| {
                Outcome::Rpc(RpcResult {
                    data: data.as_bytes().clone(),
                })
            })
        }
        None => Err(Refusal::new(Code::Unauthorized, "connect first")),
    };
    asked.answer(outcome);
}

/// A channel's name as a client gave it.
pub(crate) fn channel_named(text: &str) -> Result<RoomId, Refusal> {
    RoomId::new(text).map_err(|violation| violation.of("channel").into())
}

/// Data that a client publishes.
pub(crate) fn data_given(data: &[u8]) -> Result<Json, Refusal> {
    Ok(Json::new("data", data, limit::BODY_BYTES)?)
}

/// Seconds from `now` to `at` (both in milliseconds), at least one.
pub(crate) fn ttl(at: u64, now: u64) -> u32 {
    u32::try_from(at.saturating_sub(now).div_ceil(1000).max(1)).unwrap_or(u32::MAX)
}
