//! Logs: JSON lines for machines, coloured lines for people, both on standard error.
//!
//! Fields are names and numbers of ours. Message bodies, passwords and tokens are never logged, at
//! no level; ids of users and rooms only from `debug` down.

use std::fmt;
use std::io::{self, IsTerminal};
use std::panic;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Time, level, target, message, fields; in colour on a terminal.
    Human,
}

/// Which log lines are written: `info`, or directives such as `info,chinwag_gateway=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// Why a text is not a [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFilter(String);

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the process has a log already")]
pub struct AlreadySet;

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A bare word that is no level is a target to the library, and would silence everything.
        let bare = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.contains(['=', '[']));
        for word in bare {
            if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
                let levels = LEVELS.join(", ");
                return Err(InvalidFilter(format!("{word:?} is not a level: {levels}")));
            }
        }
        EnvFilter::try_new(text).map_err(|error| InvalidFilter(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Sets up the log of this process, panics included.
///
/// # Errors
/// When it was set up before.
pub fn init(format: Format, filter: &Filter) -> Result<(), AlreadySet> {
    let terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&filter.0))
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let json = format == Format::Json || (format == Format::Auto && !terminal);
    let set = if json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        builder.try_init()
    };
    set.map_err(|_| AlreadySet)?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A panic's message is written by us or a library and may quote a value; its beginning must do.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    const LONGEST: usize = 200;
    let message: String = info
        .payload_as_str()
        .unwrap_or("?")
        .chars()
        .take(LONGEST)
        .collect();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("?").to_owned();
    tracing::error!(message, place, thread, "panic");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked_before_they_are_used() {
        for good in [
            "info",
            "WARN",
            "info,chinwag_gateway=debug",
            "off",
            "chinwag_store=trace",
        ] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["loud", "", "info,laud", "chinwag=verbose"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }
}
