//! Tokens of users that the server knows by its secret alone (JWT, HS256).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;

use crate::ending::Usage;

/// Signs with the server's secret.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn from_file(path: &Path) -> anyhow::Result<Self> {
        let bad = |problem: String| {
            let usage = format!("--token-secret-file {}: {problem}", path.display());
            anyhow::Error::from(Usage(usage))
        };
        let secret = std::fs::read_to_string(path);
        let secret = secret.map_err(|error| bad(error.to_string()))?;
        match secret.trim() {
            "" => Err(bad("is empty".to_owned())),
            secret => Ok(Self::new(secret.as_bytes())),
        }
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A token without an end.
    pub(crate) fn token(&self, user: &str) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "alg": "HS256", "typ": "JWT" }));
        let said = format!("{head}.{}", part(json!({ "sub": user })));
        let signature = hmac::sign(&self.0, said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_one_that_others_make() {
        // Made with Python's hmac and base64.
        let token = Signer::new(b"secret").token("ann");
        let (said, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(
            said,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ"
        );
        assert_eq!(signature, "PjR3fgnevdXvvFDIexpV052PaeBybdsfUE102L3fkg4");
    }
}
