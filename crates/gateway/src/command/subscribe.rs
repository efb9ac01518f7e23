//! `subscribe` and `unsubscribe`.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::position::{Position, epoch_from_text};
use chinwag_protocol::reply::Outcome;
use chinwag_protocol::request::{SubscribeRequest, UnsubscribeRequest};
use chinwag_protocol::result::UnsubscribeResult;

use crate::access;
use crate::command::{Asked, channel_named};
use crate::subscription::{self, Plan, Started};

pub(crate) async fn subscribe(asked: Asked, request: SubscribeRequest) {
    match subscribed(&asked, request).await {
        Ok(Started { result, later }) => {
            asked.answer(Ok(Outcome::Subscribe(result)));
            subscription::push_later(&asked.shard, &asked.connection, &later);
        }
        Err(refusal) => asked.answer(Err(refusal)),
    }
}

async fn subscribed(asked: &Asked, request: SubscribeRequest) -> Result<Started, Refusal> {
    let (shard, connection) = (&asked.shard, &asked.connection);
    only_streams(&request)?;
    let room = channel_named(&request.channel)?;
    let caller = connection
        .caller()
        .ok_or_else(|| Refusal::new(Code::Unauthorized, "connect first"))?;
    let access = access::to(&shard.backend, &caller, &room, &request.token).await?;
    let policy = access.policy;
    let keeps = policy.members_only || policy.history_size > 0;
    let recoverable = keeps && (request.recoverable || policy.force_recovery);
    let since = request
        .recover
        .then(|| Position::new(epoch_from_text(&request.epoch), request.offset));
    let rejects = request.flag & SubscribeRequest::REJECT_UNRECOVERED != 0;
    let plan = Plan {
        room: room.clone(),
        policy,
        server_side: false,
        expires_at: access.expires_at,
        info: access.info,
        since,
        wants_comings: policy.join_leave && request.join_leave,
        recoverable,
    };
    let mut prepared = subscription::prepare(shard, connection, vec![plan]).await;
    let missing = || Refusal::new(Code::Internal, "internal error");
    let prepared = prepared.pop().ok_or_else(missing)?.1?;
    let mut started = subscription::start(shard, connection, prepared)?;
    // Every subscription is watched for holes; who asks is told so.
    started.result.positioned |= request.positioned;
    if rejects && since.is_some() && !started.result.recovered {
        subscription::end(shard, connection, &room);
        let message = "what was missed since this position cannot be given whole";
        return Err(Refusal::new(Code::UnrecoverablePosition, message));
    }
    Ok(started)
}

/// Refuses what would change which publications a subscriber gets. (Delta compression is another
/// matter: a server that does not offer it sends data whole.)
fn only_streams(request: &SubscribeRequest) -> Result<(), Refusal> {
    let message = match (request.kind, request.tf.is_empty()) {
        (0, true) => return Ok(()),
        (0, false) => "subscribe.tf: filters by tags are not available here",
        _ => "subscribe.type: only streams (0) are available here",
    };
    Err(Refusal::new(Code::NotAvailable, message))
}

pub(crate) fn unsubscribe(asked: &Asked, request: &UnsubscribeRequest) {
    let outcome = channel_named(&request.channel).map(|room| {
        // Ending what is not there is no mistake: both sides may end it at once.
        subscription::end(&asked.shard, &asked.connection, &room);
        Outcome::Unsubscribe(UnsubscribeResult {})
    });
    asked.answer(outcome);
}
