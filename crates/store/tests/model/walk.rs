//! Histories, step by step, with a look at everything after each step.

use chinwag_protocol::event::{Change, Kind, Role};
use chinwag_protocol::position::Position;
use chinwag_store::append::Appended;
use chinwag_store::history::Resumed;
use chinwag_store::member::Changed;
use chinwag_store::room::NewRoom;
use chinwag_store::{Error, append::Draft};
use proptest::test_runner::{Config, TestRunner};

use crate::archiver::{self, Archiver};
use crate::expected::{Expected, Fate};
use crate::gateway::{self, Gateway};
use crate::reader::{self, Reader};
use crate::step::{GROUP, ROOMS, Say, Step, USERS, history};
use crate::system::{PARTITION, System, draft, label, room, rules, user};

/// What was said, under which label, and what was answered.
type Answered<'s> = ((&'s Say, String), Appended);

struct Walk {
    system: System,
    expected: Expected,
    gateways: [Gateway; 2],
    archivers: [Archiver; 2],
    readers: [Reader; 3],
    /// Counts messages, which makes each of them another.
    said: usize,
}

impl Walk {
    async fn new() -> Self {
        let system = System::new().await;
        let mut expected = Expected::default();
        expected
            .moments
            .push((system.size(), expected.redis.clone()));
        Self {
            system,
            expected,
            gateways: Default::default(),
            archivers: [Archiver::new(0), Archiver::new(1)],
            readers: Default::default(),
            said: 0,
        }
    }

    async fn step(&mut self, step: &Step) {
        let (system, expected) = (&self.system, &mut self.expected);
        match step {
            Step::Append { batch, hasty } => self.append(batch, *hasty).await,
            Step::Change { user, joins } => self.change(*user, *joins).await,
            Step::Create => self.create().await,
            Step::Read { reader, room, most } => {
                let reader = &mut self.readers[*reader];
                reader.read(system, expected, *room, *most).await;
            }
            Step::Forge { room, epoch, seq } => {
                reader::forge(system, expected, *room, *epoch, *seq).await;
            }
            Step::Repair {
                gateway,
                room,
                part,
            } => {
                let gateway = &mut self.gateways[*gateway];
                gateway.step(system, expected, *room, *part).await;
            }
            Step::Archive { archiver, part } => {
                let archiver = &mut self.archivers[*archiver];
                archiver.step(system, expected, *part).await;
            }
            Step::FanOut => archiver::fan_out(system).await,
            Step::Expire => {
                system.expire_lease();
                expected.redis.holder = None;
            }
            Step::Crash { back } => {
                let moment = expected.moments.len().saturating_sub(back + 1);
                let (size, _) = expected.moments[moment];
                expected.crashed(moment);
                self.system.crash(size).await;
            }
            Step::Flush => {
                system.flush();
                expected.redis = Default::default();
                // Which is another run then.
                expected.run += 1;
                let size = system.size();
                self.system.crash(size).await;
            }
        }
        let moment = (self.system.size(), self.expected.redis.clone());
        self.expected.moments.push(moment);
    }

    async fn append(&mut self, batch: &[Say], hasty: bool) {
        let mut batch = batch.to_vec();
        batch.sort_by_key(|say| say.room);
        let labels = self.said..;
        self.said += batch.len();
        let labels: Vec<String> = labels.take(batch.len()).map(|n| n.to_string()).collect();
        let said = batch.iter().zip(&labels);
        let drafts: Vec<Draft> = said.map(|(say, label)| draft(say, label)).collect();
        let answers = self.system.store.append(PARTITION, &drafts).await;
        let answers = match answers {
            Err(Error::NeedEpoch { .. }) => {
                assert_eq!(self.expected.current(), None, "an epoch that is refused");
                Vec::new()
            }
            answers => answers.unwrap(),
        };
        let mut lacking: Vec<usize> = Vec::new();
        if answers.is_empty() {
            lacking.extend(batch.iter().map(|say| say.room));
        } else {
            assert!(
                self.expected.current().is_some(),
                "written under an old epoch"
            );
        }
        let mut said: Vec<_> = batch.iter().zip(labels).zip(answers).collect();
        while !said.is_empty() {
            said = self.answered(said, &mut lacking).await;
        }
        lacking.dedup();
        if !hasty {
            for at in lacking {
                let gateway = &mut self.gateways[0];
                gateway.settle(&self.system, &mut self.expected, at).await;
            }
        }
    }

    /// Compares what was answered, and says again what has to be said again: what the archive
    /// does not have under its name, and what came behind that.
    async fn answered<'s>(
        &mut self,
        said: Vec<Answered<'s>>,
        lacking: &mut Vec<usize>,
    ) -> Vec<Answered<'s>> {
        let (mut again, mut drafts) = (Vec::new(), Vec::new());
        for ((say, label), answer) in said {
            let mut draft = draft(say, &label);
            let (sender, id) = (draft.sender.clone(), draft.id.clone());
            let mut found = None;
            if answer == Appended::Look {
                let find =
                    self.system
                        .archive
                        .find(&draft.room, sender.as_ref(), id.as_ref().unwrap());
                found = find.await.unwrap();
                draft.looked = found.is_none();
            }
            if answer == Appended::Again || draft.looked {
                again.push((say, label));
                drafts.push(draft);
                continue;
            }
            let (name, members) = ((say.user, say.id), rules(say.room).members_only);
            let fate = self.expected.append(say.room, members, name, &label);
            let real = match answer {
                Appended::Written(receipt) => Fate::Written(receipt.position.seq),
                Appended::Repeated(receipt) => Fate::Repeated(receipt.position.seq),
                Appended::Refused | Appended::Missing => Fate::Refused,
                Appended::NeedReconcile { .. } => Fate::NeedReconcile,
                Appended::Look => Fate::Repeated(found.unwrap().seq),
                other => panic!("{other:?}"),
            };
            assert_eq!(real, fate, "{say:?}");
            if fate == Fate::NeedReconcile {
                lacking.push(say.room);
            }
        }
        if again.is_empty() {
            return Vec::new();
        }
        let answers = self.system.store.append(PARTITION, &drafts).await;
        again.into_iter().zip(answers.unwrap()).collect()
    }

    async fn change(&mut self, who: usize, joins: bool) {
        let change = if joins { Change::Invited } else { Change::Left };
        let changed = self
            .system
            .store
            .change_member(&room(GROUP), None, &user(who), change)
            .await;
        let is_there = self.expected.redis.rooms[GROUP].is_some();
        let open = self.expected.open_mut(GROUP);
        match changed {
            Ok(Changed::Done { seq }) => {
                let open = open.expect("a change in a room that is not open");
                let changed = if joins {
                    open.members.insert(who)
                } else {
                    open.members.remove(&who)
                };
                assert!(changed, "it was so already");
                open.events.push(format!("{who} {}", change.name()));
                open.names.push(None);
                assert_eq!(seq, open.events.len() as u64);
            }
            Ok(Changed::Already) => assert_eq!(open.unwrap().members.contains(&who), joins),
            Ok(Changed::NoSuchRoom) => assert!(!is_there),
            Err(Error::NeedReconcile { .. } | Error::NeedEpoch { .. }) => assert!(open.is_none()),
            other => panic!("{other:?}"),
        }
    }

    async fn create(&mut self) {
        let (archived, ids) = gateway::archived(&self.system, GROUP).await;
        self.system
            .store
            .remember(&room(GROUP), &ids)
            .await
            .unwrap();
        let new = NewRoom {
            room: room(GROUP),
            kind: Kind::Group,
            name: String::new(),
            topic: String::new(),
            ack: None,
            creator: user(0),
            members: (0..USERS - 1)
                .map(|number| (user(number), Role::Member))
                .collect(),
        };
        let made = self.system.store.create_room_above(&new, archived).await;
        let is_there = self.expected.redis.rooms[GROUP].is_some();
        match made {
            Ok(true) => {
                assert!(!is_there, "made a second time");
                let epoch = self.expected.current();
                let epoch = epoch.expect("made without an epoch");
                self.expected.created(GROUP, epoch);
            }
            Ok(false) => assert!(is_there, "not made although it is not there"),
            Err(Error::NeedEpoch { .. }) => assert_eq!(self.expected.current(), None),
            Err(error) => panic!("{error}"),
        }
    }

    /// Compares what everybody can see with what must be.
    async fn look(&self) {
        for at in 0..ROOMS {
            let rows = reader::rows(&self.system, at).await;
            assert_eq!(rows, self.expected.archive[at].events, "room {at}, archive");
            let Some(open) = self.expected.open(at) else {
                continue;
            };
            let line = &open.events;
            assert!(
                line.starts_with(&rows),
                "room {at}: what is archived is lost: {rows:?}, but {line:?}"
            );
            let answer = self
                .system
                .store
                .resume(&room(at), Position::default(), 10_000)
                .await;
            let Ok(Resumed::Continues { top, first, events }) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(top.position.seq, line.len() as u64);
            let before = usize::try_from(first).unwrap() - 1;
            assert!(before <= rows.len(), "a hole between archive and ring");
            let ring: Vec<_> = events.iter().map(label).collect();
            assert_eq!(ring, line[before..], "room {at}, ring");
        }
    }
}

fn cases() -> u32 {
    let cases = std::env::var("CHINWAG_MODEL_CASES").ok();
    cases.map_or(16, |cases| cases.parse().unwrap())
}

#[test]
fn whatever_happens_in_whatever_order_the_promises_hold() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let walked = TestRunner::new(config).run(&history(), |steps| {
        runtime.block_on(async {
            let mut walk = Walk::new().await;
            for step in &steps {
                walk.step(step).await;
                walk.look().await;
            }
        });
        Ok(())
    });
    if let Err(problem) = walked {
        panic!("{problem}");
    }
}
