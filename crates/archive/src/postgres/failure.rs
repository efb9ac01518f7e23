//! What a failure of PostgreSQL means to a caller.

use std::error::Error as _;

use tokio_postgres::error::{DbError, SqlState};

use crate::error::Error;

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(answer) = error.as_db_error() {
            return answered(answer);
        }
        let cause = error
            .source()
            .map_or_else(String::new, |cause| format!(": {cause}"));
        let text = format!("PostgreSQL: {error}{cause}");
        let network = matches!(error.source(), Some(cause) if cause.is::<std::io::Error>());
        if network || error.is_closed() {
            Self::Unavailable(text)
        } else {
            Self::Refused(text)
        }
    }
}

/// The message and code of an answer; its details can hold the values of a row and stay behind.
fn answered(answer: &DbError) -> Error {
    let code = answer.code();
    let text = format!("PostgreSQL: {} ({})", answer.message(), code.code());
    let temporary = match code.code().get(..2) {
        // Connection, transaction collided, resources, lock not to be had or server stopping,
        // system.
        Some("08" | "40" | "53" | "55" | "57" | "58") => true,
        // After a failover this connection may lead to what is now a replica.
        _ => {
            *code == SqlState::READ_ONLY_SQL_TRANSACTION
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        }
    };
    if temporary {
        Error::Unavailable(text)
    } else {
        Error::Refused(text)
    }
}
