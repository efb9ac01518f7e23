//! What Redis has lost of a room and the archive has: the place where it goes on, the epochs that
//! it went through meanwhile, what it is, and who is in it.

use std::collections::BTreeMap;

use chinwag_archive::{High, PAGE_MOST, Range};
use chinwag_protocol::code::Refusal;
use chinwag_protocol::event::{Content, Event, Kind, Role, RoomChange};
use chinwag_protocol::id::{RoomId, UserId};
use chinwag_store::Error;
use chinwag_store::append::Draft;
use chinwag_store::member::Membership;
use chinwag_store::restore::{Archived, Restored, Standing};
use chinwag_store::room::NewRoom;

use crate::backend::{Backend, archive_refusal, refusal};

/// Most epochs that a room remembers; positions of earlier ones are refused.
const EPOCHS_MOST: usize = 64;

impl Backend {
    /// Brings a room into the current epoch, with what the archive has and Redis has lost of it.
    pub(crate) async fn reconcile(&self, room: &RoomId, epoch: u64) -> Result<bool, Refusal> {
        let standing = self.store.standing(room).await;
        let standing = standing.map_err(|error| refusal(&error))?;
        let high = self.archive.high(room).await;
        let high = high.map_err(|error| archive_refusal(&error))?;
        let mut archived = Archived::default();
        if let Some(high) = high {
            archived = self.lost(room, standing, high).await?;
        }
        let kind = self.config.namespaces.kind(room);
        let restored = self.store.restore(room, epoch, standing, &archived, kind);
        match restored.await {
            Ok(()) => {
                self.relist(room, &archived, high).await;
                Ok(true)
            }
            Err(Error::Fenced(_) | Error::NeedEpoch { .. }) => Ok(true),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// What the archive has of a room and Redis has not.
    async fn lost(
        &self,
        room: &RoomId,
        standing: Standing,
        high: High,
    ) -> Result<Archived, Refusal> {
        let epochs = self.epochs(room, standing, high).await?;
        let mut archived = Archived {
            seq: high.seq,
            messages: high.messages,
            epochs,
            ..Archived::default()
        };
        let policy = self.config.namespaces.policy(room);
        if !policy.is_some_and(|policy| policy.members_only) {
            return Ok(archived);
        }
        // What Redis has of an epoch that was over by then never was, as far as the archive knows.
        let ended = archived.epochs.first().map_or(u64::MAX, |(_, seq)| *seq);
        let after = if ended < standing.seq {
            0
        } else {
            standing.seq
        };
        if after < high.seq {
            self.happened(room, after, &mut archived).await?;
        }
        Ok(archived)
    }

    /// The memberships that changed after a sequence, and what the room was made as.
    async fn happened(
        &self,
        room: &RoomId,
        after: u64,
        archived: &mut Archived,
    ) -> Result<(), Refusal> {
        let mut members: BTreeMap<UserId, Option<Membership>> = BTreeMap::new();
        let mut after = after;
        loop {
            let page = self.archive.happenings(room, after, PAGE_MOST).await;
            let page = page.map_err(|error| archive_refusal(&error))?;
            for event in &page {
                after = event.seq;
                match &event.content {
                    Content::Member { user, change, role } => {
                        let membership = Membership {
                            role: *role,
                            joined_seq: event.seq,
                        };
                        let membership = change.is_member_after().then_some(membership);
                        members.insert(user.clone(), membership);
                    }
                    _ => self.made(room, event, archived),
                }
            }
            if page.len() < PAGE_MOST {
                break;
            }
        }
        archived.members = members.into_iter().collect();
        Ok(())
    }

    fn made(&self, room: &RoomId, event: &Event, archived: &mut Archived) {
        let Content::Room {
            change,
            name,
            topic,
            made,
        } = &event.content
        else {
            return;
        };
        let before = archived.made.take();
        let kind = before.as_ref().map(|before| before.kind);
        let kind = made.map(|made| made.kind).or(kind);
        let creator = if *change == RoomChange::Created {
            event.sender.clone()
        } else {
            before.as_ref().and_then(|before| before.creator.clone())
        };
        let ack = made.and_then(|made| made.ack);
        archived.made = Some(Restored {
            kind: kind.unwrap_or_else(|| self.config.namespaces.kind(room)),
            name: name.clone(),
            topic: topic.clone(),
            creator,
            ack: ack.or(before.and_then(|before| before.ack)),
        });
    }

    /// Puts a room that was restored into lists again. Fan-out workers do so when something
    /// happens in it, so a failure here only delays it.
    async fn relist(&self, room: &RoomId, archived: &Archived, high: Option<High>) {
        let members = archived.members.iter();
        let members = members.filter(|(_, membership)| membership.is_some());
        let users: Vec<UserId> = members.map(|(user, _)| user.clone()).collect();
        let time = high.map_or(0, |high| high.time);
        let mut listed = self.store.touch_rooms(room, &users, time).await;
        let open = archived.made.as_ref().map(|made| made.kind) == Some(Kind::Open);
        if open && listed.is_ok() {
            listed = self.store.list_open_room(room).await;
        }
        if let Err(error) = listed {
            tracing::warn!(%error, "a room is put into lists later");
        }
    }

    /// The epochs of a room that only the archive knows, each with the sequence after which it
    /// began, ascending. Epochs only grow along a room, so each is found by halving.
    async fn epochs(
        &self,
        room: &RoomId,
        standing: Standing,
        high: High,
    ) -> Result<Vec<(u64, u64)>, Refusal> {
        let mut found = Vec::new();
        let (mut epoch, mut last) = (high.epoch, high.seq);
        while epoch > standing.epoch && found.len() < EPOCHS_MOST {
            let (mut before, mut first) = (0, last);
            while first - before > 1 {
                let middle = before + (first - before) / 2;
                if self.epoch_at(room, middle).await?.unwrap_or(epoch) >= epoch {
                    first = middle;
                } else {
                    before = middle;
                }
            }
            found.push((epoch, first - 1));
            last = first - 1;
            epoch = match last {
                0 => 0,
                last => self.epoch_at(room, last).await?.unwrap_or(0).min(epoch - 1),
            };
        }
        found.reverse();
        Ok(found)
    }

    /// The epoch of the first event of a room from a sequence on.
    async fn epoch_at(&self, room: &RoomId, seq: u64) -> Result<Option<u64>, Refusal> {
        let range = Range {
            from_seq: seq,
            to_seq: u64::MAX,
            limit: 1,
            ascending: true,
        };
        let page = self.archive.page(room, range).await;
        let page = page.map_err(|error| archive_refusal(&error))?;
        Ok(page.first().map(|event| event.epoch))
    }

    /// A room of members that Redis does not know: whether the archive does, and it is back.
    pub(crate) async fn revived(&self, room: &RoomId) -> Result<bool, Refusal> {
        let standing = self.store.standing(room).await;
        if standing.map_err(|error| refusal(&error))? != Standing::default() {
            return Ok(false);
        }
        let high = self.archive.high(room).await;
        if high.map_err(|error| archive_refusal(&error))?.is_none() {
            return Ok(false);
        }
        let partition = self.store.keys().of_room(room);
        self.fenced(partition, || self.store.fenced_epoch(partition))
            .await?;
        let epoch = self.store.epoch(partition).await;
        self.reconcile(room, epoch.map_err(|error| refusal(&error))?)
            .await
    }

    /// What a user is in a room, if anything. A room that Redis has lost comes back for that.
    pub(crate) async fn membership(
        &self,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<Membership>, Refusal> {
        let asked = self.store.membership(room, user).await;
        let found = asked.map_err(|error| refusal(&error))?;
        if found.is_some() || !self.revived(room).await? {
            return Ok(found);
        }
        let asked = self.store.membership(room, user).await;
        asked.map_err(|error| refusal(&error))
    }

    /// Has a room be there that Redis does not know, if the archive does or if it is a direct one
    /// that begins with this message. Says whether to try again.
    pub(crate) async fn begin_room(&self, draft: &Draft) -> Result<bool, Refusal> {
        if self.revived(&draft.room).await? {
            return Ok(true);
        }
        self.begin_direct(draft).await
    }

    /// A direct room comes to be with its first message: makes it if the sender is one of its two
    /// users and the other exists.
    async fn begin_direct(&self, draft: &Draft) -> Result<bool, Refusal> {
        let (Some((low, high)), Some(sender)) = (draft.room.direct_pair(), draft.sender.clone())
        else {
            return Ok(false);
        };
        if sender != low && sender != high {
            return Ok(false);
        }
        let pair = [low, high];
        let known = self.store.users(&pair).await;
        let known = known.map_err(|error| refusal(&error))?;
        if known.iter().any(Option::is_none) {
            return Ok(false);
        }
        let new = NewRoom {
            room: draft.room.clone(),
            kind: Kind::Dm,
            name: String::new(),
            topic: String::new(),
            creator: sender,
            members: pair.into_iter().map(|user| (user, Role::Member)).collect(),
            ack: None,
        };
        self.create_room(&new).await?;
        Ok(true)
    }
}
