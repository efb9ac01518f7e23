//! Who takes part: users with tokens, and the rooms that they are in.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::http::{Line, authority};
use crate::account::{self, Account};
use crate::sign::Signer;

/// Connections over which accounts and rooms are made.
const LINES: usize = 8;
/// Members with which a room can begin, beside its maker.
const FIRST_MEMBERS: usize = 100;

/// Everybody, and the rooms. Member `n` is in room `n % rooms`.
pub(crate) struct Cast {
    /// By member.
    pub tokens: Vec<String>,
    /// Ids by number.
    pub rooms: Vec<String>,
    /// Of each room.
    pub members: usize,
    /// Rooms of the same members.
    pub each: usize,
}

impl Cast {
    /// Makes users and rooms. Each circle of members has `each` rooms of its own.
    pub async fn gather(
        urls: &[String],
        secret: Option<&Path>,
        circles: usize,
        members: usize,
        each: usize,
    ) -> Result<Self> {
        let accounts = accounts(urls, secret, circles * members).await?;
        let shared = Arc::new((accounts, circles));
        let rooms = all(urls, circles * each, {
            let shared = Arc::clone(&shared);
            move |mut line, number| {
                let shared = Arc::clone(&shared);
                async move {
                    let (accounts, circles) = &*shared;
                    let circle = accounts.iter().skip(number % circles).step_by(*circles);
                    let room = room(&mut line, number, circle).await?;
                    Ok((line, room))
                }
            }
        })
        .await?;
        Ok(Self {
            tokens: shared.0.iter().map(|one| one.token.clone()).collect(),
            rooms,
            members,
            each,
        })
    }

    /// Where each member connects: those of one room to all servers in turn.
    pub fn doors(&self, urls: &[String]) -> Result<Vec<SocketAddr>> {
        let mut doors = Vec::new();
        for url in urls {
            let host = authority(url)?;
            let found = host.to_socket_addrs().with_context(|| host.clone())?.next();
            doors.push(found.with_context(|| format!("no address for {host}"))?);
        }
        let circles = self.rooms.len() / self.each.max(1);
        let door = |member: usize| doors.get(member / circles.max(1) % doors.len().max(1));
        let doors = (0..circles * self.members).map(|member| door(member).copied());
        doors.collect::<Option<_>>().context("no --url")
    }
}

async fn accounts(urls: &[String], secret: Option<&Path>, count: usize) -> Result<Vec<Account>> {
    let run = account::run_name();
    let Some(secret) = secret else {
        return registered(urls, &run, count).await;
    };
    let signer = Arc::new(Signer::from_file(secret)?);
    all(urls, count, move |mut line, number| {
        let (signer, name) = (Arc::clone(&signer), format!("bench-{run}-{number}"));
        async move {
            let token = signer.token(&name);
            let shown = line.ask(Method::GET, "/v1/me", &token, &Value::Null).await;
            shown.context("come with a signed token (is it the server's secret?)")?;
            Ok((line, Account { id: name, token }))
        }
    })
    .await
}

/// The slow way: passwords are meant to be slow.
async fn registered(urls: &[String], run: &str, count: usize) -> Result<Vec<Account>> {
    crate::play::say(&format!(
        "registering {count} users; with --token-secret-file it would take no time"
    ));
    let (urls, run) = (urls.to_vec(), run.to_owned());
    all(&urls.clone(), count, move |line, number| {
        let url = urls.get(number % urls.len().max(1)).cloned();
        let name = format!("bench-{run}-{number}");
        async move {
            let account = account::register(&url.unwrap_or_default(), &name).await?;
            Ok((line, account))
        }
    })
    .await
}

async fn room<'a>(
    line: &mut Line,
    number: usize,
    circle: impl Iterator<Item = &'a Account>,
) -> Result<String> {
    let members: Vec<&Account> = circle.collect();
    let (owner, others) = members.split_first().context("a room has members")?;
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    let (first, more) = ids.split_at(ids.len().min(FIRST_MEMBERS));
    let body = json!({ "name": format!("Bench {number}"), "members": first });
    let made = line
        .ask(Method::POST, "/v1/rooms", &owner.token, &body)
        .await;
    let made = made.context("make a room")?;
    let id = made["room"]["id"]
        .as_str()
        .context("a room without an id")?;
    let path = format!(
        "/v1/rooms/{}/members",
        id.replace('#', "%23").replace(':', "%3A")
    );
    for user in more {
        let body = json!({ "user": user });
        let invited = line.ask(Method::POST, &path, &owner.token, &body).await;
        invited.context("bring somebody into a room")?;
    }
    Ok(id.to_owned())
}

/// Does something for each number, over a few lines at once.
async fn all<T, F, Doing>(urls: &[String], count: usize, act: F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(Line, usize) -> Doing + Clone + Send + 'static,
    Doing: Future<Output = Result<(Line, T)>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut working = JoinSet::new();
    for worker in 0..LINES.min(count) {
        let (act, next) = (act.clone(), Arc::clone(&next));
        let url = urls.get(worker % urls.len().max(1)).context("no --url")?;
        let mut line = Line::to(url).await?;
        working.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(done);
                }
                let result;
                (line, result) = act(line, number).await?;
                done.push((number, result));
            }
        });
    }
    let mut results = Vec::with_capacity(count);
    while let Some(done) = working.join_next().await {
        results.extend(done??);
    }
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
