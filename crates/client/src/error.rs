//! What can go wrong for a client, by what it can do about it.

use std::fmt;
use std::time::Duration;

use chinwag_protocol::codec::{DecodeError, EncodeError};
use chinwag_protocol::reply;
use thiserror::Error;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::http::header::RETRY_AFTER;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The options make no sense; fix them.
    #[error("bad option: {0}")]
    Option(String),
    /// Nobody answers; try later.
    #[error("server cannot be reached: {0}")]
    Unreachable(String),
    /// HTTP said no before there was a WebSocket.
    #[error("server answered {status} instead of a WebSocket: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The HTTP body, which says why.
        body: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The connection is over.
    #[error("connection closed: {0}")]
    Closed(Closed),
    /// The server refused the command.
    #[error("refused with {code}: {message}")]
    Reply {
        /// The client's next move: see [`Code`](chinwag_protocol::code::Code).
        code: u32,
        /// The server's words.
        message: String,
        /// Whether the same command may succeed later.
        temporary: bool,
    },
    /// No answer in time. Whether the command was carried out is not known.
    #[error("no answer in time")]
    Timeout,
    /// The answer, or the question, is not what it must be.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Too many messages, or bytes of them, that are not durable yet; wait for some.
    #[error("outbox is full")]
    Full,
    /// The client has ended.
    #[error("client has ended")]
    Ended,
}

impl Error {
    /// The close code, if this is the end of a connection.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Error::Closed(closed) => Some(closed.code),
            _ => None,
        }
    }

    /// Whether the same may succeed later, unchanged.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Reply {
                code, temporary, ..
            } => *temporary || *code < 100,
            _ => false,
        }
    }
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// A close code, see [`Close`](chinwag_protocol::code::Close); 1006 if the peer said none.
    pub code: u16,
    /// What the server said, or what happened.
    pub reason: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason, self.code)
    }
}

impl Closed {
    /// The code of a connection that ended without a word.
    pub const ABNORMAL: u16 = 1006;

    /// An end without a close frame.
    pub(crate) fn abnormal(reason: impl Into<String>) -> Self {
        Self {
            code: Self::ABNORMAL,
            reason: reason.into(),
        }
    }

    /// Whether the server wants this client back.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        !matches!(self.code, 3500..=3999 | 4500..=4999)
    }
}

impl From<Option<CloseFrame>> for Closed {
    fn from(frame: Option<CloseFrame>) -> Self {
        frame.map_or_else(
            || Self::abnormal("closed without a code"),
            |frame| Self {
                code: frame.code.into(),
                reason: frame.reason.to_string(),
            },
        )
    }
}

impl From<reply::Error> for Error {
    fn from(error: reply::Error) -> Self {
        Error::Reply {
            code: error.code,
            message: error.message,
            temporary: error.temporary,
        }
    }
}

impl From<tungstenite::Error> for Error {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => {
                let status = response.status().as_u16();
                let retry_after = retry_after(response.headers());
                let body = response.into_body().unwrap_or_default();
                let body = String::from_utf8_lossy(&body).into_owned();
                Error::Refused {
                    status,
                    body,
                    retry_after,
                }
            }
            error => Error::Closed(Closed::abnormal(error.to_string())),
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Error::Malformed(error.to_string())
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Error::Malformed(error.to_string())
    }
}

/// Longer than this nobody is asked to wait.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);

/// In seconds; a date is not taken.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = Duration::from_secs(seconds.parse().ok()?);
    Some(wait.min(RETRY_AFTER_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_taken_in_seconds_and_not_for_ever() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("3"), Some(Duration::from_secs(3)));
        assert_eq!(after("99999999"), Some(RETRY_AFTER_MOST));
        for odd in [
            "-1",
            "",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "99999999999999999999999",
        ] {
            assert_eq!(after(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
