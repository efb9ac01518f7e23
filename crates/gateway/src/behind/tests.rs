use chinwag_protocol::codec::Encoding;
use chinwag_protocol::event::{Content, Event, Kind};
use chinwag_protocol::id::ClientId;
use chinwag_protocol::json::Json;
use proptest::prelude::*;

use super::*;

fn delivery(room: &RoomId, seq: u64) -> Arc<Delivery> {
    let content = Content::Publication {
        data: Json::of(&"x".repeat(60)),
    };
    let event = Event {
        seq,
        epoch: 1,
        time: 0,
        messages: 0,
        sender: None,
        client: None,
        id: None,
        content,
    };
    let heard = std::time::Instant::now();
    Arc::new(Delivery::event(room.clone(), Kind::Channel, &event, heard))
}

/// A connection, the rooms that it listens to with their logs, and what its peer has read.
struct World {
    hub: Hub,
    connection: Rc<Connection>,
    rooms: Vec<(RoomId, Vec<Arc<Delivery>>)>,
    /// A read that is under way: whose turn, from where, and what it will bring.
    reading: Option<(Turn, Position, Position, Vec<Arc<Delivery>>)>,
    read: Vec<Vec<u64>>,
}

impl World {
    fn new(rooms: usize, outbox: usize) -> Self {
        let hub = Hub::default();
        let client = ClientId::new("c").unwrap();
        let connection = Connection::new(1, client, Encoding::Json, outbox);
        let rooms: Vec<_> = (0..rooms)
            .map(|number| (RoomId::new(format!("room-{number}")).unwrap(), Vec::new()))
            .collect();
        for (room, _) in &rooms {
            drop(hub.enter(room, &connection, false));
            hub.opened(room, Some(Position::new(1, 0)));
            hub.start(room, 1, None).unwrap();
        }
        Self {
            hub,
            connection,
            read: vec![Vec::new(); rooms.len()],
            rooms,
            reading: None,
        }
    }

    /// Something is said in a room. If it is `lost` on this thread, the log has it all the same.
    fn say(&mut self, room: usize, lost: bool) {
        let (id, log) = &mut self.rooms[room];
        let delivery = delivery(id, log.len() as u64 + 1);
        log.push(Arc::clone(&delivery));
        if !lost {
            self.hub.deliver(&delivery);
        }
    }

    /// The peer takes a frame.
    fn drain(&mut self) {
        let Some(frame) = self.connection.outbox.frame(true) else {
            return;
        };
        for line in frame.split(|byte| *byte == b'\n') {
            let push: serde_json::Value = serde_json::from_slice(line).unwrap();
            let room = push["push"]["channel"].as_str().unwrap();
            let room: usize = room.trim_start_matches("room-").parse().unwrap();
            self.read[room].push(push["push"]["pub"]["offset"].as_u64().unwrap());
        }
    }

    /// A read begins, as the socket's task would have it.
    fn begin(&mut self) {
        let (connection, hub) = (&self.connection, &self.hub);
        if self.reading.is_some() || !connection.behind.waits() || !connection.outbox.is_low() {
            return;
        }
        let turn = connection.behind.begin().unwrap();
        let from = hub.read_on(&turn.room, 1).expect("who is behind reads on");
        let (_, log) = self
            .rooms
            .iter()
            .find(|(room, _)| *room == turn.room)
            .unwrap();
        let after = log.iter().skip(usize::try_from(from.seq).unwrap());
        let events = after.take(connection.behind.piece()).cloned().collect();
        let top = Position::new(1, log.len() as u64);
        self.reading = Some((turn, from, top, events));
    }

    /// It has its answer.
    fn end(&mut self) {
        let Some((turn, from, top, events)) = self.reading.take() else {
            return;
        };
        let (connection, hub) = (&self.connection, &self.hub);
        let (read, _) = take(hub, connection, &turn.room, from, top, &events);
        assert_ne!(read, Read::Over);
        connection.behind.end((read != Read::Level).then_some(turn));
        connection.outbox.set_behind(connection.behind.is_any());
    }
}

proptest! {
    #[test]
    fn whatever_is_said_and_taken_when_each_event_is_read_once_and_in_order(
        steps in proptest::collection::vec((0u8..10, 0usize..3), 0..400),
        outbox in 1_000usize..6_000,
    ) {
        let mut world = World::new(3, outbox);
        for (step, room) in steps {
            match step {
                0..5 => world.say(room, false),
                5 => world.say(room, true),
                6 | 7 => world.drain(),
                8 => world.begin(),
                _ => world.end(),
            }
            prop_assert!(world.connection.outbox.bytes() <= outbox);
        }
        // The last of each room reaches this thread, and the peer takes what there is.
        (0..3).for_each(|room| world.say(room, false));
        for _ in 0..4_000 {
            world.drain();
            world.begin();
            world.end();
        }
        prop_assert!(!world.connection.behind.is_any());
        for (read, (_, log)) in world.read.iter().zip(&world.rooms) {
            let all: Vec<u64> = (1..=log.len() as u64).collect();
            prop_assert_eq!(read, &all);
        }
    }
}

#[test]
fn rooms_take_turns_while_another_goes_on() {
    let mut world = World::new(3, 4_000);
    for _ in 0..200 {
        world.say(0, false);
        world.say(1, false);
    }
    // The third room says as much as the peer takes: the others have their turns all the same.
    for _ in 0..2_000 {
        world.say(2, false);
        world.drain();
        world.begin();
        world.end();
    }
    assert_eq!((world.read[0].len(), world.read[1].len()), (200, 200));
}

#[test]
fn a_room_that_was_left_while_it_was_read_gives_nothing_more() {
    let mut world = World::new(1, 1_000);
    (0..50).for_each(|_| world.say(0, false));
    while world.connection.outbox.bytes() > 0 {
        world.drain();
    }
    world.begin();
    let (turn, from, top, events) = world.reading.take().unwrap();
    let (room, connection) = (&turn.room, &world.connection);
    world.hub.leave(room, 1);
    drop(world.hub.enter(room, connection, false));
    let (read, _) = take(&world.hub, connection, room, from, top, &events);
    assert_eq!((read, connection.outbox.bytes()), (Read::Over, 0));
}
