//! Why conversations end, and what is said of it.

use chinwag_protocol::code::Close;
use chinwag_protocol::codec::DecodeError;
use tokio_tungstenite::tungstenite::Error;

use crate::connection::Connection;
use crate::framing::Breach;

/// Why a conversation ended.
pub(super) enum End {
    /// The peer went.
    Gone,
    /// We close.
    Close(u16, String),
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        End::Close(close.number(), close.reason().to_owned())
    }
}

/// The end that somebody has asked for.
pub(super) fn told(connection: &Connection) -> End {
    let (code, reason) = connection.closing().unwrap_or((3000, String::new()));
    End::Close(code, reason)
}

/// A close frame holds 123 bytes of reason.
pub(super) fn close_reason(error: &DecodeError) -> String {
    format!("bad request: {error}")
        .chars()
        .filter(char::is_ascii)
        .take(120)
        .collect()
}

/// The end of whoever broke a rule of frames.
pub(super) fn broken(breach: &Breach) -> End {
    let code = match breach {
        Breach::Controls => Close::TooManyRequests.number(),
        // Against a policy.
        Breach::Fragments | Breach::Slow => 1008,
    };
    End::Close(code, breach.to_string())
}

/// What an error of the socket means for it.
pub(super) fn failed(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Close(1009, "message too large".to_owned()),
        Error::Utf8(_) => End::Close(1007, "text is not UTF-8".to_owned()),
        Error::Protocol(_) => End::Close(1002, "protocol error".to_owned()),
        Error::Io(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Breach>())
            .map_or(End::Gone, broken),
        _ => End::Gone,
    }
}
