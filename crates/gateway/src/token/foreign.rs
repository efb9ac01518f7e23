//! Tokens of a host that has users of its own: JWT, signed with HMAC-SHA-256 and the configured
//! secret, and nothing else. `sub` is the user; `exp`, if there, is honoured; `info` is shown to
//! others. `aud` and `iss` are the host's own business.

use chinwag_protocol::id::{RoomId, UserId};
use chinwag_protocol::json::Json;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;
use serde_json::value::RawValue;

use super::{Grant, TokenError, provider};
use crate::config::Secret;

/// How far the host's clock may be off, in seconds.
const LEEWAY_SECONDS: u64 = 5;
/// Largest `info`, in bytes: it is kept for each session and sent with each join.
const INFO_BYTES: usize = 4096;

/// What a connection token says.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Who.
    pub user: UserId,
    /// Until when, in milliseconds since 1970, the leeway included.
    pub expires_at: Option<u64>,
    /// What others may see of the connection.
    pub info: Option<Json>,
}

#[derive(Deserialize)]
struct ConnectionClaims {
    sub: String,
    exp: Option<Number>,
    info: Option<Box<RawValue>>,
    channel: Option<String>,
}

#[derive(Deserialize)]
struct SubscriptionClaims {
    #[serde(default)]
    sub: String,
    channel: String,
    exp: Option<Number>,
    info: Option<Box<RawValue>>,
}

/// Checks a connection token; without a secret there are none.
///
/// # Errors
/// `Invalid` or `Expired`.
pub fn verify(secret: Option<&Secret>, token: &str) -> Result<Foreign, TokenError> {
    let claims: ConnectionClaims = decode(secret, token)?;
    // A token for one channel must not open everything else.
    if claims.channel.is_some() {
        return Err(TokenError::Invalid);
    }
    Ok(Foreign {
        user: UserId::new(claims.sub).map_err(|_| TokenError::Invalid)?,
        expires_at: claims.exp.as_ref().map(milliseconds),
        info: info(claims.info)?,
    })
}

/// Checks a subscription token of `user` (`None`: anonymous) for `room`.
///
/// # Errors
/// `Invalid` or `Expired`.
pub fn verify_subscription(
    secret: Option<&Secret>,
    token: &str,
    user: Option<&UserId>,
    room: &RoomId,
) -> Result<Grant, TokenError> {
    let claims: SubscriptionClaims = decode(secret, token)?;
    if claims.sub != user.map_or("", UserId::as_str) || claims.channel != room.as_str() {
        return Err(TokenError::Invalid);
    }
    Ok(Grant {
        expires_at: claims.exp.as_ref().map(milliseconds),
        info: info(claims.info)?,
    })
}

fn decode<T: DeserializeOwned>(secret: Option<&Secret>, token: &str) -> Result<T, TokenError> {
    let secret = secret.ok_or(TokenError::Invalid)?;
    provider::install();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.expose());
    match jsonwebtoken::decode(token, &key, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) => match error.kind() {
            ErrorKind::ExpiredSignature => Err(TokenError::Expired),
            _ => Err(TokenError::Invalid),
        },
    }
}

/// The last moment of a token that expires at `seconds`, which was found to be a number.
fn milliseconds(seconds: &Number) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float outside the range becomes its nearest end, which is what is meant"
    )]
    let rounded = |number: f64| number.round() as u64;
    let seconds = seconds
        .as_u64()
        .or_else(|| seconds.as_f64().map(rounded))
        .unwrap_or(0);
    seconds.saturating_add(LEEWAY_SECONDS).saturating_mul(1000)
}

fn info(info: Option<Box<RawValue>>) -> Result<Option<Json>, TokenError> {
    let check = |raw: Box<RawValue>| Json::new("info", raw.get().as_bytes(), INFO_BYTES);
    info.map(check).transpose().map_err(|_| TokenError::Invalid)
}

#[cfg(test)]
mod tests;
