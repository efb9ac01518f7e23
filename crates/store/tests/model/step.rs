//! What can happen, and how often.

use proptest::prelude::*;

/// Rooms: a channel, a group, and a channel that keeps a short ring.
pub const ROOMS: usize = 3;
/// The room that has members.
pub const GROUP: usize = 1;
/// People; the last one is in no room at the beginning.
pub const USERS: usize = 3;

/// A message of a batch.
#[derive(Debug, Clone)]
pub struct Say {
    pub room: usize,
    pub user: usize,
    /// One of few, so that many are repeated.
    pub id: u8,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// A gateway hands in a batch, and does what the answer asks for if it is not `hasty`.
    Append { batch: Vec<Say>, hasty: bool },
    /// Somebody comes into the group, or goes.
    Change { user: usize, joins: bool },
    /// The group is made if it is not there.
    Create,
    /// A reader takes up to so many events from where they are.
    Read {
        reader: usize,
        room: usize,
        most: usize,
    },
    /// A position that nobody was ever given.
    Forge { room: usize, epoch: u8, seq: u8 },
    /// One step of a gateway's repair of epoch and room, maybe long after the one before.
    Repair {
        gateway: usize,
        room: usize,
        part: Repair,
    },
    /// One step of an archiver.
    Archive { archiver: usize, part: Archive },
    /// Fan-out has done everything so far.
    FanOut,
    /// The archiver's lease runs out.
    Expire,
    /// Redis is killed and loses the last steps of this many; 0: none.
    Crash { back: usize },
    /// Redis is emptied.
    Flush,
}

/// The parts of a gateway's repair.
#[derive(Debug, Clone, Copy)]
pub enum Repair {
    /// Asks Redis what it lacks.
    Ask,
    /// Has the archive allocate an epoch.
    Allocate,
    /// Installs it.
    Install,
    /// Looks what the archive has of the room.
    Look,
    /// Reconciles it.
    Reconcile,
}

/// The parts of an archiver's turn.
#[derive(Debug, Clone, Copy)]
pub enum Archive {
    /// Takes the lease, and opens the partition.
    Take,
    /// Reads what is new.
    Read,
    /// Commits it.
    Commit,
    /// Tells the rooms, moves the mark and trims.
    Mark,
    /// All of it.
    Turn,
}

fn say() -> impl Strategy<Value = Say> {
    (0..ROOMS, 0..USERS, 0..12u8).prop_map(|(room, user, id)| Say { room, user, id })
}

fn repair() -> impl Strategy<Value = Repair> {
    prop_oneof![
        Just(Repair::Ask),
        Just(Repair::Allocate),
        Just(Repair::Install),
        Just(Repair::Look),
        Just(Repair::Reconcile),
    ]
}

fn archive() -> impl Strategy<Value = Archive> {
    prop_oneof![
        1 => Just(Archive::Take),
        2 => Just(Archive::Read),
        2 => Just(Archive::Commit),
        2 => Just(Archive::Mark),
        3 => Just(Archive::Turn),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let batch = proptest::collection::vec(say(), 1..8);
    prop_oneof![
        12 => (batch, prop::bool::weighted(0.2))
            .prop_map(|(batch, hasty)| Step::Append { batch, hasty }),
        2 => (0..USERS, any::<bool>()).prop_map(|(user, joins)| Step::Change { user, joins }),
        2 => Just(Step::Create),
        8 => (0..3usize, 0..ROOMS, prop_oneof![Just(2usize), Just(1000)])
            .prop_map(|(reader, room, most)| Step::Read { reader, room, most }),
        1 => (0..ROOMS, 0..5u8, 0..4u8)
            .prop_map(|(room, epoch, seq)| Step::Forge { room, epoch, seq }),
        5 => (0..2usize, 0..ROOMS, repair())
            .prop_map(|(gateway, room, part)| Step::Repair { gateway, room, part }),
        8 => (0..2usize, archive())
            .prop_map(|(archiver, part)| Step::Archive { archiver, part }),
        2 => Just(Step::FanOut),
        1 => Just(Step::Expire),
        3 => prop_oneof![Just(0), 1..4usize, 1..20usize].prop_map(|back| Step::Crash { back }),
        1 => Just(Step::Flush),
    ]
}

/// A history.
pub fn history() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 10..70)
}
