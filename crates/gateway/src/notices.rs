//! What notices and orders would have said while nobody heard them: those are published and not
//! kept. So when the listening connection was lost, everything they may have been about is looked
//! at: whether tokens are still good, which rooms a user has, and whether Redis knows of the session.

use std::rc::Rc;
use std::time::Duration;

use chinwag_protocol::code::Close;
use chinwag_protocol::id::UserId;
use futures_util::StreamExt;

use crate::appear;
use crate::shard::Shard;

/// Users looked after at once.
const AT_ONCE: usize = 16;
/// How long after a failure the next try is.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks after all users of a thread.
pub(crate) fn look_after_all(shard: &Rc<Shard>) {
    let shard = Rc::clone(shard);
    let users = shard.users();
    let context = shard.context.clone();
    context.spawn_local("look after users", async move {
        let all = futures_util::stream::iter(users);
        all.for_each_concurrent(AT_ONCE, |user| {
            let shard = Rc::clone(&shard);
            async move {
                while let Err(error) = look_after(&shard, &user).await {
                    tracing::warn!(%error, "cannot find out what became of a user's tokens and rooms");
                    if !error.is_temporary() {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        })
        .await;
    });
}

async fn look_after(shard: &Rc<Shard>, user: &UserId) -> chinwag_store::Result<()> {
    let store = &shard.backend.store;
    if shard.of_user(user).is_empty() {
        return Ok(());
    }
    let name = shard.name.borrow().clone();
    for connection in shard.of_user(user) {
        if connection.is_gone() {
            continue;
        }
        // A server that lost its tail may have lost that they are here.
        store.open_session(&name, user, &connection.client).await?;
        let Some(digest) = connection.token_digest() else {
            continue;
        };
        if store.token_expiry(user, &digest).await?.is_none() {
            connection.close(Close::InvalidToken);
        }
    }
    let most = shard.backend.config.rooms_on_connect;
    let rooms = store.rooms_of(user, None, most).await?;
    for connection in shard.of_user(user) {
        let free = most.saturating_sub(connection.server_side());
        let lacking = rooms
            .iter()
            .filter(|(room, _)| !connection.is_subscribed(room));
        for (room, _) in lacking.take(free) {
            appear::appear(shard, &connection, room, None);
        }
    }
    Ok(())
}
