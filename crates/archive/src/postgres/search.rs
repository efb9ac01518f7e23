//! Candidates from a GIN index.

use tokio_postgres::types::Type;

use super::read;
use super::session::Session;
use crate::error::Result;
use crate::row::event_columns;
use crate::search::{Found, Scan, Step};

/// Planned anew each time: whether to go by the words or down the numbers depends on how common
/// the words are.
const CANDIDATES: &str = concat!(
    "SELECT t.number, ",
    event_columns!(),
    " FROM chinwag.texts AS t JOIN chinwag.events AS e ON e.room = t.room AND e.seq = t.seq",
    " WHERE t.tokens @@ $1::text::tsquery AND t.number < $2",
    " ORDER BY t.number DESC LIMIT $3"
);

/// Runs a search to its end or to its limit.
pub(super) async fn run(session: &Session, mut scan: Scan) -> Result<Found> {
    let expression = expression(&scan.tokens(), &scan.room_tokens());
    while let Step::Read { before, limit } = scan.step() {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = session
            .client
            .query_typed(
                CANDIDATES,
                &[
                    (&expression, Type::TEXT),
                    (&before, Type::INT8),
                    (&most, Type::INT8),
                ],
            )
            .await?;
        let candidates = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, read::stored(row, 1)?.row()?)));
        scan.take(candidates.collect::<Result<Vec<_>>>()?, limit);
    }
    Ok(scan.found())
}

/// All of the tokens, and one of the rooms'. No token has a quotation mark or backslash in it.
fn expression(tokens: &[String], rooms: &[String]) -> String {
    let quoted = |token: &String| format!("'{token}'");
    let mut all: Vec<String> = tokens.iter().map(quoted).collect();
    if !rooms.is_empty() {
        let any: Vec<String> = rooms.iter().map(quoted).collect();
        all.push(format!("({})", any.join(" | ")));
    }
    all.join(" & ")
}
