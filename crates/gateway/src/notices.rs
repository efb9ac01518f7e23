//! What notices and orders would have said while nobody heard them: those are published and not
//! kept. So when the listening connection was lost, everything they may have been about is looked
//! at: whether tokens are still good, and which rooms a user has. It is as well when the gateway has
//! taken another name, because what was said to a name before anybody listened to it was not heard.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use chinwag_protocol::code::Close;
use chinwag_protocol::id::{RoomId, UserId};
use futures_util::StreamExt;

use crate::appear;
use crate::command::WATCHED_ROOMS;
use crate::shard::Shard;
use crate::token;

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
    for connection in shard.of_user(user) {
        match connection.token_digest() {
            Some(digest) => {
                if store.token_expiry(user, &digest).await?.is_none() {
                    connection.close(Close::InvalidToken);
                }
            }
            // Whom a host vouches for needs no more than a profile, which may be gone as well.
            None => token::introduce(store, user).await?,
        }
    }
    let most = shard.backend.config.rooms_on_connect;
    let rooms = store.rooms_of(user, None, most + WATCHED_ROOMS).await?;
    let mut beyond: BTreeSet<RoomId> = BTreeSet::new();
    for connection in shard.of_user(user) {
        let free = most.saturating_sub(connection.server_side());
        let rooms = rooms.iter().map(|(room, _)| room);
        let lacking: Vec<&RoomId> = rooms
            .filter(|room| !connection.is_subscribed(room))
            .collect();
        let (missing, others) = lacking.split_at(free.min(lacking.len()));
        for room in missing {
            appear::appear(shard, &connection, room, None);
        }
        beyond.extend(others.iter().copied().cloned());
    }
    if !beyond.is_empty() {
        let beyond: Vec<RoomId> = beyond.into_iter().collect();
        let name = shard.identity.now();
        store.watch(&name, user, &beyond, true).await?;
    }
    Ok(())
}
