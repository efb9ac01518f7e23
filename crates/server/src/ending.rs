//! How a process ends: the one place where what happened becomes an exit code.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use chinwag_runtime::Failure;
use thiserror::Error;

use crate::folder::FolderError;
use crate::private_redis::PrivateRedisError;
use crate::secret::SecretError;
use crate::settings::Problems;

/// Why a process could not do its work, or not end in good order.
#[derive(Debug, Error)]
pub enum Ending {
    /// The settings are wrong; nothing was started.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// A file that the settings name cannot be used.
    #[error("{0}")]
    File(String),
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no private Redis.
    #[error(transparent)]
    PrivateRedis(#[from] PrivateRedisError),
    /// Redis cannot be used.
    #[error("redis.url: {}", in_words(.0))]
    Redis(chinwag_store::Error),
    /// The archive cannot be used.
    #[error("archive.url: {0}")]
    Archive(chinwag_archive::Error),
    /// An address cannot be listened on.
    #[error(
        "{key}: cannot listen on {address}: {error}; each process on a host needs a {key} of its own"
    )]
    Listen {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: std::net::SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Told to stop while starting.
    #[error("stopped by {0} before it was ready")]
    Early(chinwag_runtime::Signal),
    /// A part failed while running; the others were drained.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Some tasks did not end in time.
    #[error("not all tasks ended in time: {0}")]
    Stragglers(String),
    /// A second signal.
    #[error("a second {0}: ended at once, without draining")]
    AtOnce(chinwag_runtime::Signal),
    /// A measurement could not be made, or found messages lost, doubled or out of order.
    #[error("load: {0:#}")]
    Load(anyhow::Error),
    /// The system does not give what every process needs.
    #[error("{what}: {error}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system says.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Wrong settings or arguments: `EX_USAGE` of sysexits(3). Starting again will not help.
pub const USAGE: u8 = 64;
/// A measurement was made, and found promises broken.
const VIOLATED: u8 = 1;
const UNAVAILABLE: u8 = 69;
const INTERNAL: u8 = 70;

impl Ending {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::File(_) | Self::Secret(_) => USAGE,
            Self::PrivateRedis(PrivateRedisError::PathTooLong(_)) => USAGE,
            Self::Folder(FolderError::Unusable { .. }) => USAGE,
            Self::Archive(chinwag_archive::Error::Address(_)) => USAGE,
            Self::Folder(FolderError::Taken { .. }) => UNAVAILABLE,
            Self::PrivateRedis(_) | Self::Redis(_) | Self::Archive(_) => UNAVAILABLE,
            Self::Listen { .. } => UNAVAILABLE,
            Self::Early(_) => 0,
            Self::Failed(_) | Self::Stragglers(_) | Self::AtOnce(_) => INTERNAL,
            Self::Load(error) if error.is::<chinwag_load::Usage>() => USAGE,
            Self::Load(error) if error.is::<chinwag_load::Violated>() => VIOLATED,
            Self::Load(_) | Self::System { .. } => INTERNAL,
        }
    }
}

/// What Redis must be, or what could not be done with it.
fn in_words(error: &chinwag_store::Error) -> String {
    match error {
        chinwag_store::Error::Refused { problem, .. } => problem.clone(),
        other => format!("cannot {other}"),
    }
}

/// Says how it ended: to people in words, to machines in a line of the log if there is one.
pub fn report(ending: Result<(), Ending>) -> ExitCode {
    let Err(ending) = ending else {
        return ExitCode::SUCCESS;
    };
    let for_people = io::stderr().is_terminal() || !tracing::dispatcher::has_been_set();
    if ending.code() == 0 {
        tracing::info!("{ending}");
    } else if for_people {
        #[expect(clippy::print_stderr, reason = "there may be no log yet")]
        {
            eprintln!("chinwag: {ending}");
        }
    } else {
        tracing::error!(code = ending.code(), reason = %ending, "ended");
    }
    ExitCode::from(ending.code())
}
