//! What gateways do when Redis asks for it, step by step, so that any step may come too late.

use chinwag_archive::PAGE_MOST;
use chinwag_protocol::event::Kind;
use chinwag_protocol::position::Position;
use chinwag_store::Error;
use chinwag_store::append::Remembered;
use chinwag_store::epoch::InstalledEpoch;

use crate::expected::Expected;
use crate::step::{GROUP, ROOMS, Repair};
use crate::system::{PARTITION, System, room};

/// What a gateway believes at the moment.
#[derive(Default)]
pub struct Gateway {
    /// The run that needs an epoch, and what was installed when that was heard.
    needed: Option<(String, InstalledEpoch)>,
    /// What the archive allocated, and for which run.
    allocated: Option<(u64, String)>,
    /// The epoch in which a room is to be reconciled.
    rooms: [Option<u64>; ROOMS],
    /// What the archive had of it: epoch, its last sequence and count, and its ids.
    looked: [Option<Looked>; ROOMS],
}

#[derive(Clone)]
struct Looked {
    epoch: u64,
    archived: (u64, u64),
    ids: Vec<Remembered>,
}

impl Gateway {
    pub async fn step(
        &mut self,
        system: &System,
        expected: &mut Expected,
        at: usize,
        part: Repair,
    ) {
        match part {
            Repair::Ask => self.ask(system, at).await,
            Repair::Allocate => self.allocate(system, expected).await,
            Repair::Install => self.install(system, expected).await,
            Repair::Look => self.look(system, at).await,
            Repair::Reconcile => self.reconcile(system, expected, at).await,
        }
    }

    /// All of it, for one room.
    pub async fn settle(&mut self, system: &System, expected: &mut Expected, at: usize) {
        let all = [
            Repair::Ask,
            Repair::Allocate,
            Repair::Install,
            Repair::Ask,
            Repair::Look,
            Repair::Reconcile,
        ];
        for part in all {
            self.step(system, expected, at, part).await;
        }
    }

    async fn ask(&mut self, system: &System, at: usize) {
        let store = &system.store;
        match store.resume(&room(at), Position::default(), 0).await {
            Err(Error::NeedEpoch { run_id }) => {
                let installed = store.installed_epoch(PARTITION).await.unwrap();
                self.needed = Some((run_id, installed));
            }
            Err(Error::NeedReconcile { epoch, .. }) => self.rooms[at] = Some(epoch),
            Ok(chinwag_store::history::Resumed::Missing { epoch }) if at != GROUP => {
                self.rooms[at] = Some(epoch);
            }
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn allocate(&mut self, system: &System, expected: &mut Expected) {
        let Some((run, installed)) = self.needed.take() else {
            return;
        };
        if installed.run_id == run {
            return;
        }
        let allocate = system
            .archive
            .allocate_epoch(PARTITION.0, &run, installed.epoch);
        let epoch = allocate.await.unwrap();
        expected.epoch = expected.epoch.max(epoch);
        self.allocated = Some((epoch, run));
    }

    async fn install(&mut self, system: &System, expected: &mut Expected) {
        let Some((epoch, run)) = self.allocated.take() else {
            return;
        };
        match system.store.install_epoch(PARTITION, epoch, &run).await {
            Ok(()) => expected.installed(epoch),
            Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn look(&mut self, system: &System, at: usize) {
        let Some(epoch) = self.rooms[at].take() else {
            return;
        };
        let (archived, ids) = archived(system, at).await;
        self.looked[at] = Some(Looked {
            epoch,
            archived,
            ids,
        });
    }

    async fn reconcile(&mut self, system: &System, expected: &mut Expected, at: usize) {
        let Some(looked) = self.looked[at].take() else {
            return;
        };
        let (store, room) = (&system.store, room(at));
        store.remember(&room, &looked.ids).await.unwrap();
        let kind = if at == GROUP {
            Kind::Group
        } else {
            Kind::Channel
        };
        let reconcile = store.reconcile(&room, looked.epoch, looked.archived, kind);
        match reconcile.await {
            Ok(()) => {
                let current = expected.current();
                expected.reconciled(at, current.expect("reconciled without an epoch"));
            }
            Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The last sequence and count of messages that the archive has of a room, and their names.
pub async fn archived(system: &System, at: usize) -> ((u64, u64), Vec<Remembered>) {
    let (archive, room) = (&system.archive, room(at));
    let high = archive.high(&room).await.unwrap();
    let ids = archive.recent_ids(&room, 0, PAGE_MOST).await.unwrap();
    let ids = ids.into_iter().map(|id| Remembered {
        sender: id.sender,
        id: id.id,
        position: id.position,
        time: id.time,
    });
    (
        high.map_or((0, 0), |high| (high.seq, high.messages)),
        ids.collect(),
    )
}
