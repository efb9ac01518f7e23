//! A server with one gateway per client, a Redis that can lose its tail, and an archive: as much
//! of each as a client can tell.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::{Happening, Publication, Push, Subscribe, Unsubscribe};
use chinwag_protocol::reply::{self, Outcome, Reply};
use chinwag_protocol::request::SubscribeRequest;
use chinwag_protocol::result::{ConnectResult, RpcResult, SubscribeResult, UnsubscribeResult};
use serde_json::{Value, json};

/// Who has missed more has to fetch it elsewhere.
const RECOVERED_MOST: usize = 12;

/// What the server says of durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It tells what is archived and keeps senders' order.
    Ours,
    /// It tells what is archived.
    Markful,
    /// It knows of nothing but accepting.
    Old,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub epoch: u64,
}

#[derive(Debug, Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub archived: usize,
    /// Epochs, and how long the log was when they began.
    starts: Vec<(u64, usize)>,
}

/// A subscription of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    by_server: bool,
    /// Its room was taken back or has begun an epoch, and it has not been told.
    untold: bool,
}

/// One client's connection, as its gateway sees it.
#[derive(Debug, Default)]
pub struct Link {
    pub up: VecDeque<Command>,
    pub down: VecDeque<Reply>,
    listens: BTreeMap<usize, Listener>,
    /// How many of the next messages are told to come later.
    pub busy: u8,
}

#[derive(Debug)]
pub struct Server {
    pub kind: Kind,
    pub epoch: u64,
    pub logs: Vec<Log>,
    pub links: Vec<Option<Link>>,
    /// What connections have left behind: it may still be carried out.
    pub late: VecDeque<Command>,
}

pub fn name(room: usize) -> String {
    format!("room-{room}")
}

fn number(name: &str) -> usize {
    name.trim_start_matches("room-").parse().unwrap()
}

impl Log {
    /// Whether a reader there has seen only what is still there, as `resume.lua` finds out.
    fn holds(&self, epoch: u64, seq: usize) -> bool {
        let known = self.starts.iter().any(|(began, _)| *began <= epoch);
        let later = self.starts.iter().filter(|(began, _)| *began > epoch);
        let valid = later.map(|(_, start)| *start).min().unwrap_or(usize::MAX);
        known && seq <= valid.min(self.entries.len())
    }
}

fn publication(seq: usize, entry: &Entry) -> Publication {
    Publication {
        offset: seq as u64,
        data: Bytes::from(json!({ "id": entry.id }).to_string()),
        ..Publication::default()
    }
}

impl Server {
    pub fn new(kind: Kind, rooms: usize, clients: usize) -> Self {
        let log = || Log {
            starts: vec![(1, 0)],
            ..Log::default()
        };
        Self {
            kind,
            epoch: 1,
            logs: (0..rooms).map(|_| log()).collect(),
            links: (0..clients).map(|_| None).collect(),
            late: VecDeque::new(),
        }
    }

    fn push(&mut self, client: usize, room: usize, happening: Happening) {
        if let Some(link) = &mut self.links[client] {
            let push = Outcome::Push(Push::new(name(room), happening));
            link.down.push_back(Reply::new(0, push));
        }
    }

    /// Carries out the next command of a client.
    pub fn serve(&mut self, client: usize) {
        let Some(link) = &mut self.links[client] else {
            return;
        };
        let Some(command) = link.up.pop_front() else {
            return;
        };
        let busy = link.busy > 0 && matches!(command.method, Some(Method::Rpc(_)));
        link.busy -= u8::from(busy);
        let outcome = if busy {
            Outcome::Error(refusal(111, true))
        } else {
            self.carry_out(Some(client), command.method.unwrap())
        };
        if let Some(link) = &mut self.links[client] {
            link.down.push_back(Reply::new(command.id, outcome));
        }
    }

    /// Carries out something that a lost connection has left behind.
    pub fn serve_late(&mut self) {
        if let Some(Command {
            method: Some(method @ Method::Rpc(_)),
            ..
        }) = self.late.pop_front()
        {
            self.carry_out(None, method);
        }
    }

    fn carry_out(&mut self, client: Option<usize>, method: Method) -> Outcome {
        match method {
            Method::Rpc(rpc) => self.send(&serde_json::from_slice(&rpc.data).unwrap()),
            Method::Connect(connect) => {
                let rooms = 0..self.logs.len();
                let subs = rooms.map(|room| {
                    let none = SubscribeRequest::default();
                    let known = connect.subs.get(&name(room)).unwrap_or(&none);
                    (
                        name(room),
                        self.subscribe(client.unwrap(), room, known, true),
                    )
                });
                let subs = subs.collect();
                let data = match self.kind {
                    Kind::Ours => r#"{"marks":true,"after":true}"#,
                    Kind::Markful | Kind::Old => "",
                };
                Outcome::Connect(ConnectResult {
                    client: "c".to_owned(),
                    data: Bytes::from_static(data.as_bytes()),
                    subs,
                    ..ConnectResult::default()
                })
            }
            Method::Subscribe(request) => {
                let room = number(&request.channel);
                let link = self.links[client.unwrap()].as_ref().unwrap();
                if link.listens.contains_key(&room) {
                    return Outcome::Error(refusal(105, false));
                }
                Outcome::Subscribe(self.subscribe(client.unwrap(), room, &request, false))
            }
            Method::Unsubscribe(request) => {
                let link = self.links[client.unwrap()].as_mut().unwrap();
                link.listens.remove(&number(&request.channel));
                Outcome::Unsubscribe(UnsubscribeResult {})
            }
            other => panic!("{other:?}"),
        }
    }

    fn subscribe(
        &mut self,
        client: usize,
        room: usize,
        request: &SubscribeRequest,
        by_server: bool,
    ) -> SubscribeResult {
        let untold = false;
        let link = self.links[client].as_mut().unwrap();
        link.listens.insert(room, Listener { by_server, untold });
        let log = &self.logs[room];
        let from = usize::try_from(request.offset).unwrap();
        let holds = request.recover && log.holds(request.epoch.parse().unwrap_or(0), from);
        let recovered = holds && log.entries.len() - from <= RECOVERED_MOST;
        let missed = log.entries.iter().enumerate().skip(from);
        let missed = missed.map(|(at, entry)| publication(at + 1, entry));
        SubscribeResult {
            recoverable: true,
            positioned: true,
            epoch: self.epoch.to_string(),
            offset: log.entries.len() as u64,
            was_recovering: request.recover,
            publications: if recovered {
                missed.collect()
            } else {
                Vec::new()
            },
            recovered,
            ..SubscribeResult::default()
        }
    }

    fn send(&mut self, argument: &Value) -> Outcome {
        let room = number(argument["room"].as_str().unwrap());
        let id = argument["id"].as_str().unwrap().to_owned();
        let log = &mut self.logs[room];
        let find = |log: &Log, id: &str| log.entries.iter().position(|entry| entry.id == id);
        let found = find(log, &id);
        if let (None, Some(after)) = (found, argument["after"].as_str()) {
            assert_eq!(self.kind, Kind::Ours);
            if find(log, after).is_none() {
                return Outcome::Error(refusal(409, false));
            }
        }
        let at = found.unwrap_or_else(|| {
            let epoch = self.epoch;
            log.entries.push(Entry {
                id: id.clone(),
                epoch,
            });
            log.entries.len() - 1
        });
        let archived = self.kind != Kind::Old && at < log.archived;
        let data = json!({
            "id": id, "seq": at + 1, "epoch": log.entries[at].epoch.to_string(), "time": 1,
            "durability": if archived { "archived" } else { "accepted" },
            "duplicate": found.is_some(),
        });
        if found.is_none() {
            let published = publication(at + 1, &log.entries[at]);
            self.publish(room, &published);
        }
        let data = Bytes::from(data.to_string());
        Outcome::Rpc(RpcResult { data })
    }

    fn publish(&mut self, room: usize, publication: &Publication) {
        for client in 0..self.links.len() {
            // Nothing of a new epoch reaches whoever has not been told of it.
            self.tell(client, room);
            let link = self.links[client].as_ref();
            if link.is_some_and(|link| link.listens.contains_key(&room)) {
                self.push(client, room, Happening::Pub(publication.clone()));
            }
        }
    }

    /// Redis comes back without the last `lost` events of each room that are not archived.
    pub fn rewind(&mut self, lost: usize) {
        self.epoch += 1;
        for log in &mut self.logs {
            let kept = log.entries.len().saturating_sub(lost).max(log.archived);
            log.entries.truncate(kept);
            log.starts.retain(|(_, start)| *start <= kept);
            log.starts.push((self.epoch, kept));
        }
        let listens = self.links.iter_mut().flatten();
        let listens = listens.flat_map(|link| link.listens.values_mut());
        listens.for_each(|listener| listener.untold = true);
    }

    /// The gateways find out what has happened to Redis, and say so.
    pub fn tell_all(&mut self) {
        for client in 0..self.links.len() {
            (0..self.logs.len()).for_each(|room| self.tell(client, room));
        }
    }

    fn tell(&mut self, client: usize, room: usize) {
        let Some(link) = &mut self.links[client] else {
            return;
        };
        let Some(listener) = link.listens.get_mut(&room).filter(|one| one.untold) else {
            return;
        };
        listener.untold = false;
        let happening = if listener.by_server {
            Happening::Subscribe(Subscribe {
                recoverable: true,
                positioned: true,
                epoch: self.epoch.to_string(),
                offset: self.logs[room].entries.len() as u64,
                ..Subscribe::default()
            })
        } else {
            link.listens.remove(&room);
            let reason = "insufficient state".to_owned();
            Happening::Unsubscribe(Unsubscribe { code: 2500, reason })
        };
        self.push(client, room, happening);
    }

    /// The archive takes some more events of a room, and perhaps says so.
    pub fn archive(&mut self, room: usize, some: usize, told: bool) {
        let log = &mut self.logs[room];
        log.archived = (log.archived + some).min(log.entries.len());
        if !told || log.archived == 0 || self.kind == Kind::Old {
            return;
        }
        let mark = json!({
            "type": "archived", "seq": log.archived, "epoch": self.epoch.to_string(),
        });
        let mark = Publication {
            data: Bytes::from(mark.to_string()),
            ..Publication::default()
        };
        for client in 0..self.links.len() {
            let link = self.links[client].as_ref();
            if link.is_some_and(|link| link.listens.contains_key(&room)) {
                self.push(client, room, Happening::Pub(mark.clone()));
            }
        }
    }
}

fn refusal(code: u32, temporary: bool) -> reply::Error {
    reply::Error {
        code,
        message: "no".to_owned(),
        temporary,
    }
}
