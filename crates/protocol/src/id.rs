//! Names of users, rooms, messages and connections, checked once, here.
//!
//! An id that exists has been validated: nothing else ever reaches a Redis key, so braces, globs,
//! line breaks and control characters cannot get there.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limit::{self, Violation};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $most:expr, $allowed:expr, $set:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text from outside.
            ///
            /// # Errors
            /// Names the field, the limit and what was given.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Violation> {
                let text = text.as_ref();
                check($field, text, $most, $allowed, $set)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Violation;
            fn try_from(text: String) -> Result<Self, Violation> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = Violation;
            fn from_str(text: &str) -> Result<Self, Violation> {
                Self::new(text)
            }
        }
    };
}

id! {
    /// A user: 1 to 60 of `[A-Za-z0-9_.-]`.
    UserId, "user", limit::USER_ID_BYTES, |byte| matches!(byte, b'_' | b'.' | b'-'), "_.-"
}

id! {
    /// A room, which is a channel on the socket: 1 to 128 of `[A-Za-z0-9_.:#-]`.
    RoomId, "room", limit::ROOM_ID_BYTES,
    |byte| matches!(byte, b'_' | b'.' | b'-' | b':' | b'#'), "_.:#-"
}

id! {
    /// A message's name given by its sender, unique for that sender in a room:
    /// 1 to 64 of `[A-Za-z0-9_.:-]`.
    MessageId, "id", limit::MESSAGE_ID_BYTES,
    |byte| matches!(byte, b'_' | b'.' | b'-' | b':'), "_.:-"
}

id! {
    /// One connection of a client (a UUID that the gateway makes).
    ClientId, "client", 64, |byte| byte == b'-', "-"
}

id! {
    /// One life of a gateway or worker process (a UUID made at its start). What a process holds,
    /// it holds under this name, and all of it ends with the lease on the name.
    Incarnation, "incarnation", 64, |byte| byte == b'-', "-"
}

fn check(
    field: &'static str,
    text: &str,
    most: usize,
    punctuation: impl Fn(u8) -> bool,
    set: &str,
) -> Result<(), Violation> {
    if text.is_empty() || text.len() > most {
        let problem = format!("must be 1 to {most} bytes, got {}", text.len());
        return Err(Violation::new(field, problem));
    }
    match text
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || punctuation(byte)))
    {
        Some(at) => {
            let problem = format!("may contain letters, digits and {set} only; see byte {at}");
            Err(Violation::new(field, problem))
        }
        None => Ok(()),
    }
}

impl UserId {
    /// The id of somebody who registers with a name: 2 to 32 bytes, folded to lower case, so
    /// that `Ann` and `ann` are one person.
    ///
    /// # Errors
    /// Names the field `name`, the limit and what was given.
    pub fn registered(name: &str) -> Result<Self, Violation> {
        let name = name.trim();
        if name.len() < 2 || name.len() > 32 {
            let problem = format!("must be 2 to 32 bytes, got {}", name.len());
            return Err(Violation::new("name", problem));
        }
        Self::new(name.to_ascii_lowercase()).map_err(|violation| violation.of("name"))
    }
}

impl RoomId {
    /// What stands before the first `:`, which selects the policy; empty for the default one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0
            .split_once(':')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The personal channel of a user, `#<user>`.
    #[must_use]
    pub fn personal(user: &UserId) -> Self {
        Self(format!("#{user}").into())
    }

    /// Whose personal channel this is, if it is one.
    #[must_use]
    pub fn personal_owner(&self) -> Option<&str> {
        self.0.strip_prefix('#')
    }

    /// The direct room of two users, the same whoever begins: `dm:<lesser>:<greater>`.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self(format!("dm:{low}:{high}").into())
    }

    /// The two users of a direct room, if this is a well-formed one.
    #[must_use]
    pub fn direct_pair(&self) -> Option<(UserId, UserId)> {
        let (low, high) = self.0.strip_prefix("dm:")?.split_once(':')?;
        let pair = (UserId::new(low).ok()?, UserId::new(high).ok()?);
        (pair.0 < pair.1).then_some(pair)
    }

    /// A room made by `room.create`, from 128 random bits: nobody can guess it.
    #[must_use]
    pub fn created(random: u128) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut id = String::from("room:");
        for place in (0..26).rev() {
            let index = usize::try_from((random >> (place * 5)) & 31).unwrap_or(0);
            id.push(char::from(LETTERS[index]));
        }
        Self(id.into())
    }
}

impl MessageId {
    /// When it was made, in milliseconds since 1970, if it is a version 7 UUID and so says that.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        let bytes = self.as_str().as_bytes();
        let hyphens = [8, 13, 18, 23];
        let well_formed = bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| {
                if hyphens.contains(&at) {
                    *byte == b'-'
                } else {
                    byte.is_ascii_hexdigit()
                }
            })
            && bytes.get(14) == Some(&b'7')
            && matches!(bytes.get(19), Some(b'8' | b'9' | b'a' | b'b' | b'A' | b'B'));
        if !well_formed {
            return None;
        }
        let (high, low) = (self.as_str().get(..8)?, self.as_str().get(9..13)?);
        u64::from_str_radix(&format!("{high}{low}"), 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_controls_and_overlong_ids_are_refused_with_the_limit() {
        for bad in ["", "a{b}", "a b", "a\nb", "a*", "\u{e9}", &"x".repeat(129)] {
            assert!(RoomId::new(bad).is_err(), "{bad:?}");
        }
        let error = RoomId::new("room{1}").unwrap_err().to_string();
        assert_eq!(
            error,
            "room: may contain letters, digits and _.:#- only; see byte 4"
        );
    }

    #[test]
    fn a_direct_room_is_the_same_whoever_begins() {
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        assert_eq!(RoomId::direct(&ann, &bob), RoomId::direct(&bob, &ann));
        assert_eq!(RoomId::direct(&bob, &ann).direct_pair(), Some((ann, bob)));
        assert_eq!(RoomId::new("dm:bob:ann").unwrap().direct_pair(), None);
    }

    #[test]
    fn registered_names_fold_case() {
        assert_eq!(UserId::registered(" Ann ").unwrap().as_str(), "ann");
        assert!(UserId::registered("a").is_err());
    }

    #[test]
    fn created_rooms_are_valid_ids_of_one_length() {
        let room = RoomId::created(u128::MAX);
        assert_eq!(RoomId::new(room.as_str()).unwrap().as_str().len(), 31);
        assert_eq!(room.namespace(), "room");
    }

    #[test]
    fn a_version_7_uuid_says_when_it_was_made() {
        let time = |id: &str| MessageId::new(id).unwrap().time();
        let id = "019342b3-1f00-7abc-8def-0123456789ab";
        assert_eq!(time(id), Some(0x0193_42b3_1f00));
        assert_eq!(time(&id.to_uppercase()), Some(0x0193_42b3_1f00));
        for other in [
            "m-1",
            "019342b3-1f00-4abc-8def-0123456789ab",
            "019342b3-1f00-7abc-cdef-0123456789ab",
            "019342b3_1f00-7abc-8def-0123456789ab",
            "019342b31f007abc8def0123456789ab",
        ] {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
