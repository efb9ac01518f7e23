//! The only place where a key is spelled.
//!
//! Every key that belongs to a partition carries the partition's tag in braces, so that all keys
//! of one function call live in one slot of a cluster. Ids are validated before they get here.

use chinwag_protocol::id::{Incarnation, RoomId, UserId};

use crate::partition::{self, Partition};

/// The spelling of keys for one number of partitions.
#[derive(Debug)]
pub struct Keys {
    tags: Vec<String>,
}

/// The keys of one room.
#[derive(Debug, Clone)]
pub(crate) struct RoomKeys {
    pub room: String,
    pub history: String,
    pub members: String,
    pub read: String,
    pub channel: String,
}

/// Hash of what is fixed at first start (count of partitions, version of the layout).
pub(crate) const DEPLOYMENT: &str = "chinwag";
/// Sorted set of gateway incarnations by the end of their leases.
pub(crate) const GATEWAYS: &str = "gateways";
/// Sorted set of rooms that anyone may join, by time of creation.
pub(crate) const OPEN_ROOMS: &str = "open_rooms";
/// Stream of the last orders to all gateways.
pub(crate) const ORDERS: &str = "orders";
/// Channel of orders to all gateways.
pub(crate) const CONTROL: &str = "control";

impl Keys {
    /// Keys for `partitions` partitions.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self {
            tags: partition::tags(partitions),
        }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.tags.len()).unwrap_or(u16::MAX)
    }

    /// The partition of a room.
    #[must_use]
    pub fn of_room(&self, room: &RoomId) -> Partition {
        partition::of(room.as_str(), self.partitions())
    }

    /// The partition of a user.
    #[must_use]
    pub fn of_user(&self, user: &UserId) -> Partition {
        partition::of(user.as_str(), self.partitions())
    }

    fn tag(&self, partition: Partition) -> &str {
        self.tags
            .get(usize::from(partition.0))
            .map_or("0", String::as_str)
    }

    pub(crate) fn epoch(&self, partition: Partition) -> String {
        format!("epoch:{{{}}}", self.tag(partition))
    }

    pub(crate) fn log(&self, partition: Partition) -> String {
        format!("log:{{{}}}", self.tag(partition))
    }

    pub(crate) fn mark(&self, partition: Partition) -> String {
        format!("mark:{{{}}}", self.tag(partition))
    }

    /// The rooms of a partition that are still to move in their members' lists.
    pub(crate) fn moves(&self, partition: Partition) -> String {
        format!("moves:{{{}}}", self.tag(partition))
    }

    pub(crate) fn lease(&self, partition: Partition, role: &str) -> String {
        format!("lease:{{{}}}:{role}", self.tag(partition))
    }

    pub(crate) fn room(&self, room: &RoomId) -> RoomKeys {
        let tag = self.tag(self.of_room(room));
        RoomKeys {
            room: format!("room:{{{tag}}}:{room}"),
            history: format!("history:{{{tag}}}:{room}"),
            members: format!("members:{{{tag}}}:{room}"),
            read: format!("read:{{{tag}}}:{room}"),
            channel: self.channel(room),
        }
    }

    /// The members of a large room by name.
    pub(crate) fn roster(&self, room: &RoomId) -> String {
        format!("roster:{{{}}}:{room}", self.tag(self.of_room(room)))
    }

    /// The hash of client message ids of one dedupe bucket of a room.
    pub(crate) fn sent(&self, room: &RoomId, bucket: u64) -> String {
        format!("sent:{{{}}}:{room}:{bucket}", self.tag(self.of_room(room)))
    }

    /// The pub/sub channel of a room, for whoever asks a server where it is.
    #[must_use]
    pub fn channel_of(&self, room: &RoomId) -> String {
        self.channel(room)
    }

    /// The pub/sub channel of a room.
    pub(crate) fn channel(&self, room: &RoomId) -> String {
        format!("channel:{{{}}}:{room}", self.tag(self.of_room(room)))
    }

    /// The room whose pub/sub channel this is.
    pub(crate) fn room_of_channel(channel: &str) -> Option<RoomId> {
        let (_, room) = channel.strip_prefix("channel:{")?.split_once("}:")?;
        RoomId::new(room).ok()
    }

    /// The pub/sub channel on which a partition's archived places are told.
    pub(crate) fn archived(&self, partition: Partition) -> String {
        format!("archived:{{{}}}", self.tag(partition))
    }

    /// Whether it is told on this channel what is archived.
    pub(crate) fn is_archived_channel(channel: &str) -> bool {
        channel.starts_with("archived:{")
    }

    /// The clients that are subscribed to a channel with presence.
    pub(crate) fn clients(&self, room: &RoomId) -> String {
        format!("clients:{{{}}}:{room}", self.tag(self.of_room(room)))
    }

    /// The rooms of a partition in whose presence a gateway has clients.
    pub(crate) fn held_rooms(&self, partition: Partition, incarnation: &Incarnation) -> String {
        format!("held_rooms:{{{}}}:{incarnation}", self.tag(partition))
    }

    /// The sessions of members who are online but do not listen to the room.
    pub(crate) fn watch(&self, room: &RoomId) -> String {
        format!("watch:{{{}}}:{room}", self.tag(self.of_room(room)))
    }

    pub(crate) fn user(&self, user: &UserId) -> String {
        format!("user:{{{}}}:{user}", self.tag(self.of_user(user)))
    }

    pub(crate) fn tokens(&self, user: &UserId) -> String {
        format!("tokens:{{{}}}:{user}", self.tag(self.of_user(user)))
    }

    pub(crate) fn rooms(&self, user: &UserId) -> String {
        format!("rooms:{{{}}}:{user}", self.tag(self.of_user(user)))
    }

    pub(crate) fn sessions(&self, user: &UserId) -> String {
        format!("sessions:{{{}}}:{user}", self.tag(self.of_user(user)))
    }

    pub(crate) fn online_users(&self, partition: Partition) -> String {
        format!("online_users:{{{}}}", self.tag(partition))
    }

    /// The users of a partition who have a session at a gateway.
    pub(crate) fn held(&self, partition: Partition, incarnation: &Incarnation) -> String {
        format!("held:{{{}}}:{incarnation}", self.tag(partition))
    }

    /// The list of users whose presence is to be looked at.
    pub(crate) fn presence(&self, partition: Partition) -> String {
        format!("presence:{{{}}}", self.tag(partition))
    }

    /// The pub/sub channel that tells presence workers to look at a partition's list.
    pub(crate) fn wake(&self, partition: Partition) -> String {
        format!("wake:{{{}}}", self.tag(partition))
    }

    /// The partition whose presence list is to be looked at by what is said on this channel.
    pub(crate) fn partition_of_wake(&self, channel: &str) -> Option<Partition> {
        let tag = channel.strip_prefix("wake:{")?.strip_suffix('}')?;
        let at = self.tags.iter().position(|known| known == tag)?;
        u16::try_from(at).ok().map(Partition)
    }

    /// The pub/sub channel on which one gateway hears what concerns its users.
    pub(crate) fn inbox(incarnation: &Incarnation) -> String {
        format!("inbox:{incarnation}")
    }

    /// The pub/sub channel on which workers of a role tell each other that partitions become free.
    pub(crate) fn handover(role: &str) -> String {
        format!("handover:{role}")
    }

    /// Whether it is told on this channel that partitions become free.
    pub(crate) fn is_handover_channel(channel: &str) -> bool {
        channel.starts_with("handover:")
    }

    /// The sorted set of worker incarnations of a role by the end of their leases.
    pub(crate) fn workers(role: &str) -> String {
        format!("workers:{role}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_names_its_room() {
        let keys = Keys::new(64);
        let room = RoomId::new("dm:ann:bob").unwrap();
        assert_eq!(Keys::room_of_channel(&keys.channel(&room)), Some(room));
        assert_eq!(Keys::room_of_channel("channel:nonsense"), None);
    }

    #[test]
    fn all_keys_of_a_room_carry_its_partitions_tag() {
        let keys = Keys::new(64);
        let room = RoomId::new("room:abc").unwrap();
        let tag = format!("{{{}}}", keys.tag(keys.of_room(&room)));
        let named = keys.room(&room);
        let log = keys.log(keys.of_room(&room));
        for key in [
            named.room,
            named.history,
            named.members,
            named.read,
            named.channel,
            log,
        ] {
            assert!(key.contains(&tag), "{key}");
        }
    }
}
