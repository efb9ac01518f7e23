//! Rows, words and checkpoint in one transaction, behind the fence.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior};
use rusqlite::{named_params, params};
use tokio::sync::oneshot;

use super::partition;
use crate::archive::{Commit, CommitError, Committed};
use crate::error::{Error, Result};
use crate::row::{Columns, unsigned};

type Outcome = Result<Committed, CommitError>;

/// A commit on its way to the writer.
pub(super) struct Writing {
    pub partition: u16,
    pub token: i64,
    pub epoch: i64,
    pub upto: String,
    pub rows: Vec<Columns>,
    reply: oneshot::Sender<Outcome>,
}

impl Writing {
    pub fn new(
        commit: Commit<'_>,
        rows: Vec<Columns>,
    ) -> Result<(Self, oneshot::Receiver<Outcome>)> {
        let (reply, outcome) = oneshot::channel();
        let number = |value: u64| {
            i64::try_from(value).map_err(|_| Error::Refused(format!("{value} is too large")))
        };
        let writing = Self {
            partition: commit.partition,
            token: number(commit.token)?,
            epoch: number(commit.epoch)?,
            upto: commit.upto.to_owned(),
            rows,
            reply,
        };
        Ok((writing, outcome))
    }

    fn answer(self, outcome: Outcome) {
        // Nobody to tell is the caller's choice; the rows stay.
        let _ = self.reply.send(outcome);
    }
}

/// Commits a group in one transaction. If any of it fails, each is tried alone, so that one bad
/// commit does not hold up the other partitions.
pub(super) fn run(connection: &mut Connection, group: Vec<Writing>) {
    if group.is_empty() {
        return;
    }
    match (together(connection, &group), group.len()) {
        (Ok(outcomes), _) => {
            for (writing, outcome) in group.into_iter().zip(outcomes) {
                writing.answer(outcome);
            }
        }
        (Err(error), 1) => {
            let mut failed = Some(error);
            for writing in group {
                let error = failed.take().unwrap_or_else(super::thread::ended);
                writing.answer(Err(error.into()));
            }
        }
        (Err(_), _) => {
            for writing in group {
                run(connection, vec![writing]);
            }
        }
    }
}

fn together(connection: &mut Connection, group: &[Writing]) -> Result<Vec<Outcome>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = {
        let mut inserts = Inserts::new(&transaction)?;
        let outcomes = group
            .iter()
            .map(|writing| one(&transaction, &mut inserts, writing));
        outcomes.collect::<Result<Vec<_>>>()?
    };
    transaction.commit()?;
    Ok(outcomes)
}

fn one(
    transaction: &Transaction<'_>,
    inserts: &mut Inserts<'_>,
    writing: &Writing,
) -> Result<Outcome> {
    if let Some((token, epoch)) = partition::fence(transaction, writing)? {
        return Ok(Err(CommitError::Fenced { token, epoch }));
    }
    let mut committed = Committed::default();
    for row in &writing.rows {
        inserts.row(transaction, row, &mut committed)?;
    }
    partition::advance(transaction, writing)?;
    Ok(Ok(committed))
}

/// The statements that every row needs, prepared once a group, and the next free text number:
/// nobody else takes one while the transaction lasts.
struct Inserts<'t> {
    event: CachedStatement<'t>,
    text: CachedStatement<'t>,
    words: CachedStatement<'t>,
    text_number: i64,
}

const EVENT: &str = "
    INSERT INTO events (room, seq, epoch, time, messages, kind, sender, client, message_id,
                        content, duplicate_of, text_number)
    VALUES (:room, :seq, :epoch, :time, :messages, :kind, :sender, :client, :message_id,
            :content, :duplicate_of, :text_number)
    ON CONFLICT DO NOTHING";

impl<'t> Inserts<'t> {
    fn new(transaction: &'t Transaction<'_>) -> Result<Self> {
        let next = "SELECT coalesce(max(number), 0) + 1 FROM texts";
        Ok(Self {
            event: transaction.prepare_cached(EVENT)?,
            text: transaction
                .prepare_cached("INSERT INTO texts (number, room, seq) VALUES (?1, ?2, ?3)")?,
            words: transaction
                .prepare_cached("INSERT INTO words (rowid, tokens) VALUES (?1, ?2)")?,
            text_number: transaction
                .prepare_cached(next)?
                .query_row([], |row| row.get(0))?,
        })
    }

    fn row(
        &mut self,
        transaction: &Transaction<'_>,
        row: &Columns,
        committed: &mut Committed,
    ) -> Result<()> {
        if self.insert(row, None, row.tokens.is_some())? {
            committed.inserted += 1;
            return Ok(());
        }
        if let Some(same) = is_same(transaction, row)? {
            *(if same {
                &mut committed.replayed
            } else {
                &mut committed.conflicts
            }) += 1;
            return Ok(());
        }
        // The place is free, so it is the message id that is taken.
        let (original, content) = original(transaction, row)?;
        let says_more = content.as_bytes() != row.content.as_bytes().as_ref();
        self.insert(row, Some(original), says_more && row.tokens.is_some())?;
        committed.inserted += 1;
        committed.duplicates += 1;
        Ok(())
    }

    /// Inserts a row and, if asked to, its words; not if it conflicts with another row.
    fn insert(&mut self, row: &Columns, duplicate_of: Option<i64>, words: bool) -> Result<bool> {
        let inserted = self.event.execute(named_params! {
            ":room": row.room.as_str(),
            ":seq": row.seq,
            ":epoch": row.epoch,
            ":time": row.time,
            ":messages": row.messages,
            ":kind": row.kind,
            ":sender": row.sender(),
            ":client": row.client.as_ref().map(AsRef::<str>::as_ref),
            ":message_id": row.message_id.as_ref().map(AsRef::<str>::as_ref),
            ":content": row.content.as_str(),
            ":duplicate_of": duplicate_of,
            ":text_number": words.then_some(self.text_number),
        })?;
        if inserted == 1 && words {
            self.text
                .execute(params![self.text_number, row.room.as_str(), row.seq])?;
            self.words.execute(params![self.text_number, row.tokens])?;
            self.text_number += 1;
        }
        Ok(inserted == 1)
    }
}

/// Whether the row at this place is this one; nothing if the place is free.
fn is_same(transaction: &Transaction<'_>, row: &Columns) -> Result<Option<bool>> {
    let compare = "
        SELECT epoch = ?3 AND kind = ?4 AND sender = ?5 AND message_id IS ?6 AND content = ?7
        FROM events WHERE room = ?1 AND seq = ?2";
    let id = row.message_id.as_ref().map(AsRef::<str>::as_ref);
    let content = row.content.as_str();
    let values = params![
        row.room.as_str(),
        row.seq,
        row.epoch,
        row.kind,
        row.sender(),
        id,
        content
    ];
    Ok(transaction
        .prepare_cached(compare)?
        .query_row(values, |found| found.get(0))
        .optional()?)
}

/// The sequence and content of the event that has this one's message id.
fn original(transaction: &Transaction<'_>, row: &Columns) -> Result<(i64, String)> {
    let find = "
        SELECT seq, content FROM events
        WHERE room = ?1 AND sender = ?2 AND message_id = ?3 AND duplicate_of IS NULL";
    let id = row.message_id.as_ref().map(AsRef::<str>::as_ref);
    let values = params![row.room.as_str(), row.sender(), id];
    let found = transaction
        .prepare_cached(find)?
        .query_row(values, |found| Ok((found.get(0)?, found.get(1)?)))
        .optional()?;
    found.ok_or_else(|| Error::Corrupt {
        room: row.room.to_string(),
        seq: unsigned(row.seq),
        problem: "was refused, and nothing is in its way".into(),
    })
}

#[cfg(test)]
mod tests {
    use chinwag_protocol::event::{Content, Event};
    use chinwag_protocol::id::RoomId;
    use chinwag_protocol::json::Json;

    use super::*;
    use crate::row::Row;
    use crate::sqlite::connection;

    fn writing(partition: u16, bytes: usize) -> (Writing, oneshot::Receiver<Outcome>) {
        let row = Row {
            room: RoomId::new(format!("room-{partition}")).unwrap(),
            event: Event {
                seq: 1,
                epoch: 1,
                time: 1,
                messages: 1,
                sender: None,
                client: None,
                id: None,
                content: Content::Message {
                    body: Json::of(&"x".repeat(bytes)),
                },
            },
        };
        let commit = Commit {
            partition,
            token: 1,
            epoch: 1,
            rows: &[],
            upto: "1-1",
        };
        Writing::new(commit, vec![Columns::of(&row).unwrap()]).unwrap()
    }

    /// On a full disk a large commit fails, those that waited with it do not, and it succeeds
    /// when there is space again.
    #[test]
    fn a_commit_that_cannot_be_made_fails_alone_and_for_the_time_being() {
        let directory = tempfile::tempdir().unwrap();
        let mut connection = connection::writer(&directory.path().join("archive.db")).unwrap();
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        connection
            .pragma_update(None, "max_page_count", pages + 4)
            .unwrap();
        let (small, small_outcome) = writing(1, 10);
        let (large, large_outcome) = writing(2, 1_000_000);
        run(&mut connection, vec![large, small]);
        assert_eq!(small_outcome.blocking_recv().unwrap().unwrap().inserted, 1);
        let full = large_outcome.blocking_recv().unwrap().unwrap_err();
        assert!(
            matches!(full, CommitError::Failed(Error::Unavailable(_))),
            "{full}"
        );
        assert_eq!(partition::checkpoint(&connection, 2).unwrap(), None);

        connection
            .pragma_update(None, "max_page_count", 1_000_000)
            .unwrap();
        let (large, large_outcome) = writing(2, 1_000_000);
        run(&mut connection, vec![large]);
        assert_eq!(large_outcome.blocking_recv().unwrap().unwrap().inserted, 1);
        assert!(partition::checkpoint(&connection, 2).unwrap().is_some());
    }
}
