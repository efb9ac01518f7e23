//! Commands, each run on the server that has its key.
//!
//! A command that reaches the wrong server is told so and has done nothing: it is sent once more, to the right
//! one. Whatever else fails is the caller's to try again, and the map is looked at meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, ProtocolVersion, Value};

use crate::connect::{Call, Config};
use crate::error::{Error, Result};
use crate::function;
use crate::node::{Failure, Hint, Node};
use crate::placement::{Map, Placement};
use crate::route::Aim;
use crate::topology::{Address, Topology};
use crate::value::Fields;

/// Connections to all servers; clones share them.
#[derive(Clone)]
pub(crate) struct Router {
    shared: Arc<Shared>,
}

struct Shared {
    placement: Arc<Placement>,
    config: Config,
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    by_address: HashMap<Address, Node>,
    /// The map by which those that are of no more use were dropped.
    generation: u64,
}

impl Router {
    /// For a URL. Opens nothing.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let topology = Topology::parse(&config.url)?;
        let placement = Arc::new(Placement::new(topology, config.clone()));
        Ok(Self::over(placement, config))
    }

    /// Other connections by the same map.
    pub(crate) fn another(&self) -> Self {
        Self::over(Arc::clone(&self.shared.placement), &self.shared.config)
    }

    fn over(placement: Arc<Placement>, config: &Config) -> Self {
        Self {
            shared: Arc::new(Shared {
                placement,
                config: config.clone(),
                nodes: Mutex::default(),
            }),
        }
    }

    /// The map, and how to look at it anew.
    pub(crate) fn placement(&self) -> &Arc<Placement> {
        &self.shared.placement
    }

    fn node(&self, address: &Address, map: &Map) -> Result<Node> {
        let shared = &self.shared;
        let mut nodes = shared.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.generation != map.generation {
            nodes.generation = map.generation;
            let in_use = |address: &Address, _: &mut Node| map.addresses().contains(address);
            nodes.by_address.retain(in_use);
        }
        if let Some(node) = nodes.by_address.get(address) {
            return Ok(node.clone());
        }
        let client = shared
            .placement
            .topology
            .client(address, ProtocolVersion::RESP2)?;
        let (config, verify) = (shared.config.connection(), shared.placement.must_verify());
        let node = Node::new(address.clone(), client, config, "commands", verify);
        nodes.by_address.insert(address.clone(), node.clone());
        Ok(node)
    }

    fn owner<'a>(&self, map: &'a Map, aim: Aim) -> Result<&'a Address> {
        map.owner(aim).ok_or_else(|| Placement::nobody(aim))
    }

    /// Runs one command.
    pub(crate) async fn query(&self, name: &'static str, command: &Cmd) -> Result<Value> {
        let aim = Aim::of(command).unwrap_or_else(Aim::home);
        let started = Instant::now();
        let mut answer = self.try_at(name, command, aim).await?;
        if answer
            .as_ref()
            .is_err_and(|failure| matches!(failure.hint, Hint::Moved(..)))
        {
            answer = self.try_at(name, command, aim).await?;
        }
        finished(name, started, answer.map_err(|failure| failure.error))
    }

    /// Runs one command where it should be, and sees to what a failure says of the map.
    async fn try_at(
        &self,
        name: &'static str,
        command: &Cmd,
        aim: Aim,
    ) -> Result<Result<Value, Failure>> {
        let placement = self.placement();
        let map = placement.known().await?;
        let address = match self.owner(&map, aim) {
            Ok(address) => address,
            Err(error) => {
                drop(placement.renew(map.generation).await);
                return Err(counted(error));
            }
        };
        let answer = self.node(address, &map)?.one(name, command).await;
        match &answer {
            Err(Failure {
                hint: Hint::Ask(address),
                ..
            }) => {
                let answer = self.asking(name, command, address, &map).await;
                return Ok(answer);
            }
            Err(failure) => placement.heed(&failure.hint, &map).await,
            Ok(_) => {}
        }
        Ok(answer)
    }

    /// Runs a command on the server to which its slot is on the way.
    async fn asking(
        &self,
        name: &'static str,
        command: &Cmd,
        address: &Address,
        map: &Map,
    ) -> Result<Value, Failure> {
        let node = self.node(address, map).map_err(Failure::of)?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").add_command(command.clone());
        let (mut answers, generation) = node.many(name, &pipeline).await?;
        match answers.pop() {
            Some(Value::ServerError(error)) => Err(node.refused(name, error, generation).await),
            answer => Ok(answer.unwrap_or_default()),
        }
    }

    /// Runs commands, in one round trip to each server concerned; all must succeed. Answers are in
    /// the order of the commands. Commands on several servers have no order among each other.
    pub(crate) async fn pipeline(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        finished(name, started, self.split(name, pipeline).await)
    }

    async fn split(&self, name: &'static str, pipeline: &Pipeline) -> Result<Vec<Value>> {
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        let aims = Aim::of_all(commands.iter().copied());
        let mut answers = vec![Value::Nil; commands.len()];
        let mut open: Vec<usize> = (0..commands.len()).collect();
        for again in [true, false] {
            let map = self.placement().known().await?;
            let parts = self.parts(&aims, &open, &map).await?;
            let runs = parts.into_iter().map(|(address, places)| {
                let (map, commands) = (&map, &commands);
                async move {
                    let whole = (places.len() == pipeline.len()).then_some(pipeline);
                    self.part(name, whole, commands, &address, places, map)
                        .await
                }
            });
            open.clear();
            let mut failed = None;
            for part in join_all(runs).await {
                for (place, answer) in part {
                    match answer {
                        Ok(value) => *answers.get_mut(place).unwrap_or(&mut Value::Nil) = value,
                        Err(Failure {
                            hint: Hint::Moved(..),
                            ..
                        }) if again => open.push(place),
                        Err(failure) => failed = failed.or(Some(failure.error)),
                    }
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if open.is_empty() {
                break;
            }
            open.sort_unstable();
        }
        Ok(answers)
    }

    /// Which of the commands at `open` go to which server.
    async fn parts(
        &self,
        aims: &[Aim],
        open: &[usize],
        map: &Map,
    ) -> Result<BTreeMap<Address, Vec<usize>>> {
        let mut parts: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
        for place in open {
            let aim = aims.get(*place).copied().unwrap_or_else(Aim::home);
            match map.owner(aim) {
                Some(address) => match parts.get_mut(address) {
                    Some(places) => places.push(*place),
                    None => drop(parts.insert(address.clone(), vec![*place])),
                },
                None => {
                    drop(self.placement().renew(map.generation).await);
                    return Err(Placement::nobody(aim));
                }
            }
        }
        Ok(parts)
    }

    /// Runs the commands that are one server's: all of them (`whole`) or those at `places`.
    async fn part(
        &self,
        name: &'static str,
        whole: Option<&Pipeline>,
        commands: &[&Cmd],
        address: &Address,
        places: Vec<usize>,
        map: &Map,
    ) -> Vec<(usize, Result<Value, Failure>)> {
        let own = || {
            let mut own = redis::pipe();
            for place in &places {
                own.add_command(commands.get(*place).copied().cloned().unwrap_or_default());
            }
            own
        };
        let node = match self.node(address, map) {
            Ok(node) => node,
            Err(error) => return failed_all(&places, &Failure::of(error)),
        };
        let answers = match whole {
            Some(whole) => node.many(name, whole).await,
            None => node.many(name, &own()).await,
        };
        let (answers, generation) = match answers {
            Ok(answers) => answers,
            Err(failure) => {
                self.placement().heed(&failure.hint, map).await;
                return failed_all(&places, &failure);
            }
        };
        let mut found = Vec::with_capacity(places.len());
        for (place, answer) in places.iter().zip(answers) {
            let Value::ServerError(error) = answer else {
                found.push((*place, Ok(answer)));
                continue;
            };
            let failure = node.refused(name, error, generation).await;
            let answer = match (&failure.hint, commands.get(*place)) {
                (Hint::Ask(address), Some(command)) => {
                    self.asking(name, command, address, map).await
                }
                _ => {
                    self.placement().heed(&failure.hint, map).await;
                    Err(failure)
                }
            };
            found.push((*place, answer));
        }
        found
    }

    /// Calls a function of the library, which is loaded if the server does not have it.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value> {
        let command = call.command();
        match self.query(call.name(), &command).await {
            Err(Error::Refused { problem, .. }) if is_missing(&problem) => {
                self.load().await?;
                self.query(call.name(), &command).await
            }
            answer => answer,
        }
    }

    /// Calls that may be made twice, in one round trip to each server concerned.
    pub(crate) async fn calls(&self, name: &'static str, calls: &[Call]) -> Result<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for call in calls {
            pipeline.add_command(call.command());
        }
        match self.pipeline(name, &pipeline).await {
            Err(Error::Refused { problem, .. }) if is_missing(&problem) => {
                self.load().await?;
                self.pipeline(name, &pipeline).await
            }
            answer => answer,
        }
    }

    /// Runs one command on one server, whatever its key.
    pub(crate) async fn query_at(
        &self,
        address: &Address,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Value> {
        let map = self.placement().known().await?;
        let answer = self.node(address, &map)?.one(name, command).await;
        finished(
            name,
            Instant::now(),
            answer.map_err(|failure| failure.error),
        )
    }

    /// Loads the function library wherever it is missing and a server answers. (A full server
    /// would refuse to have it replaced.)
    ///
    /// # Errors
    /// If no server has it afterwards.
    pub(crate) async fn load(&self) -> Result<()> {
        let map = self.placement().known().await?;
        let loaded = map.addresses().iter().map(|address| self.load_at(address));
        let mut failed = None;
        for (address, loaded) in map.addresses().iter().zip(join_all(loaded).await) {
            match loaded {
                Ok(()) => {}
                Err(Error::Unavailable(problem)) if map.addresses().len() > 1 => {
                    tracing::debug!(%address, problem, "functions are loaded when it comes back");
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn load_at(&self, address: &Address) -> Result<()> {
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg(function::name());
        let found = self.query_at(address, "function_list", &list).await?;
        if !Fields::of("functions", found)?.is_empty() {
            return Ok(());
        }
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(function::library());
        let loaded = self.query_at(address, "function_load", &load).await;
        loaded.map(drop)
    }
}

fn failed_all(places: &[usize], failure: &Failure) -> Vec<(usize, Result<Value, Failure>)> {
    let each = |place: &usize| {
        let (error, hint) = (failure.error.clone(), failure.hint.clone());
        (*place, Err(Failure { error, hint }))
    };
    places.iter().map(each).collect()
}

fn is_missing(problem: &str) -> bool {
    problem.contains("Function not found")
}

fn finished<T>(name: &'static str, started: Instant, answer: Result<T>) -> Result<T> {
    if answer.is_ok() {
        metrics::histogram!("chinwag_redis_command_seconds", "command" => name)
            .record(started.elapsed());
    }
    answer.map_err(counted)
}

fn counted(error: Error) -> Error {
    metrics::counter!("chinwag_redis_errors_total", "kind" => error.kind()).increment(1);
    error
}
