//! From JSON to a request. What does not fit is refused with the field's name; a field that no
//! verb knows is refused too, because ignoring it would be to promise what is not done.

use chinwag_protocol::code::{Code, Refusal};
use chinwag_protocol::limit::{self, Violation};
use serde::de::DeserializeOwned;

/// Every field that a request can have: refusals name the field at fault from this list.
const FIELDS: &[&str] = &[
    "ack",
    "after",
    "around",
    "before",
    "body",
    "display_name",
    "id",
    "kind",
    "limit",
    "members",
    "name",
    "new_password",
    "old_password",
    "password",
    "room",
    "scope",
    "seq",
    "topic",
    "user",
];

/// Reads a request; empty data is `{}`.
///
/// # Errors
/// `BadRequest` naming the field.
pub fn parse<T: DeserializeOwned>(data: &[u8]) -> Result<T, Refusal> {
    let data = if data.is_empty() { b"{}" } else { data };
    let mut json = serde_json::Deserializer::from_slice(data);
    let request = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            misfit(&path, &error.to_string())
        } else {
            not_json(&error)
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(request)
}

fn not_json(error: &serde_json::Error) -> Refusal {
    Refusal::new(
        Code::BadRequest,
        format!("the request must be JSON: {error}"),
    )
}

/// The refusal of a value at `path` for which serde gives `problem`.
pub(crate) fn misfit(path: &str, problem: &str) -> Refusal {
    // JSON says where in the text it happened; the field says it better.
    let problem = problem
        .rsplit_once(" at line ")
        .map_or(problem, |(problem, _)| problem);
    let missing = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    if let Some(missing) = missing {
        return refused(missing, &format!("{missing}: is missing"));
    }
    if path == "." || path.is_empty() || problem.starts_with("unknown field") {
        return refused(path, problem);
    }
    // What ids and bodies say of themselves begins with their own name.
    let named = ["room: ", "user: ", "id: ", "json: ", "name: "];
    let problem = named
        .iter()
        .find_map(|name| problem.strip_prefix(name))
        .unwrap_or(problem);
    refused(path, &format!("{path}: {problem}"))
}

fn refused(path: &str, message: &str) -> Refusal {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    Refusal {
        code: Code::BadRequest,
        message: message.to_owned(),
        field: FIELDS.iter().find(|field| **field == first).copied(),
    }
}

/// Checks how many are asked for: `usual` if it is not said, at most `most`.
pub(crate) fn limit(asked: Option<u32>, usual: usize, most: usize) -> Result<usize, Refusal> {
    let Some(asked) = asked else {
        return Ok(usual);
    };
    let limit = usize::try_from(asked).unwrap_or(usize::MAX);
    if limit == 0 || limit > most {
        let problem = format!("must be 1 to {most}, got {asked}");
        return Err(Violation::new("limit", problem).into());
    }
    Ok(limit)
}

/// Checks a sequence, which is `least` at least.
pub(crate) fn sequence(field: &'static str, asked: u64, least: u64) -> Result<u64, Refusal> {
    if asked < least || asked > limit::SEQUENCE {
        let problem = format!("must be {least} to {}, got {asked}", limit::SEQUENCE);
        return Err(Violation::new(field, problem).into());
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use chinwag_protocol::id::{RoomId, UserId};
    use chinwag_protocol::json::Json;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is about how they are read")]
    struct Request {
        room: RoomId,
        #[serde(default)]
        members: Vec<UserId>,
        limit: Option<u32>,
        body: Option<Json>,
    }

    fn refusal(data: &str) -> (String, Option<&'static str>) {
        let refusal = parse::<Request>(data.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest);
        (refusal.message, refusal.field)
    }

    #[test]
    fn every_misfit_names_its_field() {
        let deep = format!(
            r#"{{"room":"a","body":{}{}}}"#,
            "[".repeat(65),
            "]".repeat(65)
        );
        for (data, message, field) in [
            ("", "room: is missing", Some("room")),
            ("{}", "room: is missing", Some("room")),
            (
                r#"{"room":7}"#,
                "room: invalid type: integer `7`, expected a string",
                Some("room"),
            ),
            (
                r#"{"room":"a{b}"}"#,
                "room: may contain letters, digits and _.:#- only; see byte 1",
                Some("room"),
            ),
            (
                r#"{"room":"a","limit":-1}"#,
                "limit: invalid value: integer `-1`, expected u32",
                Some("limit"),
            ),
            (
                r#"{"room":"a","members":["b",""]}"#,
                "members[1]: must be 1 to 60 bytes, got 0",
                Some("members"),
            ),
            (&deep, "body: must nest at most 64 deep", Some("body")),
            (
                r#"{"room":"a","rom":1}"#,
                "unknown field `rom`, expected one of `room`, `members`, `limit`, `body`",
                None,
            ),
            (
                "[]",
                "invalid length 0, expected struct Request with 4 elements",
                None,
            ),
            (
                "{",
                "the request must be JSON: EOF while parsing an object at line 1 column 1",
                None,
            ),
            (
                r#"{"room":"a"} x"#,
                "the request must be JSON: trailing characters at line 1 column 14",
                None,
            ),
        ] {
            assert_eq!(refusal(data), (message.to_owned(), field), "{data}");
        }
        assert!(parse::<Request>(b"{\"room\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_body_is_read_to_the_letter() {
        let request: Request = parse(br#"{"room":"a","body":{"text":"x", "n":1.0}}"#).unwrap();
        assert_eq!(request.body.unwrap().as_str(), r#"{"text":"x", "n":1.0}"#);
    }

    #[test]
    fn limits_and_sequences_name_their_bounds() {
        assert_eq!(limit(None, 50, 200), Ok(50));
        assert_eq!(limit(Some(200), 50, 200), Ok(200));
        let error = limit(Some(0), 50, 200).unwrap_err().message;
        assert_eq!(error, "limit: must be 1 to 200, got 0");
        assert_eq!(sequence("seq", 1, 1), Ok(1));
        let error = sequence("seq", 1 << 63, 0).unwrap_err().message;
        let expected = "seq: must be 0 to 9007199254740991, got 9223372036854775808";
        assert_eq!(error, expected);
    }
}
