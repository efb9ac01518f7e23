//! Does once what an archiver does all the time: rows and checkpoint, then the marks.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag_archive::{Commit, Row};
use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use chinwag_store::log::LogId;

use crate::support::Server;

impl Server {
    /// Archives everything there is.
    pub async fn archive_all(&self) {
        let store = self.another().await;
        let keys = store.keys();
        let places: Vec<_> = (0..keys.partitions())
            .map(|number| (chinwag_store::Partition(number), LogId::default()))
            .collect();
        let mut reader = store.reader(100_000, Duration::from_millis(10)).unwrap();
        for batch in reader.read(&places).await.unwrap() {
            let rows: Vec<Row> = batch
                .entries
                .iter()
                .map(|entry| {
                    let (room, event) = entry.read().unwrap();
                    let (room, event) = (room.clone(), event.clone());
                    Row { room, event }
                })
                .collect();
            let upto = batch.entries.last().unwrap().id.to_string();
            let commit = Commit {
                partition: batch.partition.0,
                token: 1,
                epoch: batch.epoch,
                rows: &rows,
                upto: &upto,
            };
            self.archive().commit(commit).await.unwrap();
            let archived = rows.into_iter();
            let archived =
                archived.map(|row| (row.room, Position::new(row.event.epoch, row.event.seq)));
            let archived: BTreeMap<RoomId, Position> = archived.collect();
            let marks: Vec<_> = archived.into_iter().collect();
            store.mark_archived(&marks).await.unwrap();
        }
    }
}
