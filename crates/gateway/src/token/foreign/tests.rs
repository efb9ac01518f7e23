use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::get_current_timestamp as now;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a secret that two servers share";

fn secret() -> Secret {
    Secret::new(SECRET)
}

fn signed(claims: &Value) -> String {
    signed_with(SECRET, claims)
}

fn signed_with(secret: &str, claims: &Value) -> String {
    provider::install();
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn said(claims: &Value) -> Result<Foreign, TokenError> {
    verify(Some(&secret()), &signed(claims))
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

#[test]
fn a_token_says_who_until_when_and_what_others_see() {
    let exp = now() + 60;
    let foreign =
        said(&json!({"sub": "Ann.B", "exp": exp, "info": {"n": 1}, "aud": "x", "iss": "y"}));
    let expected = Foreign {
        user: user("Ann.B"),
        expires_at: Some((exp + 5) * 1000),
        info: Some(Json::new("info", br#"{"n":1}"#, 100).unwrap()),
    };
    assert_eq!(foreign, Ok(expected));
    assert_eq!(said(&json!({"sub": "ann"})).unwrap().expires_at, None);
}

#[test]
fn a_token_known_from_elsewhere_is_understood() {
    // Made by Python's hmac and base64 from {"sub":"42","exp":4102444800} and the secret.
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsImV4cCI6NDEwMjQ0NDgwMH0.8Jao-P6HSFN02T9wOqGhPMcbflN4UQwIZtmgDuKgsf4";
    assert_eq!(verify(Some(&secret()), token).unwrap().user, user("42"));
}

#[test]
fn expiry_is_honoured_with_a_small_leeway() {
    assert_eq!(
        said(&json!({"sub": "ann", "exp": now() - 6})),
        Err(TokenError::Expired)
    );
    assert!(said(&json!({"sub": "ann", "exp": now() - 3})).is_ok());
    assert_eq!(
        said(&json!({"sub": "ann", "nbf": now() + 60})),
        Err(TokenError::Invalid)
    );
}

#[test]
fn an_expiry_that_is_no_number_is_not_ignored() {
    for exp in [
        json!("soon"),
        json!("4102444800"),
        json!(null),
        json!([1]),
        json!(-1),
        json!(true),
    ] {
        let claims = json!({"sub": "ann", "exp": exp});
        assert_eq!(said(&claims), Err(TokenError::Invalid), "{claims}");
    }
    assert!(said(&json!({"sub": "ann", "exp": 4_102_444_800.5})).is_ok());
}

#[test]
fn without_a_user_it_is_no_token() {
    for claims in [
        json!({}),
        json!({"sub": ""}),
        json!({"sub": 42}),
        json!({"sub": "a b"}),
        json!({"sub": "{a}"}),
    ] {
        assert_eq!(said(&claims), Err(TokenError::Invalid), "{claims}");
    }
    let long = json!({"sub": "ann", "info": "x".repeat(5000)});
    assert_eq!(said(&long), Err(TokenError::Invalid));
}

#[test]
fn only_the_secret_and_the_one_algorithm_will_do() {
    let claims = json!({"sub": "ann"});
    let other = signed_with("another secret", &claims);
    assert_eq!(verify(Some(&secret()), &other), Err(TokenError::Invalid));
    assert_eq!(verify(None, &signed(&claims)), Err(TokenError::Invalid));
    let token = signed(&claims);
    let (_, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"typ":"JWT"}"#,
        "",
    ] {
        let header = URL_SAFE_NO_PAD.encode(header);
        for signature in [signature, ""] {
            let token = format!("{header}.{claims}.{signature}");
            let verified = verify(Some(&secret()), &token);
            assert_eq!(verified, Err(TokenError::Invalid), "{token}");
        }
    }
}

#[test]
fn other_algorithms_are_refused_even_when_signed_rightly() {
    // HS512 over the same secret, which the other side might well produce.
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(r#"{"sub":"ann"}"#)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes()));
    let token = format!("{signed}.{signature}");
    assert_eq!(verify(Some(&secret()), &token), Err(TokenError::Invalid));
}

#[test]
fn nonsense_is_invalid() {
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "\u{0}",
        "cw1.ann.x",
        &"x".repeat(65536),
    ] {
        assert_eq!(verify(Some(&secret()), token), Err(TokenError::Invalid));
    }
}

#[test]
fn a_subscription_token_is_for_one_user_and_one_channel() {
    let room = RoomId::new("secret:plans").unwrap();
    let token = signed(&json!({"sub": "ann", "channel": "secret:plans", "info": {"vip": true}}));
    let verified = |user: Option<&UserId>, room: &RoomId| {
        verify_subscription(Some(&secret()), &token, user, room)
    };
    let grant = verified(Some(&user("ann")), &room).unwrap();
    assert_eq!(grant.info.unwrap().as_str(), r#"{"vip":true}"#);
    assert_eq!(grant.expires_at, None);
    assert_eq!(
        verified(Some(&user("bob")), &room),
        Err(TokenError::Invalid)
    );
    assert_eq!(verified(None, &room), Err(TokenError::Invalid));
    let other = RoomId::new("secret:others").unwrap();
    assert_eq!(
        verified(Some(&user("ann")), &other),
        Err(TokenError::Invalid)
    );
    // Nor does it open a connection, and a connection token opens no channel.
    assert_eq!(verify(Some(&secret()), &token), Err(TokenError::Invalid));
    let connection = signed(&json!({"sub": "ann"}));
    let verified = verify_subscription(Some(&secret()), &connection, Some(&user("ann")), &room);
    assert_eq!(verified, Err(TokenError::Invalid));
}

#[test]
fn a_subscription_token_without_a_user_is_for_the_anonymous() {
    let room = RoomId::new("secret:plans").unwrap();
    let verified = |claims: Value, user: Option<&UserId>| {
        verify_subscription(Some(&secret()), &signed(&claims), user, &room)
    };
    assert!(verified(json!({"channel": "secret:plans"}), None).is_ok());
    assert!(verified(json!({"channel": "secret:plans", "sub": ""}), None).is_ok());
    let refused = verified(json!({"channel": "secret:plans"}), Some(&user("ann")));
    assert_eq!(refused, Err(TokenError::Invalid));
    let expired = verified(json!({"channel": "secret:plans", "exp": now() - 60}), None);
    assert_eq!(expired, Err(TokenError::Expired));
}
