//! What browsers ask for: the page, and whether other origins may come.

use crate::support::Server;

#[tokio::test]
async fn the_page_is_served_with_its_policy_and_cached_by_tag() {
    let server = Server::start().await;
    let page = server.ask("GET", "/").send().await;
    page.is(200);
    assert!(page.text.contains("<!doctype html>"), "{}", page.text);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    let ask = server
        .ask("GET", "/")
        .header("if-none-match", &format!("\"x\", W/{tag}"));
    let known = ask.send().await;
    assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
    assert_eq!(known.header("etag"), tag);
    let ask = server.ask("GET", "/").header("if-none-match", "\"x\"");
    ask.send().await.is(200);
    let script = server.ask("GET", "/chinwag.js").send().await;
    script.is(200);
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
}

#[tokio::test]
async fn only_allowed_origins_may_use_the_api_from_a_browser() {
    let server = Server::start().await;
    let preflight = |origin: &'static str| {
        let ask = server.ask("OPTIONS", "/v1/rooms").header("origin", origin);
        let ask = ask.header("access-control-request-method", "POST");
        ask.header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
    };
    let allowed = preflight("https://chat.example").await;
    allowed.is(200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://chat.example"
    );
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        "authorization,content-type"
    );
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    for origin in [
        "https://evil.example",
        "null",
        "https://chat.example.evil.example",
    ] {
        let refused = preflight(origin).await;
        assert_eq!(
            refused.header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
    let ask = server
        .ask("GET", "/v1/me")
        .header("origin", "https://chat.example")
        .send()
        .await;
    assert_eq!(
        ask.header("access-control-allow-origin"),
        "https://chat.example"
    );
    let ask = server
        .ask("POST", "/api/info")
        .header("origin", "https://chat.example")
        .send()
        .await;
    assert_eq!(
        ask.header("access-control-allow-origin"),
        "",
        "the host's API is not for pages"
    );
}
