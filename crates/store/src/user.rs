//! Accounts: who a user is, the hash of their password, and their tokens' digests.

use chinwag_protocol::id::UserId;
use serde::{Deserialize, Serialize};

use crate::connect::Call;
use crate::error::Result;
use crate::record;
use crate::store::Store;
use crate::value::{self, Fields};

/// Most tokens of a user: as many places as somebody may be logged in at.
pub const TOKENS_MOST: u64 = 100;

/// How long an expired token is still known, so that its owner hears that it has expired and not
/// that it never was.
const EXPIRED_MILLISECONDS: u64 = 24 * 3600 * 1000;

/// Who a user is, to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name that people see.
    pub display_name: String,
    /// When the account was made, in milliseconds since 1970.
    pub created: u64,
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// Who it is; a user who only ever came with a foreign token has a profile made of the id.
    pub profile: Profile,
    /// Whether they have a live session.
    pub online: bool,
    /// When they last came or went, in milliseconds since 1970; `None` if never.
    pub last_seen: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredProfile(u8, String, u64);

/// A token that lets somebody in until it expires or is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct StoredToken(u8, u64, u64);

impl Store {
    /// Makes an account, once: says whether the name was free. `password` is a PHC string, or
    /// `None` for users whose host vouches for them.
    ///
    /// # Errors
    /// As every write.
    pub async fn create_user(
        &self,
        user: &UserId,
        profile: &Profile,
        password: Option<&str>,
    ) -> Result<bool> {
        let stored = StoredProfile(1, profile.display_name.clone(), profile.created);
        let call = Call::new("create_user")
            .key(self.keys.user(user))
            .arg(record::encode(&stored))
            .arg(password.unwrap_or_default());
        Ok(value::number("user", &self.link.call(&call).await?)? == 1)
    }

    /// The hash of a user's password, a PHC string.
    ///
    /// # Errors
    /// As every read.
    pub async fn password(&self, user: &UserId) -> Result<Option<String>> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.user(user)).arg("password");
        let answer = self.link.query("password", &command).await?;
        value::optional(answer)
            .map(|answer| value::text("password", answer))
            .transpose()
    }

    /// Replaces a user's password hash, if it still is `verified`, and forgets all their tokens but
    /// the one with the digest `keep`. Says whether it did.
    ///
    /// # Errors
    /// As every write.
    pub async fn change_password(
        &self,
        user: &UserId,
        verified: &str,
        password: &str,
        keep: &str,
    ) -> Result<bool> {
        let call = Call::new("change_password")
            .key(self.keys.user(user))
            .key(self.keys.tokens(user))
            .arg(verified)
            .arg(password)
            .arg(keep);
        Ok(value::number("user", &self.link.call(&call).await?)? == 1)
    }

    /// Users as others see them, in the order asked for; `None` for those that do not exist.
    ///
    /// # Errors
    /// As every read.
    pub async fn users(&self, users: &[UserId]) -> Result<Vec<Option<User>>> {
        let mut pipeline = redis::pipe();
        for user in users {
            pipeline
                .cmd("HMGET")
                .arg(self.keys.user(user))
                .arg("profile")
                .arg("seen");
            let online = self.keys.online_users(self.keys.of_user(user));
            pipeline.cmd("SISMEMBER").arg(online).arg(user.as_str());
        }
        let mut answers = self.link.pipeline("users", &pipeline).await?.into_iter();
        let mut found = Vec::with_capacity(users.len());
        for user in users {
            let mut fields = Fields::of("user", answers.next().unwrap_or_default())?;
            let online = answers.next().unwrap_or_default();
            let (profile, seen) = (fields.value()?, fields.value()?);
            let Some(profile) = value::optional(profile) else {
                found.push(None);
                continue;
            };
            let bytes = value::bytes("user", profile)?;
            let StoredProfile(_, display_name, created) = record::decode_value("user", &bytes)?;
            found.push(Some(User {
                id: user.clone(),
                profile: Profile {
                    display_name,
                    created,
                },
                online: value::number("user", &online)? == 1,
                last_seen: value::optional(seen)
                    .map(|seen| value::number("user", &seen))
                    .transpose()?,
            }));
        }
        Ok(found)
    }

    /// One user as others see them.
    ///
    /// # Errors
    /// As every read.
    pub async fn user(&self, user: &UserId) -> Result<Option<User>> {
        Ok(self
            .users(std::slice::from_ref(user))
            .await?
            .pop()
            .flatten())
    }

    /// Remembers a token by its digest, until `expires` (ms since 1970), for a user whose password
    /// hash was `verified`. Says whether it did: not if the password is another by now. Of more
    /// than [`TOKENS_MOST`] those that expire first are forgotten.
    ///
    /// # Errors
    /// As every write.
    pub async fn add_token(
        &self,
        user: &UserId,
        verified: &str,
        digest: &str,
        expires: u64,
    ) -> Result<bool> {
        let call = Call::new("add_token")
            .key(self.keys.user(user))
            .key(self.keys.tokens(user))
            .arg(verified)
            .arg(digest)
            .arg(record::encode(&StoredToken(1, self.now(), expires)))
            .number(expires)
            .number(TOKENS_MOST)
            .number(EXPIRED_MILLISECONDS);
        Ok(value::number("token", &self.link.call(&call).await?)? == 1)
    }

    /// When the token with this digest expires (ms since 1970); `None` if there is no such one.
    ///
    /// # Errors
    /// As every read. A failure is not a "no".
    pub async fn token_expiry(&self, user: &UserId, digest: &str) -> Result<Option<u64>> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.tokens(user)).arg(digest);
        let answer = self.link.query("token", &command).await?;
        let Some(answer) = value::optional(answer) else {
            return Ok(None);
        };
        let bytes = value::bytes("token", answer)?;
        let StoredToken(_, _, expires) = record::decode_value("token", &bytes)?;
        Ok(Some(expires))
    }

    /// Forgets a token.
    ///
    /// # Errors
    /// As every write.
    pub async fn drop_token(&self, user: &UserId, digest: &str) -> Result<()> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.keys.tokens(user)).arg(digest);
        self.link.query("drop_token", &command).await.map(drop)
    }
}
