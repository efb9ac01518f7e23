//! Which process a connection of the loopback belongs to.

use std::fs;
use std::sync::Arc;

use crate::chaos::process::Names;

/// The name of the process that has connected from one port of the loopback to another, if it is
/// one of ours.
pub(crate) fn of(from: u16, to: u16, names: &Names) -> Option<Arc<str>> {
    let link = format!("socket:[{}]", inode(from, to)?);
    let mut all = names.all();
    // Most connections are made by who has been started last.
    all.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    all.into_iter()
        .find(|(id, _)| holds(*id, &link))
        .map(|(_, name)| name)
}

/// The number by which the kernel knows a socket.
fn inode(from: u16, to: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let (local, remote) = (format!("0100007F:{from:04X}"), format!("0100007F:{to:04X}"));
    table
        .lines()
        .find_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            (fields.next()? == local && fields.next()? == remote).then(|| fields.nth(6))?
        })
        .map(ToOwned::to_owned)
}

fn holds(process: u32, link: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd"));
    files
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link))
}
