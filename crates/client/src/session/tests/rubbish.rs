//! Whatever a server says, a client neither panics nor grows without bound.

use chinwag_protocol::push::{Disconnect, Join, Leave};
use chinwag_protocol::result::UnsubscribeResult;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::message::Message;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4u64,
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(u64::from(u32::MAX)),
        any::<u64>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]?", "[0-9]{1,25}", Just("_".to_owned())]
}

fn data() -> impl Strategy<Value = Bytes> {
    let json = (name(), number(), name(), any::<bool>()).prop_map(|(epoch, seq, id, archived)| {
        let durability = if archived { "archived" } else { "" };
        serde_json::json!({
            "type": durability, "id": id, "seq": seq, "epoch": epoch, "time": seq,
            "durability": durability, "duplicate": false, "marks": true, "after": archived,
        })
        .to_string()
    });
    prop_oneof![json, ".{0,20}"].prop_map(Bytes::from)
}

fn published() -> impl Strategy<Value = Publication> {
    (data(), number()).prop_map(|(data, offset)| Publication {
        data,
        offset,
        ..Publication::default()
    })
}

prop_compose! {
    fn subscribed()(
        epoch in name(),
        offset in number(),
        publications in proptest::collection::vec(published(), 0..4),
        flags in any::<[bool; 3]>(),
    ) -> SubscribeResult {
        let [recoverable, recovered, was_recovering] = flags;
        SubscribeResult {
            epoch,
            offset,
            publications,
            recoverable,
            recovered,
            was_recovering,
            ..SubscribeResult::default()
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let push = |room: String, happening| Outcome::Push(Push::new(room, happening));
    prop_oneof![
        (
            data(),
            proptest::collection::btree_map(name(), subscribed(), 0..3),
            any::<u32>()
        )
            .prop_map(|(data, subs, ping)| Outcome::Connect(ConnectResult {
                data,
                subs,
                ping,
                ttl: ping,
                ..ConnectResult::default()
            })),
        subscribed().prop_map(Outcome::Subscribe),
        data().prop_map(|data| Outcome::Rpc(RpcResult { data })),
        Just(Outcome::Unsubscribe(UnsubscribeResult {})),
        (any::<u32>(), any::<bool>()).prop_map(|(code, temporary)| Outcome::Error(reply::Error {
            code,
            temporary,
            ..reply::Error::default()
        })),
        (name(), published()).prop_map(move |(room, it)| push(room, Happening::Pub(it))),
        (name(), any::<u32>()).prop_map(move |(room, code)| {
            let reason = String::new();
            push(room, Happening::Unsubscribe(Unsubscribe { code, reason }))
        }),
        (name(), number(), name()).prop_map(move |(room, offset, epoch)| {
            let begun = Subscribe {
                offset,
                epoch,
                recoverable: true,
                ..Subscribe::default()
            };
            push(room, Happening::Subscribe(begun))
        }),
        any::<u32>().prop_map(move |code| {
            let reason = String::new();
            let reconnect = true;
            push(
                String::new(),
                Happening::Disconnect(Disconnect {
                    code,
                    reason,
                    reconnect,
                }),
            )
        }),
        name().prop_map(move |room| push(room, Happening::Join(Join::default()))),
        name().prop_map(move |room| push(room, Happening::Leave(Leave::default()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_says_a_client_goes_on(
        said in proptest::collection::vec((0..12u32, proptest::option::weighted(0.95, outcome())), 0..120),
    ) {
        let mut session = begun();
        let mut waiting = Vec::new();
        for (number, (id, outcome)) in said.into_iter().enumerate() {
            let (answer, answered) = oneshot::channel();
            let message = Message {
                room: ["a", "b"][number % 2].to_owned(),
                id: number.to_string(),
                body: Bytes::from_static(b"1"),
                ack: None,
            };
            session.asked(Request::Message(message, answer));
            waiting.push(answered);
            if session.heard(Reply { id, outcome }).is_err() {
                session.lost(&Error::Timeout, true);
                session.begin();
            }
            session.now += Duration::from_secs(1);
            if session.due().is_some_and(|due| due <= session.now) {
                let _stuck = session.overdue();
            }
            session.again();
            prop_assert!(session.outbox.len() <= 10);
            prop_assert!(session.pending.len() < 64, "{}", session.pending.len());
            session.commands.clear();
            session.notices.clear();
        }
        session.lost(&Error::Ended, false);
        session.end(&Error::Ended);
        prop_assert!(waiting.into_iter().all(|mut waiting| waiting.try_recv().is_ok()));
    }
}
