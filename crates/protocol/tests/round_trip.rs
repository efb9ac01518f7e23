//! What is encoded decodes to itself, and arbitrary bytes decode to something or an error.

use bytes::{Bytes, BytesMut};
use chinwag_protocol::codec::{DecodeError, Encoding, Limits};
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::{ClientInfo, Happening, Publication, Push};
use chinwag_protocol::reply::{Error, Outcome, Reply};
use chinwag_protocol::request::{
    ConnectRequest, HistoryRequest, PublishRequest, RpcRequest, StreamPosition, SubscribeRequest,
};
use chinwag_protocol::result::{ConnectResult, HistoryResult, PresenceResult, SubscribeResult};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

/// Compact JSON, or nothing.
fn data() -> impl Strategy<Value = Bytes> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
    ];
    let json = leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(inner, 0..4).prop_map(|items| {
                let fields = items.iter().enumerate();
                let fields: Vec<_> = fields.map(|(n, item)| format!("\"{n}\":{item}")).collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    });
    option::of(json).prop_map(|json| Bytes::from(json.unwrap_or_default()))
}

prop_compose! {
    fn subscribe()(
        (channel, token, epoch) in any::<(String, String, String)>(),
        (recover, positioned, recoverable, join_leave) in any::<(bool, bool, bool, bool)>(),
        (offset, flag, kind) in any::<(u64, i64, i32)>(),
        data in data(),
    ) -> SubscribeRequest {
        SubscribeRequest {
            channel, token, recover, epoch, offset, data, positioned, recoverable, join_leave,
            delta: String::new(), tf: Bytes::new(), flag, kind,
        }
    }
}

prop_compose! {
    fn publication()(
        data in data(),
        info in option::of(info()),
        (offset, time, delta) in any::<(u64, i64, bool)>(),
        tags in btree_map(any::<String>(), any::<String>(), 0..3),
        channel in any::<String>(),
    ) -> Publication {
        Publication { data, info, offset, tags, delta, time, channel }
    }
}

prop_compose! {
    fn info()(
        (user, client) in any::<(String, String)>(),
        (conn_info, chan_info) in (data(), data()),
    ) -> ClientInfo {
        ClientInfo { user, client, conn_info, chan_info }
    }
}

prop_compose! {
    fn subscribed()(
        publications in vec(publication(), 0..4),
        (epoch, offset, id) in any::<(String, u64, i64)>(),
        (recovered, was_recovering) in any::<(bool, bool)>(),
    ) -> SubscribeResult {
        SubscribeResult {
            publications, epoch, offset, id, recovered, was_recovering,
            ..SubscribeResult::default()
        }
    }
}

fn method() -> impl Strategy<Value = Method> {
    let connect = (
        any::<(String, String)>(),
        data(),
        btree_map(any::<String>(), subscribe(), 0..3),
    )
        .prop_map(|((token, name), data, subs)| {
            Method::Connect(ConnectRequest {
                token,
                name,
                data,
                subs,
                ..Default::default()
            })
        });
    let history = any::<(String, i32, bool, Option<(u64, String)>)>().prop_map(
        |(channel, limit, reverse, since)| {
            let since = since.map(|(offset, epoch)| StreamPosition { offset, epoch });
            Method::History(HistoryRequest {
                channel,
                limit,
                since,
                reverse,
            })
        },
    );
    prop_oneof![
        connect,
        history,
        subscribe().prop_map(Method::Subscribe),
        (any::<String>(), data())
            .prop_map(|(channel, data)| Method::Publish(PublishRequest { channel, data })),
        (any::<String>(), data())
            .prop_map(|(method, data)| Method::Rpc(RpcRequest { data, method })),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (
            any::<String>(),
            btree_map(any::<String>(), subscribed(), 0..3)
        )
            .prop_map(|(client, subs)| Outcome::Connect(ConnectResult {
                client,
                subs,
                ..Default::default()
            })),
        subscribed().prop_map(Outcome::Subscribe),
        (vec(publication(), 0..4), any::<(String, u64)>()).prop_map(
            |(publications, (epoch, offset))| Outcome::History(HistoryResult {
                publications,
                epoch,
                offset
            })
        ),
        btree_map(any::<String>(), info(), 0..3)
            .prop_map(|presence| Outcome::Presence(PresenceResult { presence })),
        any::<(u32, String, bool)>().prop_map(|(code, message, temporary)| Outcome::Error(Error {
            code,
            message,
            temporary
        })),
        (any::<String>(), publication()).prop_map(|(channel, publication)| Outcome::Push(
            Push::new(channel, Happening::Pub(publication))
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn commands_survive(commands in vec((any::<u32>(), option::of(method())), 0..6)) {
        let commands: Vec<Command> =
            commands.into_iter().map(|(id, method)| Command { id, method }).collect();
        for encoding in ENCODINGS {
            let mut frame = BytesMut::new();
            for command in &commands {
                encoding.encode_command(command, &mut frame).unwrap();
            }
            let decoded: Result<Vec<_>, _> =
                encoding.decode_commands(&frame.freeze(), Limits::CLIENT).collect();
            prop_assert_eq!(&decoded.unwrap(), &commands);
        }
    }

    #[test]
    fn replies_survive(replies in vec((any::<u32>(), option::of(outcome())), 0..6)) {
        let replies: Vec<Reply> =
            replies.into_iter().map(|(id, outcome)| Reply { id, outcome }).collect();
        for encoding in ENCODINGS {
            let mut frame = BytesMut::new();
            for reply in &replies {
                encoding.encode_reply(reply, &mut frame).unwrap();
            }
            let decoded: Result<Vec<_>, _> =
                encoding.decode_replies(&frame.freeze(), Limits::CLIENT).collect();
            prop_assert_eq!(&decoded.unwrap(), &replies);
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        for encoding in ENCODINGS {
            let frame = Bytes::from(bytes.clone());
            let all: Vec<_> = encoding.decode_commands(&frame, Limits::SERVER).collect();
            let end = all.iter().position(|item| matches!(item, Err(DecodeError::Frame { .. })));
            prop_assert!(end.is_none_or(|end| end + 1 == all.len()));
        }
    }
}
