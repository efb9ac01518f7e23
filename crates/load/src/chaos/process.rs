//! A child process: started again and again under one name, and treated badly in between.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Which process has which name, for those who only see a process's id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    by_id: Arc<Mutex<HashMap<u32, Arc<str>>>>,
}

impl Names {
    fn put(&self, id: u32, name: &Arc<str>) {
        let mut names = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, known| known != name);
        names.insert(id, Arc::clone(name));
    }

    /// All that run, or have run last under their name.
    pub fn all(&self) -> Vec<(u32, Arc<str>)> {
        let names = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .iter()
            .map(|(id, name)| (*id, Arc::clone(name)))
            .collect()
    }
}

/// How to start a process.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Set for the process; all else is as we have it.
    pub environment: Vec<(String, String)>,
}

/// A process under a name, running or not.
#[derive(Debug)]
pub(crate) struct Process {
    pub name: Arc<str>,
    pub recipe: Recipe,
    child: Option<Child>,
    log: PathBuf,
    names: Names,
    /// Whether somebody wants it to run.
    pub wanted: bool,
}

impl Process {
    /// One that does not run yet. It logs into `folder`.
    pub fn new(name: &str, recipe: Recipe, folder: &Path, names: &Names) -> Self {
        Self {
            name: name.into(),
            recipe,
            child: None,
            log: folder.join(format!("{name}.log")),
            names: names.clone(),
            wanted: false,
        }
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(&mut self) -> Result<()> {
        self.wanted = true;
        if self.runs() {
            return Ok(());
        }
        let mut log = open(&self.log)?;
        writeln!(log, "--- {} is started", self.name)?;
        let child = Command::new(&self.recipe.program)
            .args(&self.recipe.arguments)
            .envs(self.recipe.environment.iter().cloned())
            .env("CHINWAG_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.recipe.program.display()))?;
        self.names.put(child.id(), &self.name);
        self.child = Some(child);
        Ok(())
    }

    /// Whether it runs; a process that is stopped by a signal does.
    pub fn runs(&mut self) -> bool {
        self.ended().is_none() && self.child.is_some()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Its id, if it was started.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.wanted = false;
        if let Some(mut child) = self.child.take() {
            // One that is gone already cannot be killed, and that is as well.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let id = self
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.with_context(|| format!("{} does not run", self.name))?;
        kill_process(id, signal).with_context(|| format!("send {signal:?} to {}", self.name))
    }

    /// Forgets the child that has ended, so that it can be started again; how it ended.
    pub fn bury(&mut self) -> Option<ExitStatus> {
        let ended = self.ended()?;
        self.child = None;
        Some(ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("open {}", path.display()))
}

/// Ports of the loopback that nobody listens on at this moment, and that no connection is given by
/// the system: it gives higher ones. Two runs at once begin to look in different places.
///
/// # Errors
/// If there are none.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>> {
    const FIRST: u16 = 11_000;
    /// What one run takes, and how many places there are.
    const EACH: u16 = 120;
    const PLACES: u32 = 170;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let place = u16::try_from(std::process::id() % PLACES).unwrap_or(0);
    let mut found = Vec::with_capacity(count);
    for _ in 0..EACH * 100 {
        if found.len() == count {
            return Ok(found);
        }
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (place * EACH + next) % (EACH * 170);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            found.push(port);
        }
    }
    bail!("no {count} ports are free")
}
