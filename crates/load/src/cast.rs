//! Who plays: users, their rooms, and what of them is written down.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::account::{self, Account};
use crate::args::Load;
use crate::script::{Schedule, Script};
use crate::sign::Signer;

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// Connections from one address to one server; it has some 28,000 ports.
const PER_SOURCE: usize = 20_000;

/// Everybody, in rooms.
pub(crate) struct Cast {
    /// Their ids, by the room's number.
    pub rooms: Vec<String>,
    /// By the client's number.
    pub parts: Vec<Part>,
}

/// One client's part. It is in one room.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub client: u32,
    pub url: String,
    pub gateway: u32,
    pub source: Option<IpAddr>,
    pub token: String,
    pub room: u32,
    pub room_id: Arc<str>,
    /// When it writes, if it does.
    pub schedule: Option<Schedule>,
    /// When it goes and comes back.
    pub absences: Vec<(std::time::Duration, std::time::Duration)>,
    /// How many bytes a second it takes, if it is slow.
    pub pace: Option<u64>,
    pub bytes: usize,
    /// Whether what it does and sees is written down.
    pub recorded: bool,
}

impl Cast {
    /// Registers everybody and makes the rooms.
    pub(crate) async fn gather(load: &Load, script: &Script) -> Result<Self> {
        let signer = load.token_secret_file.as_deref();
        let signer = signer.map(Signer::from_file).transpose()?.map(Arc::new);
        let accounts = accounts(load, script.rooms * script.members, signer).await?;
        let rooms = rooms(load, script, &accounts).await?;
        let recording = Recording::of(load.output.history_records, script);
        let part = |(client, account): (usize, Account)| {
            let (room, member) = (client / script.members, client % script.members);
            let writer = member < script.writers;
            Ok(Part {
                client: u32::try_from(client)?,
                url: url(load, client).to_owned(),
                gateway: u32::try_from(client % load.urls.len().max(1))?,
                source: source(url(load, client), client / load.urls.len().max(1)),
                token: account.token,
                room: u32::try_from(room)?,
                room_id: rooms.get(room).context("a room")?.as_str().into(),
                schedule: writer.then(|| script.schedule(room + member * script.rooms)),
                absences: script.absences(client),
                pace: script.pace(member),
                bytes: script.bytes,
                recorded: recording.takes(script, room, member),
            })
        };
        let parts = accounts.into_iter().enumerate().map(part);
        let parts = parts.collect::<Result<_>>()?;
        Ok(Self { rooms, parts })
    }
}

/// The addresses take turns.
pub(crate) fn url(load: &Load, turn: usize) -> &str {
    let at = turn % load.urls.len().max(1);
    load.urls.get(at).map_or("", String::as_str)
}

/// An address of this machine for the connections that one alone has no ports for.
fn source(url: &str, number: usize) -> Option<IpAddr> {
    let local = ["http://127.", "http://localhost"];
    let is_local = local.iter().any(|start| url.starts_with(start));
    let more = u8::try_from(number / PER_SOURCE)
        .ok()
        .filter(|more| *more > 0)?;
    is_local.then(|| IpAddr::V4(Ipv4Addr::new(127, 0, 0, more.saturating_add(1))))
}

async fn accounts(load: &Load, count: usize, signer: Option<Arc<Signer>>) -> Result<Vec<Account>> {
    let run = account::run_name();
    let free = Arc::new(Semaphore::new(AT_ONCE));
    let mut coming = JoinSet::new();
    for number in 0..count {
        let permit = Arc::clone(&free).acquire_owned().await?;
        let (url, name) = (url(load, number).to_owned(), format!("load-{run}-{number}"));
        let signer = signer.clone();
        coming.spawn(async move {
            let account = account::come(&url, &name, signer.as_deref()).await;
            drop(permit);
            account.map(|account| (number, account))
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(come) = coming.join_next().await {
        all.push(come??);
    }
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, account)| account).collect())
}

async fn rooms(load: &Load, script: &Script, accounts: &[Account]) -> Result<Vec<String>> {
    let free = Arc::new(Semaphore::new(AT_ONCE));
    let mut making = JoinSet::new();
    for (number, members) in accounts.chunks(script.members).enumerate() {
        let permit = Arc::clone(&free).acquire_owned().await?;
        let (url, name) = (url(load, number).to_owned(), format!("Load {number}"));
        let owner = members.first().context("a room has members")?.clone();
        let others: Vec<String> = members.iter().skip(1).map(|one| one.id.clone()).collect();
        making.spawn(async move {
            let room = account::make_room(&url, &owner, &name, &others).await;
            drop(permit);
            room.map(|room| (number, room))
        });
    }
    let mut all = Vec::with_capacity(script.rooms);
    while let Some(made) = making.join_next().await {
        all.push(made??);
    }
    all.sort();
    Ok(all.into_iter().map(|(_, room)| room).collect())
}

/// How much is written down: of whole rooms, and of as many of their readers as fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recording {
    rooms: usize,
    /// Members of each, the writers first.
    members: usize,
}

impl Recording {
    fn of(most: u64, script: &Script) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let one = |room: usize| script.schedule(room).messages();
        let messages = usize::try_from(one(0)).unwrap_or(usize::MAX) * script.writers;
        // A message, its answer, and each delivery; and some for each connection.
        let room = |readers: usize| messages * (2 + readers) + 16 * readers;
        let least = room(script.writers);
        let rooms = (most / least.max(1)).min(script.rooms);
        let share = most / rooms.max(1);
        let members = share.saturating_sub(messages * 2) / (messages + 16).max(1);
        Self {
            rooms,
            members: members.clamp(script.writers, script.members.max(script.writers)),
        }
    }

    fn takes(self, script: &Script, room: usize, member: usize) -> bool {
        // Slow readers are the last; if some are left out, it is in the middle.
        let last = script.members - member;
        let slow = script.pace(member).is_some() && last * 2 <= self.members;
        room < self.rooms && (member < self.members || slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Absence;

    fn script(rooms: usize, members: usize) -> Script {
        Script {
            title: String::new(),
            rooms,
            members,
            writers: 1,
            rate: 100.0,
            seconds: 10,
            bytes: 1,
            burst: 1,
            absence: Absence::Never,
            slow: None,
        }
    }

    #[test]
    fn what_is_written_down_is_bounded_from_the_start() {
        let all = Recording::of(2_000_000, &script(10, 5));
        assert_eq!((all.rooms, all.members), (10, 5));
        // 1000 messages in one room of 1000, and room for a hundred thousand records.
        let hot = Recording::of(100_000, &script(1, 1000));
        assert_eq!(hot.rooms, 1);
        assert!((90..100).contains(&hot.members), "{hot:?}");
        assert_eq!(Recording::of(0, &script(10, 5)).rooms, 0);
        let some = Recording::of(1_000, &script(10, 5));
        assert!(some.rooms < 10 && some.members == 1, "{some:?}");
    }

    #[test]
    fn addresses_are_only_spread_when_one_is_not_enough() {
        assert_eq!(source("http://127.0.0.1:8000", 19_999), None);
        let second = source("http://127.0.0.1:8000", 20_000).unwrap();
        assert_eq!(second.to_string(), "127.0.0.2");
        assert_eq!(source("http://10.0.0.1:8000", 20_000), None);
    }
}
