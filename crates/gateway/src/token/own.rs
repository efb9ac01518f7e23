//! Our own tokens: `cw1.<user>.<secret>`, where the secret is 256 random bits.
//!
//! The server keeps nothing but the SHA-256 of the secret: whoever reads Redis cannot log in with
//! what is there. The secret is not a password, so a fast hash is enough, and looking it up by its
//! digest tells an attacker's clock nothing about any stored one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag_protocol::id::UserId;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// The kind and version of the token.
const PREFIX: &str = "cw1.";
/// 32 bytes in base64.
const SECRET_CHARACTERS: usize = 43;

/// A token of ours, well-formed but not yet looked up.
pub struct Token {
    /// Whose it says it is.
    pub user: UserId,
    secret: String,
}

impl Token {
    /// A new token for a user; `None` if the system has no randomness.
    #[must_use]
    pub fn new(user: UserId) -> Option<Self> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).ok()?;
        let secret = URL_SAFE_NO_PAD.encode(random);
        Some(Self { user, secret })
    }

    /// Takes a text apart; `None` if it is not of this form. User ids may contain dots, secrets
    /// do not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (user, secret) = text.strip_prefix(PREFIX)?.rsplit_once('.')?;
        let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if secret.len() != SECRET_CHARACTERS || !secret.bytes().all(in_alphabet) {
            return None;
        }
        let user = UserId::new(user).ok()?;
        let secret = secret.to_owned();
        Some(Self { user, secret })
    }

    /// As its owner gets it, once.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}.{}", self.user, self.secret)
    }

    /// As it is stored: the SHA-256 of the secret, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.secret.as_bytes());
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        hex.collect()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({}, …)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the text, it is a token that reads back, or none.
        #[test]
        fn any_text_is_a_token_or_none(text in "(cw1\\.)?\\PC*|cw1\\.[a-z.]{1,70}\\.[A-Za-z0-9_-]{42,44}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(token.text(), text);
            }
        }
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn a_token_names_its_user_even_with_dots() {
        let token = Token::new(user("ann.b.c")).unwrap();
        let read = Token::parse(&token.text()).unwrap();
        assert_eq!(read.user, user("ann.b.c"));
        assert_eq!(read.digest(), token.digest());
        assert_eq!(token.digest().len(), 64);
    }

    #[test]
    fn no_two_tokens_are_alike_and_none_shows_in_logs() {
        let (one, other) = (
            Token::new(user("ann")).unwrap(),
            Token::new(user("ann")).unwrap(),
        );
        assert_ne!(one.text(), other.text());
        assert_eq!(format!("{one:?}"), "Token(ann, …)");
    }

    #[test]
    fn what_is_not_of_the_form_is_no_token() {
        let secret = "A".repeat(43);
        for bad in [
            String::new(),
            "cw1.".into(),
            "cw1.ann".into(),
            format!("cw1..{secret}"),
            format!("cw2.ann.{secret}"),
            format!("cw1.a{{b}}.{secret}"),
            format!("cw1.ann.{secret}A"),
            format!("cw1.ann.{}", &secret[1..]),
            format!("cw1.ann.{}+", &secret[1..]),
            format!("cw1.ann.{secret}\n"),
        ] {
            assert!(Token::parse(&bad).is_none(), "{bad:?}");
        }
        assert!(Token::parse(&format!("cw1.ann.{secret}")).is_some());
    }
}
