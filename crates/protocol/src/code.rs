//! What went wrong, as a code whose meaning is the client's next move.
//!
//! Numbers 100 to 112 and all close codes are those of the centrifuge protocol, so that its SDKs
//! react rightly; from 400 on they are ours.

use thiserror::Error;

use crate::limit::Violation;

/// Why a command was refused. One number on the socket, one status and slug over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Our fault, or Redis's; try again.
    Internal,
    /// Redis or the archive cannot be reached; try again.
    Unavailable,
    /// No valid token.
    Unauthorized,
    /// No such channel namespace.
    UnknownChannel,
    /// Not for you. Also the answer for a channel that does not exist.
    PermissionDenied,
    /// No such command.
    MethodNotFound,
    /// This connection has that subscription.
    AlreadySubscribed,
    /// Too many of something at once, for one connection.
    LimitExceeded,
    /// Malformed; the message names the field.
    BadRequest,
    /// Switched off here.
    NotAvailable,
    /// The token was good once; get another.
    TokenExpired,
    /// The connection or subscription has run out.
    Expired,
    /// Slow down, then try again.
    TooManyRequests,
    /// History before the position cannot be given without a hole.
    UnrecoverablePosition,
    /// No such thing, or not for you to know.
    NotFound,
    /// It exists already, or changed meanwhile.
    Conflict,
    /// More bytes than the limit.
    TooLarge,
}

impl Code {
    /// The number on the socket.
    #[must_use]
    pub fn number(self) -> u32 {
        self.row().0
    }

    /// The status over HTTP.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// The word for it in HTTP bodies, logs and metric labels.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.row().2
    }

    /// Whether the same command may succeed later, unchanged.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Code::Internal | Code::Unavailable | Code::TooManyRequests
        )
    }

    fn row(self) -> (u32, u16, &'static str) {
        match self {
            Code::Internal => (100, 500, "internal"),
            Code::Unavailable => (100, 503, "unavailable"),
            Code::Unauthorized => (101, 401, "unauthorized"),
            Code::UnknownChannel => (102, 404, "unknown_channel"),
            Code::PermissionDenied => (103, 403, "permission_denied"),
            Code::MethodNotFound => (104, 404, "method_not_found"),
            Code::AlreadySubscribed => (105, 409, "already_subscribed"),
            Code::LimitExceeded => (106, 422, "limit_exceeded"),
            Code::BadRequest => (107, 400, "bad_request"),
            Code::NotAvailable => (108, 404, "not_available"),
            Code::TokenExpired => (109, 401, "token_expired"),
            Code::Expired => (110, 401, "expired"),
            Code::TooManyRequests => (111, 429, "too_many_requests"),
            Code::UnrecoverablePosition => (112, 410, "unrecoverable_position"),
            Code::NotFound => (404, 404, "not_found"),
            Code::Conflict => (409, 409, "conflict"),
            Code::TooLarge => (413, 413, "too_large"),
        }
    }
}

/// A refusal: the code, what the peer may know, and the field if one is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// The client's next move.
    pub code: Code,
    /// For the peer: names the field and the limit, never a secret or another's business.
    pub message: String,
    /// The field at fault.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// A refusal with a message for the peer.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
        }
    }

    /// The one answer for rooms that are missing and rooms that are none of the caller's business.
    #[must_use]
    pub fn no_such_room() -> Self {
        Self::new(Code::NotFound, "room not found")
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        let message = violation.to_string();
        Self {
            code: Code::BadRequest,
            message,
            field: Some(violation.field),
        }
    }
}

/// Why a connection is closed. SDKs reconnect after 3000-3499 and give up after 3500-3999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The server said goodbye as asked.
    Normal,
    /// This gateway is going down; others are there.
    Shutdown,
    /// Something broke on our side.
    ServerError,
    /// The token's time ran out.
    Expired,
    /// The peer took nothing for too long.
    Slow,
    /// Messages were lost on the way to it; a new connection recovers them.
    InsufficientState,
    /// No answer to a ping.
    NoPong,
    /// Too many commands.
    TooManyRequests,
    /// The token is not, or no longer, good.
    InvalidToken,
    /// The peer broke the protocol.
    BadRequest,
    /// Nothing was said after connecting.
    Stale,
    /// An operator or the server API asked for it.
    ForceNoReconnect,
    /// Too many connections.
    ConnectionLimit,
    /// The data cannot be said in this encoding.
    InappropriateProtocol,
    /// Anonymous connections are not let in, or the like.
    PermissionDenied,
}

impl Close {
    /// The WebSocket close code.
    #[must_use]
    pub fn number(self) -> u16 {
        self.row().0
    }

    /// The reason sent with it, and the metric label's word.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.row().1
    }

    /// Whether the client should come back by itself.
    #[must_use]
    pub fn reconnects(self) -> bool {
        !(3500..4000).contains(&self.number())
    }

    fn row(self) -> (u16, &'static str) {
        match self {
            Close::Normal => (3000, "connection closed"),
            Close::Shutdown => (3001, "shutdown"),
            Close::ServerError => (3004, "internal server error"),
            Close::Expired => (3005, "connection expired"),
            Close::Slow => (3008, "slow"),
            Close::InsufficientState => (3010, "insufficient state"),
            Close::NoPong => (3012, "no pong"),
            Close::TooManyRequests => (3013, "too many requests"),
            Close::InvalidToken => (3500, "invalid token"),
            Close::BadRequest => (3501, "bad request"),
            Close::Stale => (3502, "stale"),
            Close::ForceNoReconnect => (3503, "force disconnect"),
            Close::ConnectionLimit => (3504, "connection limit"),
            Close::InappropriateProtocol => (3506, "inappropriate protocol"),
            Close::PermissionDenied => (3507, "permission denied"),
        }
    }
}
