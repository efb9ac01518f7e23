use chinwag_archive::{Archive, Query, Search};
use chinwag_protocol::id::RoomId;

use crate::rows::{attempt, commit, found, names, room, said, talk};

async fn hear(archive: &dyn Archive, texts: &[&str]) {
    let rows: Vec<_> = texts
        .iter()
        .zip(1..)
        .map(|(text, seq)| said("lobby", seq, text))
        .collect();
    commit(archive, &rows, "1-1").await;
}

/// The sequences in the lobby that a query finds.
async fn hits(archive: &dyn Archive, query: &str) -> Vec<u64> {
    let names = found(archive, &["lobby"], query).await;
    names
        .iter()
        .map(|name| name.trim_start_matches("lobby/").parse().unwrap())
        .collect()
}

pub async fn words_are_found_whatever_their_case_and_order(archive: &dyn Archive) {
    hear(
        archive,
        &[
            "The Quick brown fox",
            "a QUICK café",
            "quickly",
            "Straße 42",
            "👍🏽 ok",
        ],
    )
    .await;
    assert_eq!(hits(archive, "quick").await, [2, 1]);
    assert_eq!(hits(archive, "FOX the").await, [1]);
    assert_eq!(hits(archive, "CAFE").await, [2]);
    assert_eq!(hits(archive, "strasse").await, [4]);
    assert_eq!(hits(archive, "42").await, [4]);
    assert_eq!(hits(archive, "👍").await, [5]);
    assert_eq!(hits(archive, "wolf").await, [0; 0]);
}

pub async fn shanghai_is_found_inside_a_sentence(archive: &dyn Archive) {
    let texts = [
        "我们明天去上海吧",
        "海上的风",
        "上海",
        "大上海市iPhone展",
        "上 海",
        "東京タワーへ",
        "서울에서 만나",
    ];
    hear(archive, &texts).await;
    assert_eq!(hits(archive, "上海").await, [4, 3, 1]);
    assert_eq!(hits(archive, "海").await, [5, 4, 3, 2, 1]);
    assert_eq!(hits(archive, "去上海吧").await, [1]);
    assert_eq!(hits(archive, "上海市iphone展").await, [4]);
    assert_eq!(hits(archive, "上海 市").await, [4]);
    assert_eq!(hits(archive, "タワー").await, [6]);
    assert_eq!(hits(archive, "ﾀﾜｰ").await, [6]);
    assert_eq!(hits(archive, "서울").await, [7]);
    assert_eq!(hits(archive, "京都").await, [0; 0]);
}

pub async fn phrases_cross_words_and_keep_their_order(archive: &dyn Archive) {
    hear(
        archive,
        &[
            "to be or not to be",
            "not to be, or",
            "be to",
            "well-known snake_case",
        ],
    )
    .await;
    assert_eq!(hits(archive, "\"to be\"").await, [2, 1]);
    assert_eq!(hits(archive, "\"to be or\"").await, [2, 1]);
    assert_eq!(hits(archive, "\"or not\" to").await, [1]);
    assert_eq!(hits(archive, "“be to").await, [3]);
    assert_eq!(hits(archive, "to be").await, [3, 2, 1]);
    assert_eq!(hits(archive, "well-known").await, [4]);
    assert_eq!(hits(archive, "known-well").await, [0; 0]);
    assert_eq!(hits(archive, "\"known snake\"").await, [4]);
}

pub async fn no_term_is_dropped(archive: &dyn Archive) {
    hear(archive, &["a b c", "a b", "的 一", "a b c d e f g h i j k"]).await;
    assert_eq!(hits(archive, "a c").await, [4, 1]);
    assert_eq!(hits(archive, "a b c 的").await, [0; 0]);
    assert_eq!(hits(archive, "k j i h g f e d c b a").await, [4]);
    assert_eq!(hits(archive, "not or and").await, [0; 0]);
    assert_eq!(hits(archive, "a:b* (c) -x").await, [0; 0]);
    assert_eq!(Query::parse("a ++ b").unwrap().ignored(), ["++"]);
}

pub async fn only_the_rooms_asked_for_are_searched(archive: &dyn Archive) {
    let rows: Vec<_> = ["one", "two", "Two", "three"]
        .map(|name| said(name, 1, "secret"))
        .into();
    commit(archive, &rows, "1-1").await;
    assert_eq!(found(archive, &["two"], "secret").await, ["two/1"]);
    assert_eq!(
        found(archive, &["two", "one", "none"], "secret").await,
        ["two/1", "one/1"]
    );
    assert_eq!(found(archive, &[], "secret").await, [""; 0]);
    assert_eq!(found(archive, &["none"], "secret").await, [""; 0]);
    assert_eq!(found(archive, &["two"], "two").await, [""; 0]);
}

pub async fn pages_of_matches_go_on_where_the_last_ended(archive: &dyn Archive) {
    commit(archive, &talk("lobby", 1..=25), "1-25").await;
    let (rooms, query) = ([room("lobby")], Query::parse("text").unwrap());
    let (mut before, mut sizes, mut all) = (None, Vec::new(), Vec::new());
    loop {
        let search = Search {
            rooms: &rooms,
            query: &query,
            limit: 10,
            before,
        };
        let found = archive.search(search).await.unwrap();
        sizes.push(found.matches.len());
        all.extend(names(&found));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    let expected: Vec<String> = (1..=25).rev().map(|seq| format!("lobby/{seq}")).collect();
    assert_eq!(all, expected);
    let search = Search {
        rooms: &rooms,
        query: &query,
        limit: 0,
        before: None,
    };
    assert_eq!(archive.search(search).await.unwrap().matches, []);
}

pub async fn many_candidates_without_a_match_end_with_a_place_to_go_on(archive: &dyn Archive) {
    let mut rows: Vec<_> = (2..=4501).map(|seq| said("lobby", seq, "b a")).collect();
    rows.insert(0, said("lobby", 1, "a b"));
    for some in rows.chunks(500) {
        commit(archive, some, "1-1").await;
    }
    let (rooms, query) = ([room("lobby")], Query::parse("\"a b\"").unwrap());
    let (mut before, mut calls, mut all) = (None, 0, Vec::new());
    loop {
        let search = Search {
            rooms: &rooms,
            query: &query,
            limit: 10,
            before,
        };
        let found = archive.search(search).await.unwrap();
        (calls, before) = (calls + 1, found.next);
        all.extend(names(&found));
        if before.is_none() {
            break;
        }
    }
    assert_eq!(all, ["lobby/1"]);
    assert!((2..=5).contains(&calls), "{calls}");
}

pub async fn a_user_of_a_thousand_rooms_can_search_them(archive: &dyn Archive) {
    let names: Vec<String> = (0..1000).map(|number| format!("room-{number}")).collect();
    let mut rows: Vec<_> = names
        .iter()
        .map(|name| said(name, 1, "hello 上海"))
        .collect();
    rows.push(said("elsewhere", 1, "hello 上海"));
    commit(archive, &rows, "1-1").await;
    let query = Query::parse("上海").unwrap();
    for count in [1, 150, 250, 1000] {
        let rooms: Vec<RoomId> = names[..count].iter().map(|name| room(name)).collect();
        let search = Search {
            rooms: &rooms,
            query: &query,
            limit: 200,
            before: None,
        };
        let found = archive.search(search).await.unwrap();
        assert_eq!(found.matches.len(), count.min(200));
        assert!(found.matches.iter().all(|hit| rooms.contains(&hit.room)));
    }
}

pub async fn what_was_not_committed_is_not_found(archive: &dyn Archive) {
    attempt(archive, 2, 1, &[said("lobby", 1, "kept")], "1-1")
        .await
        .unwrap();
    attempt(archive, 1, 1, &[said("lobby", 2, "fenced")], "1-2")
        .await
        .unwrap_err();
    assert_eq!(hits(archive, "fenced").await, [0; 0]);
    assert_eq!(hits(archive, "kept").await, [1]);
}
