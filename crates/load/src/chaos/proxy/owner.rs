//! Which process a connection of the loopback belongs to.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::chaos::process::Names;

/// The ports between which a connection is, and whose it is.
type Links = HashMap<(u16, u16), Arc<str>>;

/// What is known of connections. Everything is looked at once for all who wait to know.
#[derive(Debug, Clone)]
pub(crate) struct Owners {
    names: Names,
    known: Arc<Mutex<Known>>,
}

/// What was seen when it was looked last.
#[derive(Debug, Default)]
struct Known {
    links: Links,
    looked: Option<Instant>,
}

impl Owners {
    /// The owners among processes of these names.
    pub fn new(names: &Names) -> Self {
        Self {
            names: names.clone(),
            known: Arc::default(),
        }
    }

    /// The name of the process that has just connected from one port of the loopback to another,
    /// if it is one of ours.
    pub async fn of(&self, from: u16, to: u16) -> Option<Arc<str>> {
        let accepted = Instant::now();
        let mut known = self.known.lock().await;
        // Who has hung up since is not found by looking once more.
        if known.looked.is_none_or(|looked| looked < accepted) {
            let (owners, began) = (self.clone(), Instant::now());
            let looking = tokio::task::spawn_blocking(move || owners.look());
            known.links = looking.await.unwrap_or_default();
            known.looked = Some(began);
        }
        known.links.get(&(from, to)).map(Arc::clone)
    }

    /// All connections of all processes.
    fn look(&self) -> Links {
        let mut by_inode: HashMap<String, Arc<str>> = HashMap::new();
        for (process, name) in self.names.all() {
            let files = fs::read_dir(format!("/proc/{process}/fd"));
            for file in files.into_iter().flatten().flatten() {
                let target = fs::read_link(file.path()).unwrap_or_default();
                let target = target.to_string_lossy();
                let inode = target.strip_prefix("socket:[");
                if let Some(inode) = inode.and_then(|rest| rest.strip_suffix(']')) {
                    by_inode.insert(inode.to_owned(), Arc::clone(&name));
                }
            }
        }
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let link = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, remote) = (port(fields.next()?)?, port(fields.next()?)?);
            let name = by_inode.get(fields.nth(6)?)?;
            Some(((local, remote), Arc::clone(name)))
        };
        table.lines().filter_map(link).collect()
    }
}

/// The port of an address as the kernel writes it.
fn port(address: &str) -> Option<u16> {
    let (_, port) = address.split_once(':')?;
    u16::from_str_radix(port, 16).ok()
}
