//! A small world that keeps its promises, to write histories of: rooms with logs, clients with
//! outboxes, connections that end, answers that are lost, and a Redis that loses its tail.

use proptest::prelude::*;

use crate::check::history::{Final, History, Injection, Level, NOBODY, Record, What};

pub const ROOMS: u32 = 3;
pub const CLIENTS: u32 = 5;
const MICROSECONDS: u64 = 1000;

/// One thing that happens: which, to whom, and how.
#[derive(Debug, Clone, Copy)]
pub struct Step(u8, u8, u8);

impl Arbitrary for Step {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        any::<(u8, u8, u8)>()
            .prop_map(|(a, b, c)| Step(a, b, c))
            .boxed()
    }
}

impl Step {
    pub fn random(seed: u64, count: usize) -> Vec<Self> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..count).map(|_| Step(next(), next(), next())).collect()
    }
}

#[derive(Default)]
struct Room {
    log: Vec<(u64, u32, u64)>,
    archived: usize,
}

struct Letter {
    room: u32,
    n: u64,
    durable: bool,
}

#[derive(Default)]
struct Client {
    connected: bool,
    /// By room: where it stands, and the epoch that it knows.
    stands: Vec<(usize, u64)>,
    outbox: Vec<Letter>,
    /// Answers on their way: room, n, duplicate.
    answers: Vec<(u32, u64, bool)>,
    next: u64,
}

pub struct World {
    history: History,
    now: u64,
    epoch: u64,
    rooms: Vec<Room>,
    clients: Vec<Client>,
    lossy: bool,
}

fn at<T>(all: &mut [T], number: u32) -> &mut T {
    &mut all[number as usize]
}

impl World {
    pub fn play(steps: &[Step], lossy: bool) -> History {
        let mut world = Self {
            history: History::default(),
            now: 0,
            epoch: 1,
            rooms: (0..ROOMS).map(|_| Room::default()).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            lossy,
        };
        world.begin();
        for step in steps {
            world.step(*step);
        }
        world.end()
    }

    fn write(&mut self, client: u32, what: What) {
        self.now += MICROSECONDS;
        let at = self.now;
        self.history.records.push(Record { at, client, what });
    }

    fn begin(&mut self) {
        for room in 0..ROOMS {
            at(&mut self.rooms, room).log.push((1, NOBODY, 0));
        }
        for client in 0..CLIENTS {
            at(&mut self.clients, client).stands = vec![(0, 0); ROOMS as usize];
            for room in 0..ROOMS {
                self.write(client, What::Entered { room });
            }
            self.connect(client);
        }
    }

    fn step(&mut self, Step(what, who, how): Step) {
        let (client, room) = (u32::from(who) % CLIENTS, u32::from(how) % ROOMS);
        let connected = at(&mut self.clients, client).connected;
        match what % 16 {
            0..=4 if connected => self.send(client, room, how),
            5..=9 if connected => self.deliver(client, room, 1 + usize::from(how) % 5),
            10 | 11 if connected => self.answer(client),
            12 => self.archive(room),
            13 if connected => self.disconnect(client),
            13 | 14 if !connected => self.connect(client),
            15 if self.lossy && how < 60 => self.lose(usize::from(how) % 4),
            15 if how > 200 => self.kill(),
            _ => {}
        }
    }

    fn send(&mut self, client: u32, room: u32, how: u8) {
        let me = at(&mut self.clients, client);
        let n = me.next;
        me.next += 1;
        let durable = false;
        me.outbox.push(Letter { room, n, durable });
        self.write(client, What::Send { room, n });
        match how % 16 {
            // Lost on its way; it is in the outbox. What is sent behind it on this connection is
            // lost as well.
            0 => self.disconnect(client),
            // Taken, and the answer lost.
            1 => {
                self.append(client, room, n);
                self.disconnect(client);
            }
            _ => {
                let duplicate = self.append(client, room, n);
                at(&mut self.clients, client)
                    .answers
                    .push((room, n, duplicate));
            }
        }
    }

    /// Whether it was there already.
    fn append(&mut self, client: u32, room: u32, n: u64) -> bool {
        let (epoch, log) = (self.epoch, &mut at(&mut self.rooms, room).log);
        let there = log.iter().any(|(_, who, m)| (*who, *m) == (client, n));
        if !there {
            log.push((epoch, client, n));
        }
        there
    }

    fn place(&mut self, client: u32, room: u32, n: u64) -> Option<(u64, u64)> {
        let log = &at(&mut self.rooms, room).log;
        let mine = |(_, who, m): &(u64, u32, u64)| (*who, *m) == (client, n);
        let place = log.iter().position(mine)?;
        Some((place as u64 + 1, log[place].0))
    }

    fn answer(&mut self, client: u32) {
        let answers = &mut at(&mut self.clients, client).answers;
        if answers.is_empty() {
            return;
        }
        let (room, n, duplicate) = answers.remove(0);
        // One that was taken back before its answer came is answered again, when sent again.
        let Some((seq, epoch)) = self.place(client, room, n) else {
            return;
        };
        self.write(
            client,
            What::Accepted {
                room,
                n,
                seq,
                epoch,
                level: Level::Accepted,
                duplicate,
            },
        );
    }

    fn archive(&mut self, room: u32) {
        let room_now = at(&mut self.rooms, room);
        room_now.archived = room_now.log.len();
        for client in 0..CLIENTS {
            let me = at(&mut self.clients, client);
            if !me.connected {
                continue;
            }
            let mine: Vec<u64> = me
                .outbox
                .iter_mut()
                .filter(|letter| letter.room == room && !letter.durable)
                .map(|letter| letter.n)
                .collect();
            for n in mine {
                let Some((seq, epoch)) = self.place(client, room, n) else {
                    continue;
                };
                let letters = &mut at(&mut self.clients, client).outbox;
                letters.iter_mut().for_each(|letter| {
                    letter.durable |= (letter.room, letter.n) == (room, n);
                });
                let durable = What::Durable {
                    room,
                    n,
                    seq,
                    epoch,
                };
                self.write(client, durable);
            }
        }
    }

    fn deliver(&mut self, client: u32, room: u32, most: usize) {
        for _ in 0..most {
            let (position, epoch) = at(&mut self.clients, client).stands[room as usize];
            let Some(&(_, sender, n)) = at(&mut self.rooms, room).log.get(position) else {
                return;
            };
            let seq = position as u64 + 1;
            let event = What::Deliver {
                room,
                seq,
                epoch,
                sender,
                n,
            };
            self.write(client, event);
            at(&mut self.clients, client).stands[room as usize].0 += 1;
        }
    }

    fn disconnect(&mut self, client: u32) {
        let me = at(&mut self.clients, client);
        me.connected = false;
        me.answers.clear();
        self.write(client, What::Disconnected { code: 0 });
    }

    fn connect(&mut self, client: u32) {
        at(&mut self.clients, client).connected = true;
        let user = client;
        self.write(client, What::Connected { gateway: 0, user });
        for room in 0..ROOMS {
            self.subscribe(client, room);
        }
        self.send_again(client);
    }

    fn subscribe(&mut self, client: u32, room: u32) {
        let (position, known) = at(&mut self.clients, client).stands[room as usize];
        let (epoch, log) = (self.epoch, &at(&mut self.rooms, room).log);
        let seq = log.len() as u64;
        let since = (known > 0).then_some(position as u64);
        // Where the two histories part, if they do.
        let parted = log.iter().position(|(epoch, ..)| *epoch > known);
        let parted = parted.unwrap_or(log.len());
        let recovered = known > 0 && position <= parted;
        let stands = match (since, recovered) {
            (Some(_), true) => position,
            _ => log.len(),
        };
        let subscribed = What::Subscribed {
            room,
            seq,
            epoch,
            since,
            recovered,
        };
        self.write(client, subscribed);
        let fetch = since.is_some() && !recovered;
        // What was taken back is fetched from where it still stood.
        let stands = if fetch { parted.min(position) } else { stands };
        at(&mut self.clients, client).stands[room as usize] = (stands, epoch);
        if fetch {
            let seq = stands as u64;
            self.write(client, What::Rewound { room, seq, epoch });
        }
    }

    fn send_again(&mut self, client: u32) {
        let letters = &at(&mut self.clients, client).outbox;
        let open = letters.iter().filter(|letter| !letter.durable);
        let open: Vec<(u32, u64)> = open.map(|letter| (letter.room, letter.n)).collect();
        at(&mut self.clients, client).answers.clear();
        for (room, n) in open {
            self.write(client, What::Send { room, n });
            let duplicate = self.append(client, room, n);
            let answers = &mut at(&mut self.clients, client).answers;
            answers.push((room, n, duplicate));
        }
    }

    fn kill(&mut self) {
        self.inject("kill gateway", false);
        for client in 0..CLIENTS {
            if at(&mut self.clients, client).connected {
                self.disconnect(client);
            }
        }
    }

    fn lose(&mut self, most: usize) {
        self.inject("cut log", true);
        self.epoch += 1;
        for room in &mut self.rooms {
            let keep = room
                .log
                .len()
                .saturating_sub(most)
                .max(room.archived)
                .max(1);
            room.log.truncate(keep);
        }
        let kept: Vec<usize> = self.rooms.iter().map(|room| room.log.len()).collect();
        for client in 0..CLIENTS {
            if !at(&mut self.clients, client).connected {
                continue;
            }
            for (room, seq) in (0..).zip(kept.iter().copied()) {
                let epoch = self.epoch;
                let stands = &mut at(&mut self.clients, client).stands[room as usize];
                *stands = (stands.0.min(seq), epoch);
                let seq = stands.0 as u64;
                self.write(client, What::Rewound { room, seq, epoch });
            }
            self.send_again(client);
        }
    }

    fn inject(&mut self, fault: &str, takes_back: bool) {
        self.now += MICROSECONDS;
        let (at, until) = (self.now, self.now + MICROSECONDS / 2);
        self.history.injections.push(Injection {
            at,
            until,
            fault: fault.to_owned(),
            target: "somebody".to_owned(),
            takes_back,
            recovered: Some(MICROSECONDS / 2),
        });
    }

    fn end(mut self) -> History {
        for client in 0..CLIENTS {
            if !at(&mut self.clients, client).connected {
                self.connect(client);
            }
        }
        for client in 0..CLIENTS {
            while !at(&mut self.clients, client).answers.is_empty() {
                self.answer(client);
            }
            for room in 0..ROOMS {
                self.deliver(client, room, usize::MAX);
            }
        }
        for gateway in 0..2 {
            for (room, now) in (0..).zip(&self.rooms) {
                let event = |(place, event): (usize, &(u64, u32, u64))| {
                    let (epoch, sender, n) = *event;
                    (place as u64 + 1, epoch, sender, n)
                };
                let events = now.log.iter().enumerate().map(event).collect();
                self.history.finals.push(Final {
                    gateway,
                    room,
                    events,
                });
            }
        }
        self.history
    }
}
