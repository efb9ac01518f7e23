//! Waiting for entries of logs, on connections of its own: a blocking read would stop all other
//! commands on a shared one.
//!
//! One read waits at each server for all of its partitions; in a cluster, one for each partition,
//! because a command there cannot span slots. Reads go on from one call to the next, so that what a busy
//! server answers never throws away what a silent one was asked.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use redis::{ProtocolVersion, Value};

use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::log::{self, Batch, LogId};
use crate::node::{Failure, Node};
use crate::partition::Partition;
use crate::placement::{Map, Placement};
use crate::route::Aim;
use crate::store::Store;
use crate::topology::{Address, Shape};
use crate::value;

/// How long a server that failed is left alone while others are read.
const REST: Duration = Duration::from_millis(500);

/// Reads logs for one worker.
pub struct Reader {
    placement: Arc<Placement>,
    config: redis::AsyncConnectionConfig,
    keys: Arc<Keys>,
    count: usize,
    wait: Duration,
    lanes: BTreeMap<Way, Lane>,
}

/// What is read by one command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    address: Address,
    /// The one partition, if there may be only one.
    only: Option<Partition>,
}

/// A connection with at most one read under way.
struct Lane {
    node: Node,
    /// Epochs as read on the connection of this generation.
    epochs: BTreeMap<Partition, u64>,
    generation: u64,
    asked: Option<Asked>,
    rests_until: Option<Instant>,
}

type Places = Vec<(Partition, LogId)>;
type Answer = Result<(Vec<Value>, u64), Failure>;

/// A read under way.
struct Asked {
    places: Places,
    /// Partitions whose epochs are asked for in the same round trip, before their entries.
    unknown: Vec<Partition>,
    answer: BoxFuture<'static, Answer>,
}

/// What a look at finished reads has brought.
#[derive(Default)]
struct Read {
    batches: Vec<Batch>,
    /// Something was there that could not be used: the caller should pause and ask again.
    dropped: bool,
    failed: Option<Error>,
}

impl Store {
    /// A reader that gives at most `count` entries a partition at a time and waits at most `wait`.
    ///
    /// # Errors
    /// None now; that is for callers to know when there are.
    pub fn reader(&self, count: usize, wait: Duration) -> Result<Reader> {
        let slack = self.config.response_timeout;
        let config = self.config.connection();
        Ok(Reader {
            placement: Arc::clone(self.link.placement()),
            config: config.set_response_timeout(Some(wait + slack)),
            keys: Arc::clone(&self.keys),
            count,
            wait,
            lanes: BTreeMap::new(),
        })
    }
}

impl Reader {
    /// The next entries of logs, each after its place. May be empty even before the wait is over.
    /// A server that fails while others answer is tried again later.
    ///
    /// # Errors
    /// As every read, if no server answers.
    pub async fn read(&mut self, places: &[(Partition, LogId)]) -> Result<Vec<Batch>> {
        let begun = Instant::now();
        loop {
            let map = self.placement.known().await?;
            self.begin(places, &map)?;
            if self.lanes.values().all(|lane| lane.asked.is_none()) {
                return Ok(Vec::new());
            }
            let read = self.finished(places, &map).await;
            if !read.batches.is_empty() || read.dropped || begun.elapsed() >= self.wait {
                return read
                    .failed
                    .map_or(Ok(read.batches), |error| self.unless_others_go_on(error));
            }
            if let Some(error) = read.failed {
                self.unless_others_go_on(error)?;
            }
        }
    }

    /// Asks for a partition's epoch anew at the next read.
    pub fn forget(&mut self, partition: Partition) {
        for lane in self.lanes.values_mut() {
            lane.epochs.remove(&partition);
        }
    }

    /// Begins a read on each way that has none, and gives up ways that nothing takes any more.
    fn begin(&mut self, places: &[(Partition, LogId)], map: &Map) -> Result<()> {
        let mut ways: BTreeMap<Way, Places> = BTreeMap::new();
        let mut lost = None;
        for (partition, id) in places {
            match self.way(*partition, map) {
                Ok(way) => ways.entry(way).or_default().push((*partition, *id)),
                Err(error) => lost = Some(error),
            }
        }
        if let Some(error) = lost.filter(|_| ways.is_empty()) {
            return Err(error);
        }
        self.lanes.retain(|way, _| ways.contains_key(way));
        let now = Instant::now();
        let rests = |lane: &Lane| lane.rests_until.is_some_and(|until| until > now);
        let all_rest = self.lanes.len() == ways.len() && self.lanes.values().all(rests);
        for (way, places) in ways {
            if !self.lanes.contains_key(&way) {
                let lane = self.lane(&way.address)?;
                self.lanes.insert(way.clone(), lane);
            }
            if let Some(lane) = self.lanes.get_mut(&way)
                && lane.asked.is_none()
                && (all_rest || !rests(lane))
            {
                lane.ask(places, &self.keys, self.count, self.wait);
            }
        }
        Ok(())
    }

    fn way(&self, partition: Partition, map: &Map) -> Result<Way> {
        let aim = Aim::at(self.keys.log(partition).as_bytes());
        let address = map.owner(aim).ok_or_else(|| Placement::nobody(aim))?;
        let is_cluster = matches!(self.placement.topology.shape, Shape::Cluster(_));
        Ok(Way {
            address: address.clone(),
            only: is_cluster.then_some(partition),
        })
    }

    fn lane(&self, address: &Address) -> Result<Lane> {
        let (topology, config) = (&self.placement.topology, self.config.clone());
        let client = topology.client(address, ProtocolVersion::RESP2)?;
        let verify = self.placement.must_verify();
        Ok(Lane {
            node: Node::new(address.clone(), client, config, "reader", verify),
            epochs: BTreeMap::new(),
            generation: 0,
            asked: None,
            rests_until: None,
        })
    }

    /// Waits until reads are finished, and takes all that are.
    async fn finished(&mut self, places: &[(Partition, LogId)], map: &Map) -> Read {
        let lanes = &mut self.lanes;
        let finished = poll_fn(|context| {
            let mut finished = Vec::new();
            for (way, lane) in lanes.iter_mut() {
                if let Some(mut asked) = lane.asked.take() {
                    match asked.answer.as_mut().poll(context) {
                        Poll::Ready(answer) => finished.push((way.clone(), asked, answer)),
                        Poll::Pending => lane.asked = Some(asked),
                    }
                }
            }
            if finished.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(finished)
            }
        });
        let mut read = Read::default();
        for (way, asked, answer) in finished.await {
            let Some(lane) = self.lanes.get_mut(&way) else {
                continue;
            };
            match lane.take(asked, answer, places, &self.keys).await {
                Ok((batches, dropped)) => {
                    lane.rests_until = None;
                    read.batches.extend(batches);
                    read.dropped |= dropped;
                }
                Err(failure) => {
                    lane.epochs.clear();
                    lane.rests_until = Some(Instant::now() + REST);
                    self.placement.heed(&failure.hint, map).await;
                    read.failed = Some(failure.error);
                }
            }
        }
        read
    }

    /// One server's failure is everybody's only if nobody else is read.
    fn unless_others_go_on(&self, error: Error) -> Result<Vec<Batch>> {
        if self.lanes.values().all(|lane| lane.asked.is_none()) {
            return Err(error);
        }
        tracing::warn!(%error, "cannot read some logs");
        Ok(Vec::new())
    }
}

impl Lane {
    fn ask(&mut self, places: Places, keys: &Keys, count: usize, wait: Duration) {
        let partitions = places.iter().map(|(partition, _)| *partition);
        let unknown: Vec<Partition> = partitions
            .filter(|partition| !self.epochs.contains_key(partition))
            .collect();
        let mut pipeline = redis::pipe();
        for partition in &unknown {
            pipeline
                .cmd("HGET")
                .arg(keys.epoch(*partition))
                .arg("epoch");
        }
        let wait = u64::try_from(wait.as_millis()).unwrap_or(1000);
        pipeline.cmd("XREAD").arg("COUNT").arg(count);
        pipeline.arg("BLOCK").arg(wait).arg("STREAMS");
        for (partition, _) in &places {
            pipeline.arg(keys.log(*partition));
        }
        for (_, id) in &places {
            pipeline.arg(id.to_string());
        }
        let node = self.node.clone();
        let answer = Box::pin(async move { node.many("xread", &pipeline).await });
        self.asked = Some(Asked {
            places,
            unknown,
            answer,
        });
    }

    /// The batches in an answer, and whether something in it could not be used.
    async fn take(
        &mut self,
        asked: Asked,
        answer: Answer,
        places: &[(Partition, LogId)],
        keys: &Keys,
    ) -> Result<(Vec<Batch>, bool), Failure> {
        let (mut answers, generation) = answer?;
        let error = answers
            .iter()
            .position(|answer| matches!(answer, Value::ServerError(_)));
        if let Some(Value::ServerError(error)) = error.map(|at| answers.swap_remove(at)) {
            return Err(self.node.refused("xread", error, generation).await);
        }
        if generation != self.generation {
            // Another connection may be to another server.
            self.epochs.clear();
            self.generation = generation;
        }
        self.batches(&asked, answers, places, keys)
            .map_err(Failure::of)
    }

    fn batches(
        &mut self,
        asked: &Asked,
        answers: Vec<Value>,
        places: &[(Partition, LogId)],
        keys: &Keys,
    ) -> Result<(Vec<Batch>, bool)> {
        let mut answers = answers.into_iter();
        for (partition, answer) in asked.unknown.iter().zip(&mut answers) {
            let epoch = value::optional(answer)
                .map(|answer| value::number("epoch", &answer))
                .transpose()?;
            self.epochs.insert(*partition, epoch.unwrap_or(0));
        }
        let (mut batches, mut dropped) = (Vec::new(), false);
        for (key, answer) in log::streams(answers.next().unwrap_or_default())? {
            let asked = asked.places.iter().find(|(at, _)| keys.log(*at) == key);
            // Meanwhile the caller may be elsewhere in this log.
            let place = asked.filter(|place| places.contains(place));
            let known = place.and_then(|(at, _)| Some((*at, *self.epochs.get(at)?)));
            let Some((partition, epoch)) = known else {
                dropped = true;
                continue;
            };
            let mut entries = log::entries(answer)?;
            if entries.iter().any(|entry| entry.id.epoch > epoch) {
                // Installed since it was read: the next read asks again.
                self.epochs.remove(&partition);
                entries.retain(|entry| entry.id.epoch <= epoch);
                dropped = true;
            }
            if !entries.is_empty() {
                batches.push(Batch {
                    partition,
                    epoch,
                    entries,
                });
            }
        }
        Ok((batches, dropped))
    }
}
