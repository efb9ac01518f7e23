//! Rows, words and checkpoint in one transaction, behind the fence.

use std::collections::HashSet;

use tokio_postgres::Transaction;

use super::partition;
use super::session::{Session, Statements};
use crate::archive::{Commit, CommitError, Committed};
use crate::error::{Error, Result};
use crate::row::{Columns, unsigned};

/// Inserts a batch and its words by one statement, and returns the places that were free. What
/// conflicts with another row is left out.
pub(super) const INSERT: &str = "
    WITH incoming AS (
        SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[], $5::int8[],
            $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
        AS i (room, seq, epoch, time, messages, kind, sender, client, message_id, content, tokens)
    ), inserted AS (
        INSERT INTO chinwag.events (room, seq, epoch, time, messages, kind, sender, client,
            message_id, content, text_number)
        SELECT room, seq, epoch, time, messages, kind, sender, client, message_id, content,
            CASE WHEN tokens IS NOT NULL THEN nextval('chinwag.text_numbers') END
        FROM incoming
        ON CONFLICT DO NOTHING
        RETURNING room, seq, text_number
    ), worded AS (
        INSERT INTO chinwag.texts (number, room, seq, tokens)
        SELECT text_number, room, seq, array_to_tsvector(string_to_array(tokens, ' '))
        FROM inserted JOIN incoming USING (room, seq)
        WHERE text_number IS NOT NULL
    )
    SELECT room, seq FROM inserted";

/// The places of a batch that are taken, and whether by the same event.
pub(super) const COMPARE: &str = "
    SELECT e.room, e.seq,
        e.epoch = i.epoch AND e.kind = i.kind AND e.sender = i.sender
        AND e.message_id IS NOT DISTINCT FROM i.message_id AND e.content = i.content
    FROM unnest($1::text[], $2::int8[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS i (room, seq, epoch, kind, sender, message_id, content)
    JOIN chinwag.events AS e ON e.room = i.room AND e.seq = i.seq";

/// Inserts an event whose message id is taken, marked with the sequence that has it.
const DUPLICATE: &str = "
    WITH inserted AS (
        INSERT INTO chinwag.events (room, seq, epoch, time, messages, kind, sender, client,
            message_id, content, duplicate_of, text_number)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, o.seq,
            CASE WHEN $11::text IS NOT NULL AND o.content <> $10
                THEN nextval('chinwag.text_numbers') END
        FROM chinwag.events AS o
        WHERE o.room = $1 AND o.sender = $7 AND o.message_id = $9 AND o.duplicate_of IS NULL
        RETURNING room, seq, text_number
    ), worded AS (
        INSERT INTO chinwag.texts (number, room, seq, tokens)
        SELECT text_number, room, seq, array_to_tsvector(string_to_array($11::text, ' '))
        FROM inserted WHERE text_number IS NOT NULL
    )
    SELECT seq FROM inserted";

/// Runs one commit. The inner result is what became of it; the outer one fails if nothing did.
pub(super) async fn run(
    session: &mut Session,
    commit: Commit<'_>,
    rows: &[Columns],
) -> Result<Result<Committed, CommitError>> {
    let statements = &session.statements;
    let transaction = session.client.transaction().await?;
    if !partition::advance(&transaction, statements, commit).await? {
        let (token, epoch) = partition::fence(&transaction, statements, commit.partition).await?;
        return Ok(Err(CommitError::Fenced { token, epoch }));
    }
    let committed = insert(&transaction, statements, rows).await?;
    transaction.commit().await?;
    Ok(Ok(committed))
}

async fn insert(
    transaction: &Transaction<'_>,
    statements: &Statements,
    rows: &[Columns],
) -> Result<Committed> {
    let mut committed = Committed::default();
    let (first, again) = told_apart(rows);
    if !first.is_empty() {
        let free = insert_free(transaction, statements, &first).await?;
        committed.inserted = free.len();
        let mut rest: Vec<&Columns> = first
            .into_iter()
            .filter(|row| !free.contains(&place(row)))
            .collect();
        rest.extend(again);
        if !rest.is_empty() {
            settle(transaction, statements, &rest, &mut committed).await?;
        }
    }
    Ok(committed)
}

type Place = (String, i64);

fn place(row: &Columns) -> Place {
    (row.room.to_string(), row.seq)
}

/// The rows that are the first of a batch in their place, and those that are not.
fn told_apart(rows: &[Columns]) -> (Vec<&Columns>, Vec<&Columns>) {
    let mut places = HashSet::with_capacity(rows.len());
    rows.iter()
        .partition(|row| places.insert((row.room.as_str(), row.seq)))
}

async fn insert_free(
    transaction: &Transaction<'_>,
    statements: &Statements,
    rows: &[&Columns],
) -> Result<HashSet<Place>> {
    let inserted = transaction
        .query(
            &statements.insert,
            &[
                &texts(rows, |row| row.room.as_str()),
                &numbers(rows, |row| row.seq),
                &numbers(rows, |row| row.epoch),
                &numbers(rows, |row| row.time),
                &numbers(rows, |row| row.messages),
                &texts(rows, |row| row.kind),
                &texts(rows, Columns::sender),
                &options(rows, |row| row.client.as_ref().map(AsRef::as_ref)),
                &options(rows, |row| row.message_id.as_ref().map(AsRef::as_ref)),
                &texts(rows, |row| row.content.as_str()),
                &options(rows, |row| row.tokens.as_deref()),
            ],
        )
        .await?;
    inserted
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Rows that could not be inserted: there already, in conflict, or sent before under another
/// sequence.
async fn settle(
    transaction: &Transaction<'_>,
    statements: &Statements,
    rows: &[&Columns],
    committed: &mut Committed,
) -> Result<()> {
    let taken = transaction
        .query(
            &statements.compare,
            &[
                &texts(rows, |row| row.room.as_str()),
                &numbers(rows, |row| row.seq),
                &numbers(rows, |row| row.epoch),
                &texts(rows, |row| row.kind),
                &texts(rows, Columns::sender),
                &options(rows, |row| row.message_id.as_ref().map(AsRef::as_ref)),
                &texts(rows, |row| row.content.as_str()),
            ],
        )
        .await?;
    let mut places = HashSet::with_capacity(taken.len());
    for row in &taken {
        let same: bool = row.try_get(2)?;
        *(if same {
            &mut committed.replayed
        } else {
            &mut committed.conflicts
        }) += 1;
        places.insert((row.try_get(0)?, row.try_get(1)?));
    }
    for row in rows.iter().filter(|row| !places.contains(&place(row))) {
        duplicate(transaction, row).await?;
        committed.inserted += 1;
        committed.duplicates += 1;
    }
    Ok(())
}

async fn duplicate(transaction: &Transaction<'_>, row: &Columns) -> Result<()> {
    let inserted = transaction
        .query_opt(
            DUPLICATE,
            &[
                &row.room.as_str(),
                &row.seq,
                &row.epoch,
                &row.time,
                &row.messages,
                &row.kind,
                &row.sender(),
                &row.client.as_ref().map(AsRef::<str>::as_ref),
                &row.message_id.as_ref().map(AsRef::<str>::as_ref),
                &row.content.as_str(),
                &row.tokens,
            ],
        )
        .await?;
    inserted.map(drop).ok_or_else(|| Error::Corrupt {
        room: row.room.to_string(),
        seq: unsigned(row.seq),
        problem: "was refused, and nothing is in its way".into(),
    })
}

fn texts<'r>(rows: &[&'r Columns], column: impl Fn(&'r Columns) -> &'r str) -> Vec<&'r str> {
    rows.iter().map(|row| column(row)).collect()
}

fn options<'r>(
    rows: &[&'r Columns],
    column: impl Fn(&'r Columns) -> Option<&'r str>,
) -> Vec<Option<&'r str>> {
    rows.iter().map(|row| column(row)).collect()
}

fn numbers(rows: &[&Columns], column: impl Fn(&Columns) -> i64) -> Vec<i64> {
    rows.iter().map(|row| column(row)).collect()
}
