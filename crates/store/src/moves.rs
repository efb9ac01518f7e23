//! Moves of rooms in their members' lists that were put off, so that whoever takes a partition over
//! makes them.

use chinwag_protocol::id::RoomId;

use crate::connect::Call;
use crate::error::{Error, Result};
use crate::partition::Partition;
use crate::store::Store;
use crate::value::Fields;

impl Store {
    /// Remembers that rooms of a partition are to move to these times at least, in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// As every write.
    pub async fn put_off_moves(&self, partition: Partition, rooms: &[(RoomId, u64)]) -> Result<()> {
        if rooms.is_empty() {
            return Ok(());
        }
        let call = Call::new("put_off_moves").key(self.keys.moves(partition));
        let add = |call: Call, (room, time): &(RoomId, u64)| call.arg(room.as_str()).number(*time);
        self.link
            .call(&rooms.iter().fold(call, add))
            .await
            .map(drop)
    }

    /// A room has moved to a time.
    ///
    /// # Errors
    /// As every write.
    pub async fn made_move(&self, room: &RoomId, time: u64) -> Result<()> {
        let call = Call::new("made_move")
            .key(self.keys.moves(self.keys.of_room(room)))
            .arg(room.as_str())
            .number(time);
        self.link.call(&call).await.map(drop)
    }

    /// The rooms of a partition that are still to move, `most` at most, and to which times at least.
    ///
    /// # Errors
    /// As every read.
    pub async fn moves_put_off(
        &self,
        partition: Partition,
        most: usize,
    ) -> Result<Vec<(RoomId, u64)>> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.keys.moves(partition)).arg(0);
        command.arg(most.max(1) - 1).arg("WITHSCORES");
        let answer = self.link.query("moves", &command).await?;
        let mut fields = Fields::of("moves", answer)?;
        let mut rooms = Vec::new();
        while !fields.is_empty() {
            let room = RoomId::new(fields.text()?);
            let room = room.map_err(|error| Error::corrupt("moves", error))?;
            rooms.push((room, fields.number()?));
        }
        Ok(rooms)
    }
}
