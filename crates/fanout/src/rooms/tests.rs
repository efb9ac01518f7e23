use super::*;
use crate::recipients::tests::user;
use proptest::prelude::*;

fn room(number: usize) -> RoomId {
    RoomId::new(format!("room:{number}")).unwrap()
}

fn rooms(budget: usize) -> Rooms {
    let config = Config {
        large_room: 3,
        ..Config::default()
    };
    Rooms::new(&config, budget)
}

/// What happens to rooms, in seconds.
#[derive(Debug, Clone)]
enum Step {
    Spoken(usize),
    Pass(u64),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6usize).prop_map(Step::Spoken),
        (0..20u64).prop_map(Step::Pass),
        Just(Step::Tick),
    ]
}

/// Lists of rooms as a worker leaves them that takes these steps, and is closed at the end.
struct Lists {
    rooms: Rooms,
    now: Instant,
    time: u64,
    /// When each room moved, and to what time.
    moved: BTreeMap<RoomId, Vec<(Instant, u64)>>,
    /// When something was said last in each.
    said: BTreeMap<RoomId, u64>,
}

impl Lists {
    fn new(budget: usize) -> Self {
        Self {
            rooms: rooms(budget),
            now: Instant::now(),
            time: 1,
            moved: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Pass(seconds) => self.now += Duration::from_secs(*seconds),
            Step::Tick => {
                let due = self.rooms.due(Some(self.now));
                self.make(due);
            }
            Step::Spoken(number) => {
                let name = room(*number);
                self.time += 1;
                if !self.rooms.knows(&name) {
                    self.rooms.learn(&name, (0..=*number).map(user));
                }
                self.said.insert(name.clone(), self.time);
                let due = self.rooms.spoken(&name, self.time, self.now);
                self.make(due.into_iter().collect());
            }
        }
    }

    fn make(&mut self, moves: Vec<Move>) {
        for made in moves {
            self.rooms.moved(&made, self.now);
            let moved = self.moved.entry(made.room).or_default();
            moved.push((self.now, made.time));
        }
    }
}

proptest! {
    #[test]
    fn lists_end_up_in_the_order_in_which_was_spoken(
        steps in proptest::collection::vec(step(), 0..80), budget in 1..30usize
    ) {
        let mut lists = Lists::new(budget);
        steps.iter().for_each(|step| lists.take(step));
        let rest = lists.rooms.due(None);
        lists.make(rest);
        for (room, said) in &lists.said {
            let last = lists.moved[room].iter().map(|(_, time)| *time).max();
            prop_assert_eq!(last, Some(*said), "{}", room);
        }
        prop_assert!(lists.rooms.due.is_empty() && lists.rooms.forgotten.is_empty());
    }

    #[test]
    fn rooms_that_are_remembered_keep_their_pace(
        steps in proptest::collection::vec(step(), 0..80)
    ) {
        let mut lists = Lists::new(1_000);
        steps.iter().for_each(|step| lists.take(step));
        for (name, moved) in &lists.moved {
            let large = ["room:3", "room:4", "room:5"].contains(&name.as_str());
            let interval = Duration::from_secs(if large { 60 } else { 5 });
            for pair in moved.windows(2) {
                prop_assert!(pair[1].0 - pair[0].0 >= interval, "{}: {:?}", name, pair);
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded(
        steps in proptest::collection::vec(step(), 0..80), budget in 1..30usize
    ) {
        let mut lists = Lists::new(budget);
        for step in &steps {
            lists.take(step);
            let rooms = lists.rooms.rooms.iter();
            let weights: usize = rooms.map(|(_, room)| room.weight()).sum();
            prop_assert_eq!(weights, lists.rooms.weight());
            prop_assert!(weights <= budget || lists.rooms.rooms.len() == 1);
            let waiting = lists.rooms.rooms.iter().filter(|(_, room)| room.waits.is_some());
            prop_assert_eq!(waiting.count(), lists.rooms.due.len());
        }
    }
}

#[test]
fn members_follow_what_happens() {
    let (mut rooms, name) = (rooms(100), room(0));
    rooms.learn(&name, [user(1), user(2)]);
    let became = Became::Member { seq: 5, time: 5 };
    let changes = BTreeMap::from([(user(1), Became::Gone), (user(3), became)]);
    rooms.change(&name, &changes);
    rooms.change(&room(9), &changes);
    let made = rooms.spoken(&name, 7, Instant::now()).unwrap();
    assert_eq!((made.members, made.time), (vec![user(2), user(3)], 7));
    assert!(!rooms.knows(&room(9)));
}
