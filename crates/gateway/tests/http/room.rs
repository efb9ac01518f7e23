//! Rooms: making, finding, joining, leaving, and who is in them.

use serde_json::json;

use crate::support::{Person, Server, each};

#[tokio::test]
async fn a_room_has_its_maker_as_owner_and_tells_how_it_began() {
    let server = Server::start().await;
    let (ann, _bob) = (server.person("ann").await, server.person("bob").await);
    let asked = json!({"name": " Tea ", "topic": "at five", "members": ["bob", "ann", "bob"]});
    let room = server.post(&ann, "/v1/rooms", asked).await.is(201)["room"].clone();
    let id = room["id"].as_str().unwrap();
    assert!(id.starts_with("room:") && id.len() == 31, "{id}");
    for (field, value) in [
        ("kind", json!("group")),
        ("name", json!("Tea")),
        ("topic", json!("at five")),
        ("seq", json!(3)),
        ("epoch", json!("1")),
        ("messages", json!(0)),
        ("members", json!(2)),
        ("role", json!("owner")),
        ("unread", json!(0)),
    ] {
        assert_eq!(room[field], value, "{field}");
    }
    assert_eq!(room["last"]["member"], "bob");
    assert_eq!(room["last"]["change"], "invited");
    let page = server
        .get(&ann, &format!("/v1/rooms/{id}/messages"))
        .await
        .is(200);
    assert_eq!(each(&page["events"], "type"), ["room", "member", "member"]);
    assert_eq!(
        each(&page["events"], "change"),
        ["created", "joined", "invited"]
    );
}

#[tokio::test]
async fn everybody_in_a_new_room_finds_it_in_their_list_at_once() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server
        .room(&ann, json!({"name": "Tea", "members": ["bob"]}))
        .await;
    for who in [&ann, &bob] {
        let list = server.get(who, "/v1/rooms").await.is(200);
        assert_eq!(each(&list["rooms"], "id"), [id.as_str()]);
        assert_eq!(list.get("next"), None);
    }
}

#[tokio::test]
async fn the_list_counts_what_is_unread() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server
        .room(&ann, json!({"name": "Tea", "members": ["bob"]}))
        .await;
    for text in ["one", "two", "three"] {
        server.say(&ann, &id, text).await;
    }
    let unread = async |who: &Person| {
        let list = server.get(who, "/v1/rooms?scope=mine").await.is(200);
        (
            list["rooms"][0]["unread"].clone(),
            list["rooms"][0]["read_seq"].clone(),
        )
    };
    assert_eq!(
        unread(&bob).await,
        (json!(3), json!(3)),
        "since he was invited"
    );
    assert_eq!(unread(&ann).await.0, json!(0), "one's own are read");
    let path = format!("/v1/rooms/{id}/read");
    let mark = server.post(&bob, &path, json!({"seq": 5})).await.is(200);
    assert_eq!(mark, json!({"seq": 5, "unread": 1}));
    assert_eq!(unread(&bob).await, (json!(1), json!(5)));
    let mark = server.post(&bob, &path, json!({"seq": 1})).await.is(200);
    assert_eq!(mark, json!({"seq": 5, "unread": 1}), "never back");
    let mark = server.post(&bob, &path, json!({"seq": 1000})).await.is(200);
    assert_eq!(mark, json!({"seq": 6, "unread": 0}), "nor beyond the end");
}

#[tokio::test]
async fn unread_messages_are_counted_beyond_the_ring() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server
        .room(&ann, json!({"name": "Tea", "members": ["bob"]}))
        .await;
    server.say(&ann, &id, "first").await;
    server
        .post(&bob, &format!("/v1/rooms/{id}/read"), json!({"seq": 4}))
        .await
        .is(200);
    for round in 0..4 {
        for number in 0..20 {
            server.say(&ann, &id, &format!("{round} {number}")).await;
        }
        server.archive_all().await;
    }
    server.say(&ann, &id, "last").await;
    let list = server.get(&bob, "/v1/rooms").await.is(200);
    assert_eq!(list["rooms"][0]["unread"], 81);
    let room = server.get(&bob, &format!("/v1/rooms/{id}")).await.is(200);
    assert_eq!(room["room"]["unread"], 81);
    let mark = server
        .post(&bob, &format!("/v1/rooms/{id}/read"), json!({"seq": 10}))
        .await;
    assert_eq!(mark.is(200), json!({"seq": 10, "unread": 75}));
}

#[tokio::test]
async fn leafing_through_a_list_brings_every_room_once() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(
            server
                .room(
                    &ann,
                    json!({"name": format!("Room {number}"), "kind": "open"}),
                )
                .await,
        );
    }
    for scope in ["mine", "open"] {
        let (mut found, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/rooms?scope={scope}&limit=2{before}");
            let page = server.get(&ann, &path).await.is(200);
            found.extend(each(&page["rooms"], "id"));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            before = format!("&before={}", next.replace(':', "%3A"));
        }
        assert_eq!(found.len(), 7, "{scope}");
        found.sort_by_key(|id| made.iter().position(|one| one == id.as_str().unwrap()));
        assert_eq!(found, made, "{scope}");
    }
}

#[tokio::test]
async fn anyone_finds_and_joins_an_open_room() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server
        .room(&ann, json!({"name": "Square", "kind": "open"}))
        .await;
    server.say(&ann, &id, "secret until you join").await;
    let list = server.get(&bob, "/v1/rooms?scope=open").await.is(200);
    assert_eq!(each(&list["rooms"], "id"), [id.as_str()]);
    let seen = server.get(&bob, &format!("/v1/rooms/{id}")).await.is(200)["room"].clone();
    assert_eq!((&seen["role"], &seen["members"]), (&json!(null), &json!(1)));
    assert_eq!(
        seen["last"],
        json!(null),
        "what is said there is for members"
    );
    server
        .get(&bob, &format!("/v1/rooms/{id}/messages"))
        .await
        .is(404);
    server
        .get(&bob, &format!("/v1/rooms/{id}/members"))
        .await
        .is(404);
    let path = format!("/v1/rooms/{id}/members");
    for _ in 0..2 {
        let joined = server.ask("POST", &path).by(&bob).send().await.is(200);
        assert_eq!(
            (&joined["room"]["role"], &joined["room"]["seq"]),
            (&json!("member"), &json!(4))
        );
    }
    let mine = server.get(&bob, "/v1/rooms").await.is(200);
    assert_eq!(mine["rooms"][0]["last"]["change"], "joined");
    server
        .get(&bob, &format!("/v1/rooms/{id}/messages"))
        .await
        .is(200);
}

#[tokio::test]
async fn a_missing_room_and_a_closed_one_are_the_same_to_strangers() {
    let server = Server::start().await;
    let (ann, eve) = (server.person("ann").await, server.person("eve").await);
    server.person("bob").await;
    let group = server
        .room(&ann, json!({"name": "Plans", "members": ["bob"]}))
        .await;
    server.say(&ann, "dm:ann:bob", "psst").await;
    for (method, path, body) in [
        ("GET", "", None),
        ("GET", "/messages", None),
        ("GET", "/members", None),
        ("POST", "/messages", Some(json!({"body": "hi"}))),
        ("POST", "/members", Some(json!({}))),
        ("POST", "/members", Some(json!({"user": "eve"}))),
        ("DELETE", "/members/me", None),
        ("POST", "/read", Some(json!({"seq": 1}))),
    ] {
        let mut answers = Vec::new();
        for room in ["room:missing", &group, "dm:ann:bob", "%23ann", "nowhere:x"] {
            let ask = server
                .ask(method, &format!("/v1/rooms/{room}{path}"))
                .by(&eve);
            let answer = match &body {
                Some(body) => ask.json(body).await,
                None => ask.send().await,
            };
            answer.fails(404, 404, "not_found", "room not found");
            answers.push((answer.text, answer.headers));
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn invited_and_gone() {
    let server = Server::start().await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let id = server.room(&ann, json!({"name": "Tea"})).await;
    let path = format!("/v1/rooms/{id}/members");
    for _ in 0..2 {
        server
            .post(&ann, &path, json!({"user": "bob"}))
            .await
            .is(204);
    }
    server.say(&bob, &id, "hello").await;
    server.delete(&bob, &format!("{path}/me")).await.is(204);
    let list = server.get(&bob, "/v1/rooms").await.is(200);
    assert_eq!(list["rooms"], json!([]));
    let gone = server
        .post(
            &bob,
            &format!("/v1/rooms/{id}/messages"),
            json!({"body": "x"}),
        )
        .await;
    gone.is(404);
    let page = server
        .get(&ann, &format!("/v1/rooms/{id}/messages"))
        .await
        .is(200);
    let changes = each(&page["events"], "change");
    assert_eq!(changes[2..], [json!("invited"), json!(null), json!("left")]);
    let unknown = server.post(&ann, &path, json!({"user": "nobody"})).await;
    unknown.fails(404, 404, "not_found", "user nobody not found");
}

#[tokio::test]
async fn members_are_listed_by_name_page_by_page() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    for name in ["dora", "bob", "carl"] {
        server.person(name).await;
    }
    let id = server
        .room(
            &ann,
            json!({"name": "Tea", "members": ["dora", "bob", "carl"]}),
        )
        .await;
    let first = server
        .get(&ann, &format!("/v1/rooms/{id}/members?limit=3"))
        .await
        .is(200);
    let users = each(&first["members"], "user");
    assert_eq!(each(&json!(users), "id"), ["ann", "bob", "carl"]);
    assert_eq!(
        each(&first["members"], "role"),
        ["owner", "member", "member"]
    );
    assert_eq!(first["members"][1]["user"]["online"], false);
    assert_eq!(first["next"], "carl");
    let rest = server
        .get(&ann, &format!("/v1/rooms/{id}/members?limit=3&after=carl"))
        .await
        .is(200);
    assert_eq!(rest["members"][0]["user"]["id"], "dora");
    assert_eq!(
        (rest["members"].as_array().unwrap().len(), rest.get("next")),
        (1, None)
    );
}
