//! Many requests in one.

use std::collections::BTreeMap;

use bytes::Bytes;
use chinwag_protocol::code::Refusal;
use chinwag_protocol::json::Json;
use chinwag_protocol::limit::Violation;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Reply;
use crate::http::Http;

/// Most commands of one batch.
const COMMANDS_MOST: usize = 1000;

/// `batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// Each an object of one field: the method's name and its request.
    commands: Vec<BTreeMap<String, Box<RawValue>>>,
    /// Whether they may run at the same time.
    #[serde(default)]
    parallel: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchResult {
    /// In the order of the commands: the result under the method's name, or an error.
    replies: Vec<BTreeMap<String, Json>>,
}

pub(crate) async fn batch(http: &Http, request: BatchRequest) -> Result<BatchResult, Refusal> {
    let got = request.commands.len();
    if got > COMMANDS_MOST {
        let problem = format!("must be at most {COMMANDS_MOST}, got {got}");
        return Err(Violation::new("commands", problem).into());
    }
    let commands = request
        .commands
        .into_iter()
        .map(|command| one(http, command));
    let replies = if request.parallel {
        join_all(commands).await
    } else {
        let mut replies = Vec::with_capacity(got);
        for command in commands {
            replies.push(command.await);
        }
        replies
    };
    Ok(BatchResult { replies })
}

async fn one(http: &Http, command: BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Json> {
    let mut requests = command.into_iter();
    let (method, outcome) = match (requests.next(), requests.next()) {
        (Some((method, request)), None) if method != "batch" => {
            let data = Bytes::from(Box::<str>::from(request).into_string());
            let outcome = Box::pin(super::call(http, &method, &data)).await;
            (method, outcome)
        }
        _ => {
            let problem = "each must be one method and its request";
            (
                String::new(),
                Err(Violation::new("commands", problem).into()),
            )
        }
    };
    match Reply::of(outcome) {
        Reply::Result(result) => BTreeMap::from([(method, result)]),
        Reply::Error(failed) => BTreeMap::from([("error".to_owned(), Json::of(&failed))]),
    }
}
