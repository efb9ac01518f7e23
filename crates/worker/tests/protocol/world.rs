//! One room of one partition: its Redis, the one that may take its place, the archive, and those
//! who work with them. Numbers are small, and steps are what is atomic in the product.

use crate::explore::Model;

/// How much there is of everything, and how much may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    messages: u8,
    gateways: usize,
    archivers: usize,
    /// How often a primary is replaced by what its replica, or its disk, has.
    fails: u8,
    /// Whether the one that was replaced goes on serving those who have not noticed.
    keeps_old: bool,
    /// How often Redis is emptied.
    empties: u8,
    /// How often an archiver's lease runs out.
    expiries: u8,
    /// Whether somebody reads.
    reads: bool,
    /// Whether a gateway's repairs may be interrupted, and what an archiver does after a commit:
    /// looking at both everywhere would take hours.
    slow_gateways: bool,
    slow_archivers: bool,
}

impl Limits {
    const NONE: Self = Self {
        messages: 2,
        gateways: 1,
        archivers: 1,
        fails: 0,
        keeps_old: false,
        empties: 0,
        expiries: 0,
        reads: false,
        slow_gateways: false,
        slow_archivers: false,
    };
    /// Redis is killed twice, and may lose more the second time than it had won since the first.
    pub const TAIL: Self = Self {
        fails: 2,
        reads: true,
        ..Self::NONE
    };
    /// A primary is replaced and does not know.
    pub const SPLIT: Self = Self {
        gateways: 2,
        archivers: 2,
        fails: 1,
        keeps_old: true,
        ..Self::NONE
    };
    /// Archivers are overtaken, and Redis loses what it knew of their leases.
    pub const ZOMBIE: Self = Self {
        archivers: 2,
        fails: 1,
        expiries: 1,
        slow_archivers: true,
        ..Self::NONE
    };
    /// Redis is emptied without being restarted.
    pub const EMPTIED: Self = Self {
        gateways: 2,
        empties: 1,
        reads: true,
        slow_gateways: true,
        ..Self::NONE
    };
}

/// What is checked; each can be left out, to see what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guards {
    /// The archive refuses a token below the highest.
    pub token: bool,
    /// The archive refuses an epoch below the highest.
    pub epoch: bool,
    /// Redis refuses to write under the epoch of another run.
    pub run: bool,
    /// A Redis that was emptied is another one to the archive.
    pub claim: bool,
    /// Reconciling takes the archive's epochs into account.
    pub starts: bool,
    /// An archiver installs an epoch that the archive has for this very run, and no other.
    pub raises: bool,
    /// Before an archiver tells of what was archived before its time, it looks whether it was.
    pub looks: bool,
}

impl Guards {
    pub const ALL: Self = Self {
        token: true,
        epoch: true,
        run: true,
        claim: true,
        starts: true,
        raises: true,
        looks: true,
    };
}

/// A place in the log, and one in the room: epoch, then number.
type Place = (u8, u8);

/// An event: its log id, its sequence, and the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Event {
    id: Place,
    seq: u8,
    message: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Room {
    epoch: u8,
    /// The messages in order.
    line: Vec<u8>,
    /// Where epochs began.
    starts: Vec<Place>,
    /// Up to where it is archived.
    archived: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Redis {
    run: u8,
    /// The claim under which an epoch is asked for; a new one after everything is gone.
    claim: u8,
    installed: Option<(u8, u8)>,
    room: Option<Room>,
    log: Vec<Event>,
    holder: Option<(u8, u8)>,
    token: u8,
    mark: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Archive {
    epoch: u8,
    name: (u8, u8),
    token: u8,
    checkpoint: Place,
    /// Epoch and message, by sequence.
    rows: Vec<(u8, u8)>,
}

/// What a gateway is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Repair {
    Nothing,
    Asked((u8, u8)),
    Allocated((u8, u8), u8),
    /// In which epoch, and what the archive had.
    Looked(u8, Vec<(u8, u8)>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Gateway {
    at_old: bool,
    repair: Repair,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Archiver {
    at_old: bool,
    token: Option<u8>,
    done: Place,
    /// The epoch of the batch, and its entries.
    read: Option<(u8, Vec<Event>)>,
    committed: Vec<Event>,
    /// Entries up to here were archived by somebody else.
    before: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Reader {
    epoch: u8,
    had: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    limits: Limits,
    guards: Guards,
    /// The highest run there was.
    runs: u8,
    redis: Redis,
    replica: Redis,
    old: Option<Redis>,
    archive: Archive,
    gateways: Vec<Gateway>,
    archivers: Vec<Archiver>,
    reader: Reader,
    /// Per message, what the sender was answered and waits for the archive to have.
    accepted: Vec<Option<Place>>,
    /// Per message, the sequence under which it was acknowledged as archived.
    archived: Vec<Option<u8>>,
}

#[derive(Debug, Clone, Copy)]
pub enum Step {
    Send(usize, u8),
    Ask(usize),
    Allocate(usize),
    Install(usize),
    Look(usize),
    Reconcile(usize),
    Take(usize),
    Read(usize),
    Commit(usize),
    Mark(usize),
    Resume,
    Expire,
    Sync,
    Fail,
    MoveGateway(usize),
    MoveArchiver(usize),
    Empty,
}

type After = Option<Result<(), String>>;

impl Redis {
    fn fence(&self, guards: Guards) -> Option<u8> {
        let (run, epoch) = self.installed?;
        (run == self.run || !guards.run).then_some(epoch)
    }

    fn empty(run: u8, claim: u8) -> Self {
        Self {
            run,
            claim,
            installed: None,
            room: None,
            log: Vec::new(),
            holder: None,
            token: 0,
            mark: (0, 0),
        }
    }

    fn name(&self, guards: Guards) -> (u8, u8) {
        (self.run, if guards.claim { self.claim } else { 0 })
    }

    fn install(&mut self, epoch: u8) -> bool {
        if self.installed.is_some_and(|(_, known)| known > epoch) {
            return false;
        }
        self.installed = Some((self.run, epoch));
        true
    }

    fn reconcile(&mut self, epoch: u8, rows: &[(u8, u8)], guards: Guards) {
        let room = self.room.get_or_insert(Room {
            epoch: 0,
            line: Vec::new(),
            starts: Vec::new(),
            archived: 0,
        });
        if room.epoch == epoch {
            return;
        }
        let mut holds = room.line.len();
        let known = room.epoch;
        let mut last = 0;
        for (seq, (its_epoch, _)) in rows.iter().enumerate() {
            if *its_epoch > known.max(last) && guards.starts {
                room.starts.push((*its_epoch, u8::try_from(seq).unwrap()));
                holds = holds.min(seq);
            }
            last = last.max(*its_epoch);
        }
        if holds < room.line.len() || rows.len() > room.line.len() {
            room.line = rows.iter().map(|(_, message)| *message).collect();
        }
        let seq = u8::try_from(room.line.len()).unwrap();
        if !guards.starts {
            room.starts.retain(|(_, start)| *start <= seq);
        }
        room.starts.push((epoch, seq));
        room.epoch = epoch;
        room.archived = u8::try_from(rows.len()).unwrap();
    }
}

impl Archive {
    fn allocate(&mut self, name: (u8, u8), above: u8) -> u8 {
        if self.name != name || self.epoch <= above {
            self.epoch = self.epoch.max(above) + 1;
            self.name = name;
        }
        self.epoch
    }
}

impl World {
    pub fn new(limits: Limits, guards: Guards) -> Self {
        let redis = Redis::empty(1, 1);
        let gateway = Gateway {
            at_old: false,
            repair: Repair::Nothing,
        };
        let archiver = Archiver {
            at_old: false,
            token: None,
            done: (0, 0),
            read: None,
            committed: Vec::new(),
            before: (0, 0),
        };
        Self {
            limits,
            guards,
            runs: 1,
            replica: redis.clone(),
            redis,
            old: None,
            archive: Archive {
                epoch: 0,
                name: (0, 0),
                token: 0,
                checkpoint: (0, 0),
                rows: Vec::new(),
            },
            gateways: vec![gateway; limits.gateways],
            archivers: vec![archiver; limits.archivers],
            reader: Reader {
                epoch: 0,
                had: Vec::new(),
            },
            accepted: vec![None; limits.messages.into()],
            archived: vec![None; limits.messages.into()],
        }
    }

    fn server(&mut self, at_old: bool) -> &mut Redis {
        match &mut self.old {
            Some(old) if at_old => old,
            _ => &mut self.redis,
        }
    }

    fn send(&mut self, gateway: usize, message: u8) -> After {
        let (guards, at_old) = (self.guards, self.gateways[gateway].at_old);
        // Messages are all alike: the second is sent after the first.
        let before = usize::from(message).checked_sub(1);
        before
            .is_none_or(|at| self.accepted[at].is_some() || self.archived[at].is_some())
            .then_some(())?;
        let redis = self.server(at_old);
        let epoch = redis.fence(guards)?;
        let room = redis.room.as_mut().filter(|room| room.epoch == epoch)?;
        if let Some(at) = room.line.iter().position(|known| *known == message) {
            // The answer to a repeated id says whether it is archived.
            let seq = u8::try_from(at).unwrap() + 1;
            let is_archived = seq <= room.archived;
            let is_known = self.archived[usize::from(message)].is_some();
            return (is_archived && !is_known).then(|| self.tell(message, seq));
        }
        room.line.push(message);
        let seq = u8::try_from(room.line.len()).unwrap();
        let last = redis.log.last().filter(|event| event.id.0 == epoch);
        let id = (epoch, last.map_or(1, |event| event.id.1 + 1));
        redis.log.push(Event { id, seq, message });
        self.accepted[usize::from(message)] = Some((epoch, seq));
        Some(Ok(()))
    }

    fn repair(&mut self, gateway: usize, step: Step) -> After {
        let (guards, at_old) = (self.guards, self.gateways[gateway].at_old);
        let rows = self.archive.rows.clone();
        let repair = self.gateways[gateway].repair.clone();
        let redis_now = self.server(at_old).clone();
        let next = match (step, repair) {
            (Step::Ask(_), Repair::Nothing) if redis_now.fence(guards).is_none() => {
                Repair::Asked(redis_now.name(guards))
            }
            (Step::Allocate(_), Repair::Asked(name)) => {
                let above = redis_now.installed.map_or(0, |(_, epoch)| epoch);
                Repair::Allocated(name, self.archive.allocate(name, above))
            }
            (Step::Install(_), Repair::Allocated(name, epoch)) => {
                let redis = self.server(at_old);
                if redis.name(guards) == name {
                    redis.install(epoch);
                }
                Repair::Nothing
            }
            (Step::Look(_), Repair::Nothing) => {
                let epoch = redis_now.fence(guards)?;
                if redis_now.room.is_some_and(|room| room.epoch == epoch) {
                    return None;
                }
                Repair::Looked(epoch, rows)
            }
            (Step::Reconcile(_), Repair::Looked(epoch, rows)) => {
                let redis = self.server(at_old);
                if redis.fence(guards) == Some(epoch) {
                    redis.reconcile(epoch, &rows, guards);
                }
                Repair::Nothing
            }
            _ => return None,
        };
        self.gateways[gateway].repair = next;
        Some(Ok(()))
    }

    fn take(&mut self, number: usize) -> After {
        let (guards, at_old) = (self.guards, self.archivers[number].at_old);
        let me = u8::try_from(number).unwrap();
        let (seen, epoch, checkpoint) = (
            self.archive.token,
            self.archive.epoch,
            self.archive.checkpoint,
        );
        let redis = self.server(at_old);
        if redis.holder.is_some() {
            return None;
        }
        let token = redis.token.max(seen) + 1;
        redis.token = token;
        redis.holder = Some((me, token));
        let (name, known) = (redis.name(guards), redis.installed);
        // Allocated and never installed.
        let known = known.map_or(0, |(_, epoch)| epoch);
        let is_ours = self.archive.name.0 == name.0;
        if epoch > known && (is_ours || !guards.raises) {
            let epoch = self.archive.allocate(name, known);
            self.server(at_old).install(epoch);
        }
        let archiver = &mut self.archivers[number];
        archiver.token = Some(token);
        (archiver.done, archiver.before) = (checkpoint, checkpoint);
        (archiver.read, archiver.committed) = (None, Vec::new());
        Some(Ok(()))
    }

    fn read(&mut self, number: usize) -> After {
        let archiver = self.archivers[number].clone();
        archiver.token?;
        if archiver.read.is_some() || !archiver.committed.is_empty() {
            return None;
        }
        let redis = self.server(archiver.at_old);
        let place = archiver.done.min(redis.mark);
        let (_, epoch) = redis.installed?;
        let entries = redis.log.iter().filter(|event| event.id > place);
        let entries: Vec<Event> = entries.copied().collect();
        if entries.is_empty() {
            return None;
        }
        self.archivers[number].read = Some((epoch, entries));
        Some(Ok(()))
    }

    fn commit(&mut self, number: usize) -> After {
        let me = u8::try_from(number).unwrap();
        let archiver = &mut self.archivers[number];
        let (token, done) = (archiver.token?, archiver.done);
        let (epoch, entries) = archiver.read.take()?;
        let new: Vec<Event> = entries
            .iter()
            .filter(|event| event.id > done)
            .copied()
            .collect();
        let archive = &mut self.archive;
        if let Some(last) = new.last() {
            let is_late = token < archive.token;
            if (is_late && self.guards.token) || (epoch < archive.epoch && self.guards.epoch) {
                archiver.token = None;
                let at_old = archiver.at_old;
                let redis = self.server(at_old);
                redis.holder.take_if(|holder| *holder == (me, token));
                return Some(Ok(()));
            }
            if is_late {
                return Some(Err("a zombie's commit".to_owned()));
            }
            for event in &new {
                let row = (event.id.0, event.message);
                match archive.rows.get(usize::from(event.seq) - 1) {
                    Some(known) if *known == row => {}
                    Some(_) => return Some(Err(format!("sequence {} twice", event.seq))),
                    None if archive.rows.len() + 1 < usize::from(event.seq) => {
                        return Some(Err(format!("a hole before {}", event.seq)));
                    }
                    None if archive.rows.iter().any(|row| row.1 == event.message) => {
                        return Some(Err(format!("message {} twice", event.message)));
                    }
                    None => archive.rows.push(row),
                }
            }
            (archive.token, archive.checkpoint) = (token, last.id);
            archive.epoch = archive.epoch.max(epoch);
            archiver.done = last.id;
        }
        archiver.committed = entries;
        Some(Ok(()))
    }

    /// The sender hears that a message is archived.
    fn tell(&mut self, message: u8, seq: u8) -> Result<(), String> {
        let row = self.archive.rows.get(usize::from(seq) - 1);
        if row.is_none_or(|row| row.1 != message) {
            return Err(format!("message {message} is not archived, and told to be"));
        }
        let at = usize::from(message);
        (self.archived[at], self.accepted[at]) = (Some(seq), None);
        Ok(())
    }

    /// Tells of what is archived, and moves the mark.
    fn mark(&mut self, number: usize) -> After {
        let me = u8::try_from(number).unwrap();
        let archiver = &mut self.archivers[number];
        let token = archiver.token?;
        let at_old = archiver.at_old;
        let mut committed = std::mem::take(&mut archiver.committed);
        let (last, before) = (committed.last()?.id, archiver.before);
        let is_holder = self.server(at_old).holder == Some((me, token));
        let (looks, rows) = (self.guards.looks, &self.archive.rows);
        committed.retain(|event| {
            let row = rows.get(usize::from(event.seq) - 1);
            event.id > before || !looks || row.is_some_and(|row| row.0 == event.id.0)
        });
        for at in 0..self.accepted.len() {
            let told = committed.iter().any(|event| {
                self.accepted[at]
                    .is_some_and(|(epoch, seq)| epoch == event.id.0 && seq <= event.seq)
            });
            if let Some((_, seq)) = self.accepted[at].filter(|_| told)
                && let Err(problem) = self.tell(u8::try_from(at).unwrap(), seq)
            {
                return Some(Err(problem));
            }
        }
        let redis = self.server(at_old);
        if let (Some(room), Some(top)) = (&mut redis.room, committed.last()) {
            room.archived = room.archived.max(top.seq);
        }
        if is_holder {
            redis.mark = redis.mark.max(last);
        } else {
            self.archivers[number].token = None;
        }
        Some(Ok(()))
    }

    fn resume(&mut self) -> After {
        let Reader { epoch, had } = self.reader.clone();
        let (guards, rows) = (self.guards, &self.archive.rows);
        let current = self.redis.fence(guards)?;
        let room = self
            .redis
            .room
            .as_ref()
            .filter(|room| room.epoch == current)?;
        let mut holds = Some(room.line.len());
        if epoch != current && epoch != 0 {
            let starts = room.starts.iter();
            let later = starts.clone().filter(|(its, _)| *its > epoch);
            let first = later.map(|(_, start)| usize::from(*start)).min();
            let is_known = starts.clone().any(|(its, _)| *its <= epoch);
            holds = (is_known && epoch < current)
                .then(|| room.line.len().min(first.unwrap_or(usize::MAX)));
        }
        let holds = if had.is_empty() {
            Some(room.line.len())
        } else {
            holds
        };
        if holds.is_some_and(|holds| had.len() <= holds) && !room.line.starts_with(&had) {
            return Some(Err(format!("a reader believes {had:?}, archived {rows:?}")));
        }
        let next = Reader {
            epoch: current,
            had: room.line.clone(),
        };
        if self.reader == next {
            return None;
        }
        self.reader = next;
        Some(Ok(()))
    }

    fn weather(&mut self, step: Step) -> After {
        match step {
            Step::Expire if self.limits.expiries > 0 => {
                self.redis.holder.take()?;
                self.limits.expiries -= 1;
            }
            Step::Sync if self.limits.fails > 0 && self.replica != self.redis => {
                self.replica = self.redis.clone();
            }
            Step::Fail if self.limits.fails > 0 => {
                self.limits.fails -= 1;
                self.runs += 1;
                let mut next = self.replica.clone();
                next.run = self.runs;
                let before = std::mem::replace(&mut self.redis, next);
                if self.limits.keeps_old {
                    self.old = Some(before);
                    self.gateways.iter_mut().for_each(|one| one.at_old = true);
                    self.archivers.iter_mut().for_each(|one| one.at_old = true);
                }
                // The leases of the dead run out, which is not what this is about.
                if self.limits.expiries == 0 {
                    self.redis.holder = None;
                }
            }
            Step::MoveGateway(number) if self.gateways[number].at_old => {
                self.gateways[number].at_old = false;
            }
            Step::MoveArchiver(number) if self.archivers[number].at_old => {
                self.archivers[number].at_old = false;
                self.archivers[number].token = None;
            }
            Step::Empty if self.limits.empties > 0 => {
                self.limits.empties -= 1;
                self.redis = Redis::empty(self.redis.run, self.redis.claim + 1);
            }
            _ => return None,
        }
        Some(Ok(()))
    }
}

impl Model for World {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![
            Step::Resume,
            Step::Expire,
            Step::Sync,
            Step::Fail,
            Step::Empty,
        ];
        if !self.limits.reads {
            steps.remove(0);
        }
        for one in 0..self.gateways.len() {
            steps.extend((0..self.limits.messages).map(|message| Step::Send(one, message)));
            let repair = [Step::Ask(one), Step::Allocate(one), Step::Install(one)];
            steps.extend(repair);
            steps.extend([
                Step::Look(one),
                Step::Reconcile(one),
                Step::MoveGateway(one),
            ]);
        }
        for one in 0..self.archivers.len() {
            steps.extend([Step::Take(one), Step::Read(one), Step::Commit(one)]);
            steps.extend([Step::Mark(one), Step::MoveArchiver(one)]);
        }
        steps
    }

    fn after(&self, step: &Step) -> Option<Result<Self, String>> {
        let mut next = self.clone();
        let limits = self.limits;
        let after = match *step {
            Step::Ask(one) if !limits.slow_gateways => next
                .repair(one, *step)
                .and_then(|_| next.repair(one, Step::Allocate(one)))
                .and_then(|_| next.repair(one, Step::Install(one))),
            Step::Look(one) if !limits.slow_gateways => next
                .repair(one, *step)
                .and_then(|_| next.repair(one, Step::Reconcile(one))),
            Step::Commit(one) if !limits.slow_archivers => match next.commit(one)? {
                Ok(()) if !next.archivers[one].committed.is_empty() => next.mark(one),
                after => Some(after),
            },
            Step::Send(gateway, message) => next.send(gateway, message),
            Step::Ask(gateway)
            | Step::Allocate(gateway)
            | Step::Install(gateway)
            | Step::Look(gateway)
            | Step::Reconcile(gateway) => next.repair(gateway, *step),
            Step::Take(archiver) => next.take(archiver),
            Step::Read(archiver) => next.read(archiver),
            Step::Commit(archiver) => next.commit(archiver),
            Step::Mark(archiver) => next.mark(archiver),
            Step::Resume => next.resume(),
            step => next.weather(step),
        };
        Some(after?.map(|()| next))
    }

    fn is_done(&self) -> bool {
        let mut archived = (0..).zip(&self.archived);
        archived.all(|(message, at)| {
            let row = |seq: &u8| self.archive.rows.get(usize::from(*seq) - 1);
            at.as_ref()
                .and_then(row)
                .is_some_and(|row| row.1 == message)
        })
    }
}
