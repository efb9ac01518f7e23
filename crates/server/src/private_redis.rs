//! The Redis that `chinwag up` runs for itself: a child on a Unix socket in the data folder, which
//! nobody else can reach.
//!
//! It is started anew when it dies, and ends after everything that uses it. When chinwag itself is
//! killed, the kernel asks the child to end ([`launch`]); one that is still there at the next start
//! is recognised as ours and ended before another takes its place ([`leftover`]), because two
//! servers on one append-only file would destroy it.

mod launch;
mod leftover;
mod ping;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chinwag_runtime::{Backoff, Context};
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::process::Child;
use tokio::sync::oneshot;

pub use launch::Options;

/// A server that has much to sync may take long to end; after this it is killed.
pub const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no private Redis.
#[derive(Debug, Error)]
pub enum PrivateRedisError {
    /// No program to run.
    #[error(
        "neither redis-server nor valkey-server is on PATH; install one (on Debian: apt-get \
         install redis-server), name it with --set redis.bin=PATH, or use one that runs elsewhere \
         with --redis redis://HOST:6379"
    )]
    NoProgram,
    /// The operating system would take a longer path for another one.
    #[error("data.dir: {} is too long a path for a socket; name a shorter one with --data", .0.display())]
    PathTooLong(PathBuf),
    /// It ended before it was of use.
    #[error("{program} ended at once ({status}); the end of {log}:\n{tail}")]
    Ended {
        /// What was run.
        program: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: String,
        /// The last lines of that.
        tail: String,
    },
    /// A server of an earlier run does not end.
    #[error("process {0} is the Redis of an earlier run and does not end; end it by hand")]
    Leftover(i32),
    /// Something else.
    #[error("cannot run {program}: {error}")]
    Io {
        /// What was run.
        program: String,
        /// What the system says.
        error: io::Error,
    },
}

/// Starts the server and waits until it answers; returns its URL. From then on it is looked after
/// by a thread of the context, and ends when the context is drained.
///
/// # Errors
/// When there is no server to be had.
pub async fn start(context: &Context, options: Options) -> Result<String, PrivateRedisError> {
    options.prepare()?;
    leftover::end(&options).await?;
    let url = options.url();
    let (send, started) = oneshot::channel();
    let keeper = Keeper {
        context: context.clone(),
        options,
    };
    // The kernel ends the child together with the *thread* that made it, so that thread must live
    // as long as the child should: it is this one's only work.
    let spawned = context.spawn_thread("redis-keeper", move || keeper.run(send));
    let io = |error| PrivateRedisError::Io {
        program: "a thread".to_owned(),
        error,
    };
    spawned.map_err(io)?;
    started
        .await
        .unwrap_or_else(|_| Err(io(io::Error::other("it ended"))))?;
    Ok(url)
}

struct Keeper {
    context: Context,
    options: Options,
}

enum Event {
    Stop,
    Ended(String),
}

impl Keeper {
    async fn run(self, started: oneshot::Sender<Result<(), PrivateRedisError>>) {
        let mut child = match self.options.launch().await {
            Ok(child) => child,
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok(())).is_err() {
            return stop(child).await;
        }
        loop {
            let event = tokio::select! {
                () = self.context.stopping() => Event::Stop,
                status = child.wait() => Event::Ended(launch::describe(&status)),
            };
            match event {
                Event::Stop => return stop(child).await,
                Event::Ended(status) => {
                    tracing::error!(status, "the private Redis ended; starting it again");
                    match self.again().await {
                        Some(next) => child = next,
                        None => return,
                    }
                }
            }
        }
    }

    /// Starts the server again, however often it takes; `None` when asked to stop meanwhile.
    async fn again(&self) -> Option<Child> {
        let mut delays = Backoff::DEFAULT.delays();
        loop {
            let launched = tokio::select! {
                () = self.context.stopping() => return None,
                launched = self.options.launch() => launched,
            };
            match launched {
                Ok(child) => {
                    tracing::info!("the private Redis is back");
                    return Some(child);
                }
                Err(error) => tracing::error!(%error, "the private Redis does not start"),
            }
            delays.wait().await;
        }
    }
}

/// SIGTERM is to Redis what SHUTDOWN is: it writes and syncs its append-only file, then ends.
async fn stop(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::warn!(%error, "cannot signal the private Redis");
    }
    match tokio::time::timeout(STOP_DEADLINE, child.wait()).await {
        Ok(status) => tracing::info!(
            status = launch::describe(&status),
            "the private Redis ended"
        ),
        Err(_) => {
            tracing::error!("the private Redis does not end; killing it");
            if let Err(error) = child.kill().await {
                tracing::error!(%error, "cannot kill the private Redis");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_redis::ping::{Answer, ping};
    use std::fs;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    struct Home(TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn options(&self) -> Options {
            let data = self.0.path().canonicalize().unwrap();
            Options {
                data,
                program: None,
                fsync: "everysec".to_owned(),
            }
        }

        fn pid(&self) -> Option<i32> {
            fs::read_to_string(self.options().pid_file())
                .ok()?
                .trim()
                .parse()
                .ok()
        }

        async fn say(&self, command: &str) -> String {
            let mut stream = UnixStream::connect(self.options().socket()).await.unwrap();
            stream
                .write_all(format!("{command}\r\n").as_bytes())
                .await
                .unwrap();
            let mut answer = [0; 200];
            let length = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        }
    }

    fn kill(pid: i32) {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn it_answers_keeps_what_it_was_told_and_ends_with_its_context() {
        let home = Home::new();
        let context = Context::new("redis");
        let url = start(&context, home.options()).await.unwrap();
        assert_eq!(
            url,
            format!("redis+unix://{}", home.options().socket().display())
        );
        assert_eq!(home.say("SET promise kept").await, "+OK\r\n");
        assert_eq!(context.drain(STOP_DEADLINE).await, []);
        assert_eq!(ping(&home.options().socket()).await, Answer::Silent);

        let context = Context::new("redis");
        start(&context, home.options()).await.unwrap();
        assert_eq!(home.say("GET promise").await, "$4\r\nkept\r\n");
        assert_eq!(context.drain(STOP_DEADLINE).await, []);
    }

    #[tokio::test]
    async fn it_comes_back_when_it_dies() {
        let home = Home::new();
        let context = Context::new("redis");
        start(&context, home.options()).await.unwrap();
        let first = home.pid().unwrap();
        kill(first);
        while home.pid() == Some(first) || ping(&home.options().socket()).await != Answer::Ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(context.drain(STOP_DEADLINE).await, []);
    }

    #[tokio::test]
    async fn one_left_over_by_an_earlier_run_is_ended_first() {
        let home = Home::new();
        let options = home.options();
        options.prepare().unwrap();
        let orphan = options.launch().await.unwrap();
        let context = Context::new("redis");
        start(&context, home.options()).await.unwrap();
        assert_ne!(home.pid(), orphan.id().map(u32::cast_signed));
        assert_eq!(context.drain(STOP_DEADLINE).await, []);
    }

    #[tokio::test]
    async fn the_process_of_somebody_else_is_left_alone() {
        let home = Home::new();
        let options = home.options();
        options.prepare().unwrap();
        let mut bystander = tokio::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        fs::write(options.pid_file(), bystander.id().unwrap().to_string()).unwrap();
        leftover::end(&options).await.unwrap();
        assert!(bystander.try_wait().unwrap().is_none());
        bystander.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_does_not_start_shows_its_log() {
        let home = Home::new();
        let options = Options {
            fsync: "sometimes".to_owned(),
            ..home.options()
        };
        let error = start(&Context::new("redis"), options)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("ended at once"), "{error}");
        let missing = Options {
            program: Some("/nonexistent".into()),
            ..home.options()
        };
        let error = start(&Context::new("redis"), missing)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ended at once") || error.contains("No such file"),
            "{error}"
        );
        let deep = Options {
            data: home.0.path().join("x".repeat(120)),
            ..home.options()
        };
        let error = start(&Context::new("redis"), deep)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("too long a path for a socket"), "{error}");
    }
}
