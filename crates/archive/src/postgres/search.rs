//! Candidates from the words of messages, by whichever way is the shorter.
//!
//! A common word is soon met on the way down from the newest message, and an index on it would
//! name a million places that are then sorted for the sake of twenty. A rare word is the reverse.
//! The planner knows neither how common a word is nor where, so both ways are bounded here: a look
//! at the newest few thousand messages, and unless that was enough, the index.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::read;
use super::session::Session;
use crate::error::Result;
use crate::row::event_columns;
use crate::search::{Found, Scan, Step};

const AMONG_THE_NEWEST: &str = concat!(
    "SELECT t.number, ",
    event_columns!(),
    " FROM (SELECT number, room, seq, tokens FROM chinwag.texts",
    "       WHERE number < $2 ORDER BY number DESC LIMIT 4000) AS t",
    " JOIN chinwag.events AS e ON e.room = t.room AND e.seq = t.seq",
    " WHERE t.tokens @@ $1::text::tsquery ORDER BY t.number DESC LIMIT $3"
);

/// MATERIALIZED keeps the limit from the planner, which would otherwise go down the numbers.
const BY_THE_INDEX: &str = concat!(
    "WITH t AS MATERIALIZED (",
    "  SELECT number, room, seq FROM chinwag.texts",
    "  WHERE tokens @@ $1::text::tsquery AND number < $2",
    ") SELECT t.number, ",
    event_columns!(),
    " FROM (SELECT * FROM t ORDER BY number DESC LIMIT $3) AS t",
    " JOIN chinwag.events AS e ON e.room = t.room AND e.seq = t.seq",
    " ORDER BY t.number DESC"
);

/// Runs a search to its end or to its limit.
pub(super) async fn run(session: &Session, mut scan: Scan) -> Result<Found> {
    let expression = expression(&scan.tokens(), &scan.room_tokens());
    let mut way = AMONG_THE_NEWEST;
    while let Step::Read { before, limit } = scan.step() {
        let mut rows = candidates(session, way, &expression, before, limit).await?;
        if rows.len() < limit && way == AMONG_THE_NEWEST {
            way = BY_THE_INDEX;
            rows = candidates(session, way, &expression, before, limit).await?;
        }
        let candidates = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, read::stored(row, 1)?.row()?)));
        scan.take(candidates.collect::<Result<Vec<_>>>()?, limit);
    }
    Ok(scan.found())
}

/// Planned anew each time, with the words in sight.
async fn candidates(
    session: &Session,
    way: &str,
    expression: &str,
    before: i64,
    limit: usize,
) -> Result<Vec<Row>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
        (&expression, Type::TEXT),
        (&before, Type::INT8),
        (&most, Type::INT8),
    ];
    Ok(session.client.query_typed(way, &values).await?)
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
