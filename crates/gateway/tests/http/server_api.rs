//! The server API.

use chinwag_protocol::id::{ClientId, Incarnation, RoomId};
use chinwag_store::channel::{Heard, Order};
use chinwag_store::presence::Occupant;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{API_KEY, Server, config, said};

impl Server {
    async fn api(&self, method: &str, request: Value) -> Value {
        let ask = self.ask("POST", &format!("/api/{method}"));
        ask.header("x-api-key", API_KEY)
            .json(&request)
            .await
            .is(200)
    }
}

#[tokio::test]
async fn the_host_publishes_once_per_key() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let request = json!({"channel": "news", "data": {"n": 1}, "idempotency_key": "order 17 / a"});
    let first = server.api("publish", request.clone()).await;
    assert_eq!(first, json!({"result": {"offset": 1, "epoch": "1"}}));
    assert_eq!(server.api("publish", request).await, first);
    let encoded = json!({"channel": "news", "data": null, "b64data": "eyJuIjoyfQ=="});
    assert_eq!(server.api("publish", encoded).await["result"]["offset"], 2);
    let page = server.get(&ann, "/v1/rooms/news/messages").await.is(200);
    assert_eq!(page["events"][1]["data"], json!({"n": 2}));
    assert_eq!(page["events"][1].get("user"), None);
    let history = server
        .api("history", json!({"channel": "news", "limit": 10}))
        .await;
    assert_eq!(
        history["result"]["publications"][0]["data"],
        json!({"n": 1})
    );
    assert_eq!(
        (&history["result"]["offset"], &history["result"]["epoch"]),
        (&json!(2), &json!("1"))
    );
    let position = server.api("history", json!({"channel": "news"})).await;
    assert_eq!(
        position["result"],
        json!({"publications": [], "offset": 2, "epoch": "1"})
    );
    let since = json!({"channel": "news", "limit": 10, "since": {"offset": 1, "epoch": "1"}});
    assert_eq!(
        server.api("history", since).await["result"]["publications"][0]["offset"],
        2
    );
    let since = json!({"channel": "news", "limit": 10, "since": {"offset": 1, "epoch": "9"}});
    assert_eq!(server.api("history", since).await["error"]["code"], 112);
}

#[tokio::test]
async fn the_host_says_how_safe_it_is_to_be() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "Tea"})).await;
    let request = json!({"channel": room, "data": "hi", "idempotency_key": "1", "ack": "archived"});
    let sent = tokio::select! {
        sent = server.api("publish", request.clone()) => sent,
        () = server.archiving() => Value::Null,
    };
    let expected = json!({"offset": 3, "epoch": "1", "durability": "archived"});
    assert_eq!(sent["result"], expected);
    let again = server.api("publish", request).await;
    assert_eq!(again["result"], expected, "at once");
    let lower = json!({"channels": [room, "news"], "data": "hi", "ack": "accepted"});
    let told = server.api("broadcast", lower).await;
    for response in told["result"]["responses"].as_array().unwrap() {
        assert_eq!(response["result"]["durability"], "accepted");
    }
    for (request, code) in [
        (json!({"channel": "news", "data": 1, "ack": "safe"}), 107),
        (
            json!({"channel": "news", "data": 1, "ack": "accepted", "skip_history": true}),
            108,
        ),
    ] {
        assert_eq!(server.api("publish", request).await["error"]["code"], code);
    }
}

#[tokio::test]
async fn a_broadcast_answers_for_each_channel() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "Tea"})).await;
    let channels = json!(["news", "nowhere:x", room, "#ann", "room:missing", "a b"]);
    let reply = server
        .api(
            "broadcast",
            json!({"channels": channels, "data": {"text": "hi"}}),
        )
        .await;
    let responses = reply["result"]["responses"].as_array().unwrap();
    let codes: Vec<_> = responses
        .iter()
        .map(|one| one["error"]["code"].as_u64())
        .collect();
    assert_eq!(codes, [None, Some(102), None, None, Some(102), Some(107)]);
    assert_eq!(responses[2]["result"]["offset"], 3);
    let page = server
        .get(&ann, &format!("/v1/rooms/{room}/messages"))
        .await
        .is(200);
    assert_eq!(said(&page)[2], "hi", "in a chat room it is a message");
}

#[tokio::test]
async fn what_the_host_publishes_into_a_room_is_a_message_of_nobody() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let room = server.room(&ann, json!({"name": "Tea"})).await;
    let request = json!({"channel": room, "data": {"text": "deployed"}, "idempotency_key": "17"});
    let first = server.api("publish", request.clone()).await;
    assert_eq!(server.api("publish", request).await, first);
    let page = server
        .get(&ann, &format!("/v1/rooms/{room}/messages"))
        .await
        .is(200);
    let message = page["events"].as_array().unwrap().last().unwrap();
    assert_eq!(message["type"], "message");
    assert_eq!(message["id"], "17");
    assert_eq!(message["body"], json!({"text": "deployed"}));
    assert_eq!(message.get("user"), None);
    let shown = server.get(&ann, &format!("/v1/rooms/{room}")).await.is(200);
    assert_eq!(shown["room"]["unread"], 1, "it counts as one");
}

#[tokio::test]
async fn only_living_gateways_count_for_presence() {
    let server = Server::start().await;
    let store = &server.backend.store;
    let room = RoomId::new("lobby").unwrap();
    for (gateway, client, user, lease) in [
        ("alive", "c1", "ann", 60),
        ("alive", "c2", "ann", 60),
        ("dead", "c3", "bob", 0),
    ] {
        let gateway = Incarnation::new(gateway).unwrap();
        store
            .renew_gateway(&gateway, Duration::from_secs(lease), true)
            .await
            .unwrap();
        let occupant = Occupant {
            user: user.to_owned(),
            client: ClientId::new(client).unwrap(),
            connection_info: Some(br#"{"n":1}"#.to_vec()),
            channel_info: None,
        };
        store
            .enter_channel(&room, &gateway, &occupant, false)
            .await
            .unwrap();
    }
    let presence = server.api("presence", json!({"channel": "lobby"})).await;
    let expected = json!({"result": {"presence": {
        "c1": {"user": "ann", "client": "c1", "conn_info": {"n": 1}},
        "c2": {"user": "ann", "client": "c2", "conn_info": {"n": 1}},
    }}});
    assert_eq!(presence, expected);
    let stats = server
        .api("presence_stats", json!({"channel": "lobby"}))
        .await;
    assert_eq!(stats["result"], json!({"num_clients": 2, "num_users": 1}));
    let nobody = server
        .api("presence_stats", json!({"channel": "hall"}))
        .await;
    assert_eq!(nobody["result"], json!({"num_clients": 0, "num_users": 0}));
    assert_eq!(
        server.api("presence", json!({"channel": "silent:x"})).await["error"]["code"],
        108
    );
    let info = server.api("info", json!({})).await;
    assert_eq!(
        info["result"]["nodes"],
        json!([{"uid": "alive", "name": "alive"}])
    );
}

#[tokio::test]
async fn orders_reach_all_gateways() {
    let server = Server::start().await;
    let gateway = Incarnation::new("gateway").unwrap();
    let mut listener = server.backend.store.listen(10).await.unwrap();
    listener.ear().join_as_gateway(&gateway).await.unwrap();
    let of_ann = json!({"user": "ann", "channel": "news"});
    for (method, request) in [
        ("subscribe", of_ann.clone()),
        ("unsubscribe", of_ann),
        ("disconnect", json!({"user": "ann"})),
        (
            "disconnect",
            json!({"user": "ann", "client": "c1", "disconnect": {"code": 4001, "reason": "bye"}}),
        ),
    ] {
        assert_eq!(
            server.api(method, request).await,
            json!({"result": {}}),
            "{method}"
        );
    }
    let mut heard = Vec::new();
    while heard.len() < 4 {
        match listener.heard.recv().await.unwrap() {
            Heard::Order(order) => heard.push(order),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(&heard[0], Order::Subscribe { room, .. } if room.as_str() == "news"));
    assert!(matches!(&heard[1], Order::Unsubscribe { user, .. } if user.as_str() == "ann"));
    assert!(matches!(
        &heard[2],
        Order::Disconnect {
            client: None,
            code: 3503,
            ..
        }
    ));
    assert!(
        matches!(&heard[3], Order::Disconnect { client: Some(_), code: 4001, reason, .. } if reason == "bye")
    );
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused() {
    let server = Server::start().await;
    for (method, request, code, message) in [
        (
            "publish",
            json!({"channel": "news", "data": 1, "tags": {"a": "b"}}),
            108,
            "tags: is not available here",
        ),
        (
            "publish",
            json!({"channel": "news"}),
            107,
            "data: is missing",
        ),
        (
            "publish",
            json!({"channel": "a{b}", "data": 1}),
            107,
            "channel: may contain letters, digits and _.:#- only; see byte 1",
        ),
        (
            "publish",
            json!({"channel": "nowhere:x", "data": 1}),
            102,
            "unknown channel namespace",
        ),
        (
            "publish",
            json!({"channel": "room:missing", "data": 1}),
            102,
            "unknown channel",
        ),
        (
            "publish",
            json!({"chanel": "x"}),
            107,
            "unknown field `chanel`, expected one of `channel`, `data`, `b64data`, `skip_history`, `idempotency_key`, `ack`, `tags`, `delta`",
        ),
        (
            "subscribe",
            json!({"user": "ann", "channel": "news", "client": "c1"}),
            108,
            "client: is not available here",
        ),
        (
            "disconnect",
            json!({"user": "ann", "whitelist": ["c1"]}),
            108,
            "whitelist: is not available here",
        ),
        (
            "history_remove",
            json!({"channel": "news"}),
            108,
            "history_remove is not available here",
        ),
    ] {
        let reply = server.api(method, request).await;
        assert_eq!(
            reply,
            json!({"error": {"code": code, "message": message}}),
            "{method}"
        );
    }
    let long = json!({"channel": "news", "data": "x".repeat(33_000)});
    assert_eq!(server.api("publish", long).await["error"]["code"], 413);
    let ask = server
        .ask("POST", "/api/explode")
        .header("x-api-key", API_KEY)
        .send()
        .await;
    ask.fails(404, 104, "method_not_found", "no such method");
    let ask = server
        .ask("POST", "/api/publish")
        .header("x-api-key", API_KEY)
        .body("{")
        .send()
        .await;
    ask.fails(400, 107, "bad_request", "the request must be JSON");
}

#[tokio::test]
async fn nothing_of_it_without_the_key() {
    let server = Server::start().await;
    let message = "the API key is missing or wrong";
    for (name, value) in [
        ("x-other", ""),
        ("x-api-key", ""),
        ("x-api-key", "wrong"),
        ("x-api-key", "the host's key "),
        ("authorization", "apikey wrong"),
        ("authorization", &format!("Bearer {API_KEY}")),
    ] {
        let ask = server
            .ask("POST", "/api/info")
            .header(name, value)
            .send()
            .await;
        if value.trim() != API_KEY {
            ask.fails(401, 101, "unauthorized", message);
        }
    }
    let ask = server
        .ask("POST", "/api/info")
        .header("authorization", &format!("apikey {API_KEY}"));
    ask.send().await.is(200);
    let mut config = config();
    config.api_key = None;
    let server = Server::with(config).await;
    let ask = server
        .ask("POST", "/api/info")
        .header("x-api-key", API_KEY)
        .send()
        .await;
    ask.fails(404, 404, "not_found", "no such resource");
}

#[tokio::test]
async fn a_batch_answers_for_each_command() {
    let server = Server::start().await;
    let commands = json!([
        {"publish": {"channel": "news", "data": 1}},
        {"publish": {"channel": "nowhere:x", "data": 1}},
        {"presence_stats": {"channel": "news"}},
        {"batch": {"commands": []}},
    ]);
    for parallel in [false, true] {
        let request = json!({"commands": commands, "parallel": parallel});
        let replies = server.api("batch", request).await["replies"].clone();
        assert_eq!(replies[0]["publish"]["epoch"], "1");
        assert_eq!(replies[1]["error"]["code"], 102);
        let nobody = json!({"num_clients": 0, "num_users": 0});
        assert_eq!(replies[2]["presence_stats"], nobody);
        assert_eq!(replies[3]["error"]["code"], 107);
    }
}

#[tokio::test]
async fn what_is_not_kept_is_heard_only() {
    let server = Server::start().await;
    let room = RoomId::new("news").unwrap();
    let mut listener = server.backend.store.listen(10).await.unwrap();
    listener.ear().join(&[room]).await.unwrap();
    let request = json!({"channel": "news", "data": {"n": 1}, "skip_history": true});
    assert_eq!(server.api("publish", request).await, json!({"result": {}}));
    assert!(matches!(listener.heard.recv().await, Some(Heard::Room(..))));
    let history = server
        .api("history", json!({"channel": "news", "limit": 10}))
        .await;
    assert_eq!(history["result"]["publications"], json!([]));
}
