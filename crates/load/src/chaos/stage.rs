//! Who takes part and where: accounts, rooms, and who is in which.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::account::{self, Account};
use crate::chaos::http;
use crate::chaos::pulse::Pulse;
use crate::chaos::recorder::Recorder;
use crate::check::history::What;

/// How many come and go.
const VISITORS: usize = 8;
/// Members of each room, who stay.
const MEMBERS: usize = 6;
/// Of so many rooms one is open, and has one who comes and goes.
const OPEN_ONE_OF: usize = 4;
/// How long a gateway may take to answer while all is well.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many take part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub clients: usize,
    pub rooms: usize,
}

/// A room of the run.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub id: String,
    /// Those who stay, the owner first.
    pub members: Vec<u32>,
    /// Who comes and goes.
    pub wanderer: Option<u32>,
}

/// What all who take part share.
pub(crate) struct Stage {
    pub recorder: Recorder,
    pub pulse: Pulse,
    /// Each client is one user with one session.
    pub accounts: Vec<Account>,
    /// Those who come and go. Their numbers follow those of the clients.
    pub visitors: Vec<Account>,
    pub rooms: Vec<Room>,
    numbers: HashMap<String, u32>,
    /// Gateways in the order in which they were first met; one that was started anew is another.
    gateways: Mutex<HashMap<String, u32>>,
}

impl Stage {
    /// Registers everybody and makes the rooms, through a gateway that is well.
    ///
    /// # Errors
    /// If that is refused.
    pub async fn set(recorder: Recorder, size: Size, gateways: &[u16]) -> Result<Self> {
        let mut accounts = register(size.clients + VISITORS, gateways).await?;
        let visitors = accounts.split_off(size.clients.min(accounts.len()));
        let mut rooms = Vec::with_capacity(size.rooms);
        for number in 0..size.rooms {
            let port = *gateways
                .get(number % gateways.len().max(1))
                .context("no gateway")?;
            rooms.push(make_room(&recorder, number, &accounts, port).await?);
        }
        let seats = (0u32..)
            .zip(&rooms)
            .flat_map(|(number, room): (u32, &Room)| {
                let members = room.members.clone();
                members.into_iter().map(move |member| (member, number))
            });
        let pulse = Pulse::new(accounts.len(), rooms.len(), seats);
        let numbers = rooms.iter().map(|room| room.id.clone()).zip(0..).collect();
        Ok(Self {
            recorder,
            pulse,
            accounts,
            visitors,
            rooms,
            numbers,
            gateways: Mutex::default(),
        })
    }

    /// The number of a room, if it is one of the run's.
    pub fn room(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The number of a gateway that calls itself so.
    pub fn gateway(&self, node: &str) -> u32 {
        let mut gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(gateways.len()).unwrap_or(u32::MAX);
        *gateways.entry(node.to_owned()).or_insert(next)
    }
}

/// Registers users, a few at a time: hashing passwords is meant to be slow.
async fn register(count: usize, gateways: &[u16]) -> Result<Vec<Account>> {
    const AT_ONCE: usize = 4;
    let run = account::run_name();
    let mut accounts: Vec<(usize, Account)> = Vec::with_capacity(count);
    let mut asking = JoinSet::new();
    for number in 0..count {
        if asking.len() >= AT_ONCE
            && let Some(done) = asking.join_next().await
        {
            accounts.push(done??);
        }
        let port = *gateways
            .get(number % gateways.len().max(1))
            .context("no gateway")?;
        let name = format!("chaos-{run}-{number}");
        asking.spawn(async move {
            let url = format!("http://127.0.0.1:{port}");
            let late = Instant::now() + PATIENCE * 3;
            for attempt in 0.. {
                // Another name each time: an answer that was lost may have been good.
                match account::register(&url, &format!("{name}-{attempt}")).await {
                    Ok(account) => return Ok((number, account)),
                    Err(error) if Instant::now() > late => return Err(error),
                    Err(_busy) => sleep(Duration::from_millis(300)).await,
                }
            }
            anyhow::bail!("nobody is registered")
        });
    }
    while let Some(done) = asking.join_next().await {
        accounts.push(done??);
    }
    accounts.sort_by_key(|(number, _)| *number);
    Ok(accounts.into_iter().map(|(_, account)| account).collect())
}

async fn make_room(
    recorder: &Recorder,
    number: usize,
    accounts: &[Account],
    port: u16,
) -> Result<Room> {
    // Neighbours share some rooms and not others, and connect to different gateways.
    let members: Vec<u32> = (0..MEMBERS.min(accounts.len()))
        .map(|seat| number * (MEMBERS / 2) + seat)
        .filter_map(|client| u32::try_from(client % accounts.len()).ok())
        .collect();
    let is_open = number.is_multiple_of(OPEN_ONE_OF);
    let outsider = (0..u32::try_from(accounts.len())?)
        .rev()
        .filter(|client| !members.contains(client))
        .nth(number % accounts.len().saturating_sub(MEMBERS).max(1));
    let wanderer = outsider.filter(|_| is_open);
    let room = u32::try_from(number)?;
    for member in &members {
        recorder.note(*member, What::Entered { room });
    }
    let account = |client: &u32| accounts.get(*client as usize).context("no such client");
    let (owner, others) = members.split_first().context("a room has members")?;
    let ids: Vec<String> = others
        .iter()
        .map(|other| Ok(account(other)?.id.clone()))
        .collect::<Result<_>>()?;
    let kind = if is_open { "open" } else { "group" };
    let body = json!({ "name": format!("Chaos {number}"), "kind": kind, "members": ids });
    let token = &account(owner)?.token;
    let made = http::call(
        Method::POST,
        port,
        "/v1/rooms",
        token,
        Some(&body),
        PATIENCE,
    )
    .await?;
    let id = made["room"]["id"]
        .as_str()
        .context("a room without an id")?;
    Ok(Room {
        id: id.to_owned(),
        members,
        wanderer,
    })
}
