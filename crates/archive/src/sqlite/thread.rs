//! The threads that wait for the disk, and the queues before them.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::commit::{self, Writing};
use crate::error::{Error, Result};

/// Calls that may wait for a thread. Whoever finds the queue full waits outside it.
const QUEUE: usize = 256;

/// Commits are gathered into one transaction up to about this many rows.
const GROUP_ROWS: usize = 4096;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Write {
    Commit(Writing),
    Other(Job),
}

/// The thread that writes. It ends when this is dropped and the queue is empty.
pub(super) struct Writer(mpsc::Sender<Write>);

impl Writer {
    pub fn start(mut connection: Connection) -> Result<Self> {
        let (sender, mut queue) = mpsc::channel(QUEUE);
        spawn("archive-write".into(), move || {
            while let Some(first) = queue.blocking_recv() {
                turn(&mut connection, first, &mut queue);
            }
        })?;
        Ok(Self(sender))
    }

    /// Hands over a commit; its outcome comes by the channel in it.
    pub async fn commit(&self, writing: Writing) -> Result<()> {
        self.0
            .send(Write::Commit(writing))
            .await
            .map_err(|_| ended())
    }

    /// Runs `work` on the thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, outcome) = job(work);
        self.0.send(Write::Other(job)).await.map_err(|_| ended())?;
        outcome.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// One turn of the writer: the commits that wait now, together, then what came after them.
fn turn(connection: &mut Connection, first: Write, queue: &mut mpsc::Receiver<Write>) {
    let (mut group, mut rows, mut next) = (Vec::new(), 0, Some(first));
    while let Some(Write::Commit(writing)) = next {
        rows += writing.rows.len();
        group.push(writing);
        next = if rows < GROUP_ROWS {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    commit::run(connection, group);
    if let Some(Write::Other(job)) = next {
        job(connection);
    }
}

/// The threads that read, fed by one queue. They end when this is dropped.
pub(super) struct Readers(mpsc::Sender<Job>);

impl Readers {
    pub fn start(connections: Vec<Connection>) -> Result<Self> {
        let (sender, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for (number, mut connection) in connections.into_iter().enumerate() {
            let queue = Arc::clone(&queue);
            spawn(format!("archive-read-{number}"), move || {
                while let Some(job) = next(&queue) {
                    job(&mut connection);
                }
            })?;
        }
        Ok(Self(sender))
    }

    /// Runs `work` on one of the threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, outcome) = job(work);
        self.0.send(job).await.map_err(|_| ended())?;
        outcome.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// One idle thread waits with the lock held, the others for the lock: a job wakes one of them.
fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .blocking_recv()
}

/// A job that sends its result, unless nobody waits any more: then it is not done at all.
fn job<T: Send + 'static>(
    work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T>>) {
    let (sender, receiver) = oneshot::channel();
    let job = move |connection: &mut Connection| {
        if !sender.is_closed() {
            // Nobody to tell is the caller's choice.
            let _ = sender.send(work(connection));
        }
    };
    (Box::new(job), receiver)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name).spawn(body);
    spawned
        .map(drop)
        .map_err(|error| Error::Unavailable(format!("starting a thread: {error}")))
}

/// A thread is only ever gone after a panic in it.
pub(super) fn ended() -> Error {
    Error::Refused("its thread has ended".into())
}
