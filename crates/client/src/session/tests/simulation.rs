//! Random runs of clients against a server that refuses, loses answers, loses connections, loses
//! its tail, and says late or never what is archived. Whatever happens: each message ends up in
//! its room once, in its sender's order, and everybody has seen what is there.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::server::{Kind, Link, Server, name};
use super::*;
use crate::message::{Durable, Level, Message, Sent};

const CLIENTS: usize = 2;
const ROOMS: usize = 2;

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An application sends a message.
    Send(usize, usize),
    /// The server carries out commands of a client.
    Serve(usize, u8),
    /// A client hears what the server said.
    Hear(usize, u8),
    /// A connection is lost. What it had sent is lost, or carried out later.
    Cut(usize, bool),
    /// A client connects.
    Connect(usize),
    /// Something left behind by a lost connection is carried out.
    Late,
    /// The next messages of a client are told to come later.
    Busy(usize, u8),
    /// Redis comes back without its tail.
    Rewind(u8),
    /// The gateways find out.
    Tell,
    /// The archive goes on, and perhaps says so.
    Archive(usize, u8, bool),
    /// Seconds pass for a client.
    Wait(usize, u8),
    /// A client asks again for what was put off.
    Again(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (client, room) = (0..CLIENTS, 0..ROOMS);
    prop_oneof![
        8 => (client.clone(), room.clone()).prop_map(|(client, room)| Step::Send(client, room)),
        10 => (client.clone(), 1..6u8).prop_map(|(client, some)| Step::Serve(client, some)),
        10 => (client.clone(), 1..8u8).prop_map(|(client, some)| Step::Hear(client, some)),
        2 => (client.clone(), any::<bool>()).prop_map(|(client, late)| Step::Cut(client, late)),
        4 => client.clone().prop_map(Step::Connect),
        2 => Just(Step::Late),
        1 => (client.clone(), 1..3u8).prop_map(|(client, some)| Step::Busy(client, some)),
        2 => (0..6u8).prop_map(Step::Rewind),
        2 => Just(Step::Tell),
        3 => (room, 0..5u8, any::<bool>())
            .prop_map(|(room, some, told)| Step::Archive(room, some, told)),
        2 => (client.clone(), 1..16u8).prop_map(|(client, time)| Step::Wait(client, time)),
        2 => client.prop_map(Step::Again),
    ]
}

/// What an application shows of a room.
#[derive(Debug, Default)]
struct Shown {
    /// What comes before is not shown.
    base: u64,
    ids: Vec<String>,
}

impl Shown {
    fn top(&self) -> u64 {
        self.base + self.ids.len() as u64
    }

    fn back_to(&mut self, offset: u64) {
        let kept = offset.saturating_sub(self.base);
        self.ids.truncate(usize::try_from(kept).unwrap());
        self.base = self.base.min(offset);
    }
}

struct Peer {
    session: Session,
    shown: BTreeMap<String, Shown>,
    sent: Vec<(String, oneshot::Receiver<Result<Sent, Error>>)>,
    /// The latest place of each message that the client has told.
    places: BTreeMap<String, (u64, String)>,
    durable: BTreeMap<String, Durable>,
    messages: usize,
}

struct World {
    server: Server,
    peers: Vec<Peer>,
    /// Ids by client and room, in the order of sending.
    written: BTreeMap<(usize, usize), Vec<String>>,
    rewound: bool,
}

impl World {
    fn new(kind: Kind) -> Self {
        let peer = |_| Peer {
            session: Session::new(&Options {
                outbox: 1000,
                ..Options::new("ws://test/", "")
            }),
            shown: BTreeMap::new(),
            sent: Vec::new(),
            places: BTreeMap::new(),
            durable: BTreeMap::new(),
            messages: 0,
        };
        Self {
            server: Server::new(kind, ROOMS, CLIENTS),
            peers: (0..CLIENTS).map(peer).collect(),
            written: BTreeMap::new(),
            rewound: false,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send(client, room) => self.send(client, room),
            Step::Serve(client, some) => (0..some).for_each(|_| self.server.serve(client)),
            Step::Hear(client, some) => (0..some).for_each(|_| self.hear(client)),
            Step::Cut(client, late) => self.cut(client, late),
            Step::Connect(client) => self.connect(client),
            Step::Late => self.server.serve_late(),
            Step::Busy(client, some) => {
                if let Some(link) = &mut self.server.links[client] {
                    link.busy = some;
                }
            }
            // What an old server loses nobody sends again: it was as safe as it gets.
            Step::Rewind(_) if self.server.kind == Kind::Old => {}
            Step::Rewind(lost) => {
                self.rewound = true;
                self.server.rewind(lost.into());
            }
            Step::Tell => self.server.tell_all(),
            Step::Archive(room, some, told) => self.server.archive(room, some.into(), told),
            Step::Wait(client, seconds) => self.wait(client, seconds),
            Step::Again(client) => {
                let session = &mut self.peers[client].session;
                if session.has_put_off() {
                    session.again();
                }
                self.pass_on(client);
            }
        }
    }

    fn send(&mut self, client: usize, room: usize) {
        let peer = &mut self.peers[client];
        peer.messages += 1;
        let id = format!("{client}-{}", peer.messages);
        self.written
            .entry((client, room))
            .or_default()
            .push(id.clone());
        let (answer, answered) = oneshot::channel();
        let message = Message {
            room: name(room),
            id: id.clone(),
            body: Bytes::from_static(b"1"),
            ack: None,
        };
        peer.session.asked(Request::Message(message, answer));
        peer.sent.push((id, answered));
        self.pass_on(client);
    }

    /// Puts what a session wants said on its connection, and shows what it tells.
    fn pass_on(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        if let Some(link) = &mut self.server.links[client] {
            link.up.extend(peer.session.commands.drain(..));
        }
        for notice in std::mem::take(&mut peer.session.notices) {
            match notice {
                Notice::Rewound { room, to, .. } => {
                    let shown = peer.shown.entry(room.to_string()).or_default();
                    shown.back_to(to.offset);
                }
                Notice::Subscribed(subscribed) => {
                    let shown = peer.shown.entry(subscribed.room.to_string()).or_default();
                    if subscribed.recovered {
                        assert_eq!(shown.top(), subscribed.after.offset);
                    } else {
                        (shown.base, shown.ids) = (subscribed.position.offset, Vec::new());
                    }
                }
                Notice::Publication {
                    room, publication, ..
                } => {
                    let shown = peer.shown.get_mut(&*room).expect("a room that is live");
                    assert_eq!(publication.offset, shown.top() + 1, "a hole or a double");
                    let data: serde_json::Value =
                        serde_json::from_slice(&publication.data).unwrap();
                    shown.ids.push(data["id"].as_str().unwrap().to_owned());
                }
                Notice::Moved { id, from, to, .. } => {
                    let before = peer.places.insert(id, (to.offset, to.epoch));
                    assert!(before.is_none_or(|before| before == (from.offset, from.epoch)));
                }
                Notice::Durable(durable) => {
                    let room: usize = durable.room["room-".len()..].parse().unwrap();
                    let at = usize::try_from(durable.seq).unwrap();
                    let log = &self.server.logs[room];
                    if durable.level == Level::Archived {
                        assert!(log.archived >= at, "{durable:?} is not archived");
                        assert_eq!(log.entries[at - 1].id, durable.id);
                    }
                    let again = peer.durable.insert(durable.id.clone(), durable);
                    assert_eq!(again, None);
                }
                Notice::Unconfirmed { id, error, .. } => panic!("{id}: {error}"),
                _ => {}
            }
        }
    }

    fn hear(&mut self, client: usize) {
        let link = self.server.links[client].as_mut();
        let Some(reply) = link.and_then(|link| link.down.pop_front()) else {
            return;
        };
        let heard = self.peers[client].session.heard(reply);
        self.pass_on(client);
        if heard.is_err() {
            self.cut(client, true);
        }
    }

    fn cut(&mut self, client: usize, late: bool) {
        let Some(link) = self.server.links[client].take() else {
            return;
        };
        if late {
            self.server.late.extend(link.up);
        }
        let error = Error::Closed(Closed::abnormal("test"));
        self.peers[client].session.lost(&error, true);
        self.pass_on(client);
    }

    fn connect(&mut self, client: usize) {
        if self.server.links[client].is_none() {
            self.server.links[client] = Some(Link::default());
            self.peers[client].session.begin();
            self.pass_on(client);
        }
    }

    fn wait(&mut self, client: usize, seconds: u8) {
        let session = &mut self.peers[client].session;
        session.now += Duration::from_secs(seconds.into());
        let overdue = session.due().is_some_and(|due| due <= session.now);
        let stuck = overdue && session.overdue().is_err();
        self.pass_on(client);
        if stuck {
            self.cut(client, true);
        }
    }

    /// Everything works from now on; how long it takes until every message is durable.
    fn heal(&mut self) {
        for round in 0..400 {
            while !self.server.late.is_empty() {
                self.server.serve_late();
            }
            self.server.tell_all();
            for client in 0..CLIENTS {
                self.connect(client);
                self.server.links[client].as_mut().unwrap().busy = 0;
                self.take(Step::Again(client));
                self.take(Step::Serve(client, 20));
                self.take(Step::Hear(client, 40));
            }
            // Marks are hints: they may all be lost.
            (0..ROOMS).for_each(|room| self.server.archive(room, usize::from(round > 5), false));
            if round % 5 == 4 {
                (0..CLIENTS).for_each(|client| self.take(Step::Wait(client, 15)));
            }
            let quiet = self.server.links.iter().flatten();
            let mut quiet = quiet.map(|link| link.up.is_empty() && link.down.is_empty());
            let mut settled = self.peers.iter().map(|peer| peer.session.outbox.len() == 0);
            if round > 20 && settled.all(|settled| settled) && quiet.all(|quiet| quiet) {
                return;
            }
        }
        panic!("it never ends");
    }

    fn check(&mut self) {
        for ((client, room), ids) in &self.written {
            let log = &self.server.logs[*room].entries;
            let mine = log.iter().map(|entry| entry.id.clone());
            let mine: Vec<String> = mine
                .filter(|id| id.starts_with(&format!("{client}-")))
                .collect();
            let mut once = mine.clone();
            once.sort();
            let mut all = ids.clone();
            all.sort();
            assert_eq!(once, all, "each message once");
            if !self.rewound || self.server.kind == Kind::Ours {
                assert_eq!(&mine, ids, "in the sender's order");
            }
        }
        for peer in &mut self.peers {
            for (room, shown) in &peer.shown {
                let room: usize = room["room-".len()..].parse().unwrap();
                let log = self.server.logs[room].entries.iter();
                let there: Vec<_> = log.map(|entry| entry.id.clone()).collect();
                let base = usize::try_from(shown.base).unwrap();
                assert_eq!(shown.ids, there[base..], "what is shown is what is there");
            }
            for (id, answer) in &mut peer.sent {
                let sent = answer.try_recv().expect("an answer").expect("it is taken");
                let durable = &peer.durable[&*id];
                let last = peer.places.remove(id);
                let last = last.unwrap_or((sent.seq, sent.epoch.clone()));
                assert_eq!(last, (durable.seq, durable.epoch.clone()));
                assert_eq!(sent.fate.borrow().as_ref(), Some(&Ok(durable.clone())));
                let mut found = self
                    .server
                    .logs
                    .iter()
                    .filter_map(|log| log.entries.iter().position(|entry| entry.id == *id));
                assert_eq!(found.next().map(|at| at as u64 + 1), Some(durable.seq));
            }
        }
    }
}

fn run(kind: Kind, steps: &[Step]) {
    let mut world = World::new(kind);
    for step in steps {
        world.take(*step);
    }
    world.heal();
    world.check();
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn each_message_once_in_order_and_shown(steps in proptest::collection::vec(step(), 0..160)) {
        run(Kind::Ours, &steps);
    }

    #[test]
    fn each_message_once_at_a_server_that_keeps_no_order(
        steps in proptest::collection::vec(step(), 0..160),
    ) {
        run(Kind::Markful, &steps);
    }

    #[test]
    fn each_message_once_at_a_server_that_knows_no_marks(
        steps in proptest::collection::vec(step(), 0..160),
    ) {
        run(Kind::Old, &steps);
    }
}
