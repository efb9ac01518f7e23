//! Candidates from FTS5.

use rusqlite::{Connection, params};

use super::read;
use crate::error::Result;
use crate::row::event_columns;
use crate::search::{Found, Scan, Step};

/// Runs a search to its end or to its limit.
pub(super) fn run(connection: &Connection, mut scan: Scan) -> Result<Found> {
    // FTS5 walks its lists from the newest number down and stops at the limit; CROSS JOIN keeps
    // the planner from beginning elsewhere.
    let select = concat!(
        "SELECT w.rowid, ",
        event_columns!(),
        " FROM words AS w
          CROSS JOIN texts AS t ON t.number = w.rowid
          CROSS JOIN events AS e ON e.room = t.room AND e.seq = t.seq
          WHERE w.words MATCH ?1 AND w.rowid < ?2
          ORDER BY w.rowid DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(select)?;
    let expression = expression(&scan.tokens(), &scan.room_tokens());
    while let Step::Read { before, limit } = scan.step() {
        let values = params![expression, before, i64::try_from(limit).unwrap_or(i64::MAX)];
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, read::stored(row, 1)?)))?;
        let candidates = rows.map(|row| {
            let (number, stored) = row?;
            Ok((number, stored.row()?))
        });
        scan.take(candidates.collect::<Result<Vec<_>>>()?, limit);
    }
    Ok(scan.found())
}

/// All of the tokens, and one of the rooms'. No token has a quotation mark in it.
fn expression(tokens: &[String], rooms: &[String]) -> String {
    let quoted = |token: &String| format!("\"{token}\"");
    let mut all: Vec<String> = tokens.iter().map(quoted).collect();
    if !rooms.is_empty() {
        let any: Vec<String> = rooms.iter().map(quoted).collect();
        all.push(format!("({})", any.join(" OR ")));
    }
    all.join(" AND ")
}
