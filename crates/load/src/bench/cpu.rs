//! Time, memory and cores of processes.

use std::collections::BTreeMap;
use std::fs;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// A process whose time and memory are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What it is; processes of one kind share a name.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

impl FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or("must be NAME=PID")?;
        let pid = pid.parse().map_err(|error| format!("{pid}: {error}"))?;
        Ok(Self {
            name: name.to_owned(),
            pid,
        })
    }
}

impl Watched {
    /// The time that it has used so far, and 0 if it is gone.
    fn used(&self) -> Duration {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // Behind the name, which may have anything in it.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let field = |at: usize| fields.split(' ').nth(at)?.parse::<u64>().ok();
        let used = field(11).unwrap_or(0) + field(12).unwrap_or(0);
        Duration::from_millis(used * 1000 / ticks.max(1))
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        size.unwrap_or(0)
    }
}

/// Time of all that are watched, by name.
pub(crate) fn used(watched: &[Watched]) -> BTreeMap<String, Duration> {
    sums(watched, Duration::ZERO, |one, sum| *sum += one.used())
}

/// Resident memory of all that are watched, in KiB, by name.
pub(crate) fn resident(watched: &[Watched]) -> BTreeMap<String, u64> {
    sums(watched, 0, |one, sum| *sum += one.resident())
}

fn sums<T: Copy>(
    watched: &[Watched],
    zero: T,
    add: impl Fn(&Watched, &mut T),
) -> BTreeMap<String, T> {
    let mut sums = BTreeMap::new();
    for one in watched {
        add(one, sums.entry(one.name.clone()).or_insert(zero));
    }
    sums
}

/// The time that this thread has used so far.
pub(crate) fn own() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// Does something with this thread on one core: threads and processes that it starts stay there.
///
/// # Errors
/// If there is no such core, or what is done fails.
pub(crate) fn on_core<T>(core: Option<usize>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(core) = core else {
        return act();
    };
    let before = sched_getaffinity(None).context("ask for the cores of this thread")?;
    let mut only = CpuSet::new();
    if core < CpuSet::MAX_CPU {
        only.set(core);
    }
    sched_setaffinity(None, &only).with_context(|| {
        format!("move to core {core}; --unpinned leaves it to the system which core runs what")
    })?;
    let done = act();
    sched_setaffinity(None, &before).context("move back")?;
    done
}

/// Those that listen at these URLs, if they run on this machine, and those that were named.
///
/// # Errors
/// If a URL has no port.
pub(crate) fn at(urls: &[String], named: &[Watched]) -> Result<Vec<Watched>> {
    let mut watched = Vec::new();
    for url in urls {
        let uri: hyper::Uri = url.parse().with_context(|| format!("--url {url}"))?;
        watched.extend(listener(uri.port_u16().unwrap_or(80)).map(|pid| Watched {
            name: "gateway".to_owned(),
            pid,
        }));
    }
    watched.extend_from_slice(named);
    Ok(watched)
}

/// The process that listens on a port.
fn listener(port: u16) -> Option<u32> {
    /// How Linux writes that a socket listens.
    const LISTENS: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let tables = tables.into_iter().flatten().collect::<String>();
    let inode = tables.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, at) = fields.get(1)?.split_once(':')?;
        let is_it = u16::from_str_radix(at, 16) == Ok(port) && *fields.get(3)? == LISTENS;
        is_it.then(|| fields.get(9).map(ToString::to_string))?
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut links = files.flatten().flat_map(|file| fs::read_link(file.path()));
        links.any(|link| link.to_str() == Some(&socket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_what_it_listens_on_and_its_time_is_seen() {
        let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
        let url = format!("http://127.0.0.1:{port}");
        let watched = at(&[url], &["redis=1".parse().unwrap()]).unwrap();
        assert_eq!(watched[0].name, "gateway");
        assert_eq!(watched[1].pid, 1);
        assert!(watched[0].resident() > 0);
        let before = own();
        while own() - before < Duration::from_millis(30) {}
        assert!(used(&watched[..1])["gateway"] >= Duration::from_millis(20));
    }

    #[test]
    fn whoever_moves_to_a_core_comes_back() {
        let before = sched_getaffinity(None).unwrap();
        let cores = on_core(Some(0), || {
            assert_eq!(sched_getaffinity(None)?.count(), 1);
            Ok(std::thread::available_parallelism()?.get())
        });
        assert_eq!(cores.unwrap(), 1);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        assert!(on_core(Some(1_000_000), || Ok(())).is_err());
    }
}
