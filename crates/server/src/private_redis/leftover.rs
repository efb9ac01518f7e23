//! The server of an earlier run that was killed. It is ours if it runs in our folder, whatever its
//! number: numbers are used again.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;

use super::{Options, PrivateRedisError, STOP_DEADLINE};

const POLL: Duration = Duration::from_millis(20);

/// Ends a server that still uses these files, and clears away what it left.
pub async fn end(options: &Options) -> Result<(), PrivateRedisError> {
    for pid in candidates(options).await {
        if is_ours(pid, &options.folder()) {
            tracing::warn!(pid, "ending the private Redis of an earlier run");
            end_process(pid, &options.folder()).await?;
        }
    }
    for file in [options.socket(), options.pid_file()] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(options.io(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Who the pid file names, and who listens on the socket.
async fn candidates(options: &Options) -> Vec<i32> {
    let recorded = fs::read_to_string(options.pid_file())
        .unwrap_or_default()
        .trim()
        .parse()
        .ok();
    let stream = UnixStream::connect(options.socket()).await.ok();
    let listening = stream.and_then(|stream| stream.peer_cred().ok()?.pid());
    let mut candidates: Vec<i32> = recorded.into_iter().chain(listening).collect();
    candidates.dedup();
    candidates
}

/// Whether the process is a Redis that works in this folder.
fn is_ours(pid: i32, folder: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let works_in = fs::read_link(process.join("cwd")).ok();
    let server = ["redis-", "valkey-"]
        .iter()
        .any(|start| name.starts_with(start));
    server && works_in.is_some() && works_in == fs::canonicalize(folder).ok()
}

async fn end_process(pid: i32, folder: &Path) -> Result<(), PrivateRedisError> {
    for signal in [Signal::TERM, Signal::KILL] {
        let sent = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
        tracing::info!(pid, ?signal, ?sent, "signalled");
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if !is_ours(pid, folder) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Err(PrivateRedisError::Leftover(pid))
}
