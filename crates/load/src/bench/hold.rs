//! Connections that are only held, in a process of their own: one process may not have enough
//! files for all of them.

use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::centrifuge::Centrifuge;
use super::cpu::on_core;
use super::engine::{Engine, Sending};
use super::ledger::Ledger;

/// How often it is looked whether that was long enough.
const LOOK: Duration = Duration::from_millis(50);

/// What a process of holders is told, as a line of JSON. It holds until its input ends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub doors: Vec<SocketAddr>,
    pub tokens: Vec<String>,
    pub source: Option<IpAddr>,
    pub core: Option<usize>,
}

/// What it answers when all have come.
#[derive(Debug, Serialize, Deserialize)]
struct Come {
    seconds: f64,
}

/// What it answers at the end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Connections that have ended before.
    pub closed: u64,
    pub complaint: Option<String>,
}

/// Connections in another process.
pub(crate) struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: std::io::BufReader<ChildStdout>,
}

impl Holder {
    /// Begins to connect.
    pub fn start(order: &Order) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut child = Command::new(program)
            .args(["load", "hold"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a process that holds connections")?;
        let mut stdin = child.stdin.take().context("an input")?;
        let stdout = child.stdout.take().context("an output")?;
        writeln!(stdin, "{}", serde_json::to_string(order)?)?;
        Ok(Self {
            child,
            stdin: Some(stdin),
            stdout: std::io::BufReader::new(stdout),
        })
    }

    /// Waits until all have come; how many seconds that took.
    pub fn come(&mut self) -> Result<f64> {
        Ok(self.line::<Come>()?.seconds)
    }

    /// Has it let go.
    pub fn end(mut self) -> Result<Held> {
        self.stdin = None;
        self.line()
    }

    fn line<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.is_empty() {
            bail!("a process that holds connections has ended");
        }
        serde_json::from_str(&line).with_context(|| line)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // One that has ended cannot be ended, and that is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Holds what it is told on its input, until that ends.
///
/// # Errors
/// If the connections cannot be made.
pub(crate) fn hold() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line).context("an order")?;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        drop(std::io::stdin().lock().read_to_end(&mut Vec::new()));
        told.store(true, Ordering::Relaxed);
    });
    on_core(order.core, || {
        let ledger = Ledger::new(1, order.tokens.len(), 1)?;
        let mut engine = Engine::new(Centrifuge::listening(order.tokens), ledger, 0)?;
        let seconds = engine.come(&order.doors, |_| order.source)?.as_secs_f64();
        say(&Come { seconds })?;
        while !over.load(Ordering::Relaxed) {
            engine.run(Instant::now() + LOOK, &mut Sending::Nobody)?;
        }
        say(&Held {
            closed: engine.ledger.errors,
            complaint: engine.ledger.complaint.take(),
        })
    })
}

fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}
