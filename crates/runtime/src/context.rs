//! What every part of a process is handed: the right to spawn, the wish to stop, its health.
//!
//! No task is spawned around a context. So a task that panics ends the process with an error
//! instead of vanishing, and when the process stops, every task is told, waited for, and named if
//! it does not end in time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::task::{JoinHandle, LocalSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::{Health, Part, Pulse};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A cheap handle: cloned into every task. All clones are the same context.
#[derive(Debug, Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    role: &'static str,
    stop: CancellationToken,
    tracker: TaskTracker,
    live: Mutex<BTreeMap<Cow<'static, str>, usize>>,
    process: Arc<Process>,
}

/// What all contexts of one process share.
#[derive(Debug, Default)]
struct Process {
    health: Health,
    failed: CancellationToken,
    failure: OnceLock<Failure>,
}

/// Why the process can not go on: the first failure of any part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{role}: {reason}")]
pub struct Failure {
    /// The part that failed.
    pub role: &'static str,
    /// What happened to it.
    pub reason: String,
}

/// A name under which tasks still ran when the deadline of a drain was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Straggler {
    /// The part they belong to.
    pub role: &'static str,
    /// The name they were spawned under.
    pub name: Cow<'static, str>,
    /// How many of them there are.
    pub count: usize,
}

impl fmt::Display for Straggler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.role, self.name)?;
        if self.count > 1 {
            write!(formatter, " x{}", self.count)
        } else {
            Ok(())
        }
    }
}

impl Context {
    /// The context of a process, or of a test.
    #[must_use]
    pub fn new(role: &'static str) -> Self {
        Self::with(role, CancellationToken::new(), Arc::default())
    }

    /// The context of a part of this process: drained by itself, stopped with its parent, and of
    /// one health and one fate with it.
    #[must_use]
    pub fn role(&self, role: &'static str) -> Self {
        Self::with(
            role,
            self.inner.stop.child_token(),
            Arc::clone(&self.inner.process),
        )
    }

    fn with(role: &'static str, stop: CancellationToken, process: Arc<Process>) -> Self {
        let (tracker, live) = (TaskTracker::new(), Mutex::default());
        Self {
            inner: Arc::new(Inner {
                role,
                stop,
                tracker,
                live,
                process,
            }),
        }
    }

    /// The name this context was made under.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.role
    }

    /// The health of the whole process.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.process.health
    }

    /// A part of the process's health under the name of this role: `gateway/redis`.
    #[must_use]
    pub fn part(&self, name: &str) -> Part {
        self.health().part(format!("{}/{name}", self.inner.role))
    }

    /// A pulse of the process under the name of this role.
    #[must_use]
    pub fn pulse(&self, name: &str) -> Pulse {
        self.health().pulse(format!("{}/{name}", self.inner.role))
    }

    /// Runs a future as a task of this context, under a name that a drain can report.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let alive = Alive::new(self, Cow::Borrowed(name));
        self.inner.tracker.spawn(async move {
            let _alive = alive;
            future.await
        })
    }

    /// Like [`Context::spawn`], for futures that stay on this thread.
    ///
    /// # Panics
    /// When not called within a [`LocalSet`], such as that of [`Context::spawn_thread`].
    pub fn spawn_local<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let alive = Alive::new(self, Cow::Borrowed(name));
        self.inner.tracker.spawn_local(async move {
            let _alive = alive;
            future.await
        })
    }

    /// Starts a thread with a runtime of its own and runs there, inside a [`LocalSet`], the future
    /// that `make` returns. The thread ends with that future, and all its local tasks with it; it
    /// counts as a task of this context, and has a pulse.
    ///
    /// # Errors
    /// When the operating system gives no thread or no event queue.
    pub fn spawn_thread<M, F>(&self, name: impl Into<String>, make: M) -> io::Result<()>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let name = name.into();
        let alive = Alive::new(self, Cow::Owned(name.clone()));
        let token = self.inner.tracker.token();
        let context = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new().name(name.clone()).spawn(move || {
            let _alive = (alive, token);
            LocalSet::new().block_on(&runtime, async move {
                context.watch_runtime(&name);
                make().await;
            });
        })?;
        Ok(())
    }

    /// Gives the runtime that this is called in a pulse: a task that only beats. It beats while
    /// the process drains too, and so is the one task that no drain waits for.
    pub fn watch_runtime(&self, name: &str) {
        let pulse = self.pulse(name);
        #[expect(clippy::disallowed_methods, reason = "must outlive the drain")]
        tokio::spawn(async move {
            loop {
                pulse.beat();
                tokio::time::sleep(HEARTBEAT).await;
            }
        });
    }

    /// Resolves when this context has been asked to stop.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.inner.stop.clone().cancelled_owned()
    }

    /// The token behind [`Context::stopping`], for libraries that want one.
    #[must_use]
    pub fn stopper(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// Whether this context has been asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.stop.is_cancelled()
    }

    /// Asks all tasks of this context, and of the roles made from it, to stop.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// Records that the process can not go on. The first failure counts; the rest are logged.
    pub fn fail(&self, reason: impl Into<String>) {
        let failure = Failure {
            role: self.inner.role,
            reason: reason.into(),
        };
        tracing::error!(role = failure.role, reason = failure.reason, "failed");
        // A second failure is most often the consequence of the first.
        if self.inner.process.failure.set(failure).is_ok() {
            self.inner.process.failed.cancel();
        }
    }

    /// Waits until any part of the process has failed.
    pub async fn failed(&self) -> Failure {
        self.inner.process.failed.cancelled().await;
        let unknown = || Failure {
            role: self.inner.role,
            reason: "unknown".to_owned(),
        };
        self.failure().unwrap_or_else(unknown)
    }

    /// The first failure of any part of the process, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.inner.process.failure.get().cloned()
    }

    /// Asks to stop, waits for all tasks of this context (not of roles made from it), and returns
    /// the names of those that still run when the deadline is over.
    pub async fn drain(&self, deadline: Duration) -> Vec<Straggler> {
        self.stop();
        self.inner.tracker.close();
        if tokio::time::timeout(deadline, self.inner.tracker.wait())
            .await
            .is_ok()
        {
            return Vec::new();
        }
        let role = self.inner.role;
        self.live()
            .iter()
            .map(|(name, count)| Straggler {
                role,
                name: name.clone(),
                count: *count,
            })
            .collect()
    }

    /// The counts are whole after every statement, so a panic elsewhere does not spoil them.
    fn live(&self) -> MutexGuard<'_, BTreeMap<Cow<'static, str>, usize>> {
        self.inner
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a running task: counts it among the living, and reports how it ended.
struct Alive {
    context: Context,
    name: Cow<'static, str>,
}

impl Alive {
    fn new(context: &Context, name: Cow<'static, str>) -> Self {
        *context.live().entry(name.clone()).or_insert(0) += 1;
        Self {
            context: context.clone(),
            name,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut live = self.context.live();
        if let Some(count) = live.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                live.remove(&self.name);
            }
        }
        drop(live);
        if thread::panicking() {
            metrics::counter!("chinwag_process_task_panics_total").increment(1);
            self.context.fail(format!("task {:?} panicked", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_drain_tells_every_task_and_waits_for_it() {
        let context = Context::new("test");
        let stopping = context.stopping();
        let task = context.spawn("polite", async move {
            stopping.await;
            "done"
        });
        assert_eq!(context.drain(LONG).await, []);
        assert_eq!(task.await.unwrap(), "done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_names_those_that_do_not_end() {
        let context = Context::new("test");
        context.spawn("deaf", std::future::pending::<()>());
        context.spawn("deaf", std::future::pending::<()>());
        context.spawn("quick", async {});
        let stragglers = context.drain(LONG).await;
        assert_eq!(
            stragglers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["test/deaf x2"]
        );
    }

    #[tokio::test]
    async fn a_panic_fails_the_whole_process() {
        let process = Context::new("test");
        let role = process.role("gateway");
        let task = role.spawn("clumsy", async { panic!("on purpose") });
        let failure = process.failed().await;
        assert_eq!(failure.to_string(), "gateway: task \"clumsy\" panicked");
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(role.drain(LONG).await, []);
    }

    #[tokio::test]
    async fn the_first_failure_is_the_one_that_counts() {
        let context = Context::new("test");
        context.fail("first");
        context.fail("second");
        assert_eq!(context.failed().await.reason, "first");
    }

    #[tokio::test]
    async fn roles_drain_alone_and_stop_with_their_process() {
        let process = Context::new("test");
        let (first, second) = (process.role("first"), process.role("second"));
        assert_eq!(first.drain(LONG).await, []);
        assert!(!second.is_stopping() && !process.is_stopping());
        process.stop();
        assert!(second.is_stopping());
    }

    #[tokio::test]
    async fn a_thread_runs_local_tasks_and_is_drained() {
        let context = Context::new("test");
        let inside = context.clone();
        let (send, receive) = tokio::sync::oneshot::channel();
        let work = move || async move {
            let local = std::rc::Rc::new(7);
            let task = inside.spawn_local("local", async move { *local });
            send.send(task.await.unwrap()).unwrap();
            inside.stopping().await;
        };
        context.spawn_thread("thread-0", work).unwrap();
        assert_eq!(receive.await.unwrap(), 7);
        assert!(
            context
                .health()
                .liveness()
                .silent_ms
                .contains_key("test/thread-0")
        );
        assert_eq!(context.drain(LONG).await, []);
    }
}
