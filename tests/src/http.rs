//! HTTP as a test speaks it.

use anyhow::{Context, Result};
use serde_json::Value;

/// A status and the JSON body, `null` if there is none.
pub type Answer = (u16, Value);

/// Sends a request with a JSON body, if there is one, and a bearer token, if there is one.
///
/// # Errors
/// If nobody answers.
pub fn call(method: &str, url: &str, token: &str, body: Option<&Value>) -> Result<Answer> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            body.to_string()
        }
        None => String::new(),
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(std::time::Duration::from_secs(20)))
        .build()
        .into();
    let mut answer = agent
        .run(request.body(body)?)
        .with_context(|| format!("{method} {url}"))?;
    let text = answer.body_mut().read_to_string()?;
    let value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Ok((answer.status().as_u16(), value))
}

/// What a page says.
///
/// # Errors
/// If nobody answers.
pub fn text(url: &str) -> Result<(u16, String)> {
    let (status, body) = call("GET", url, "", None)?;
    Ok((
        status,
        body.as_str()
            .map_or_else(|| body.to_string(), ToOwned::to_owned),
    ))
}
