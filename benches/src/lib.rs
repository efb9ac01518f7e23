//! Inputs that the micro-benchmarks share: one message of about 100 bytes, in each of its forms.

use bytes::Bytes;
use chinwag_protocol::event::{Content, Event};
use chinwag_protocol::id::{ClientId, MessageId, UserId};
use chinwag_protocol::json::Json;
use chinwag_protocol::push::{ClientInfo, Happening, Publication, Push};
use chinwag_store::record;

/// A frame with one `message.send`, as a browser sends it.
#[must_use]
pub fn command_frame() -> Bytes {
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(100));
    let data = format!(r#"{{"room":"room:abcdefghijklmnopqrstuvwxyz","id":"m-1","body":{body}}}"#);
    Bytes::from(format!(
        r#"{{"id":7,"rpc":{{"method":"message.send","data":{data}}}}}"#
    ))
}

/// A message as it is handed to the append function.
///
/// # Panics
/// Never: the ids are fixed and valid.
#[must_use]
pub fn event() -> Event {
    let body = Json::of(&std::collections::BTreeMap::from([(
        "text",
        "x".repeat(100),
    )]));
    Event {
        seq: 12,
        epoch: 1,
        time: 1_732_000_000_000,
        messages: 9,
        sender: UserId::new("ann").ok(),
        client: ClientId::new("01900000-0000-7000-8000-000000000000").ok(),
        id: MessageId::new("m-1").ok(),
        content: Content::Message { body },
    }
}

/// The same as it stands in log, ring and publication.
#[must_use]
pub fn record_of(event: &Event) -> Vec<u8> {
    let mut record = vec![0x99, record::VERSION];
    for number in [event.seq, event.epoch, event.time, event.messages] {
        record.push(0xcf);
        record.extend_from_slice(&number.to_be_bytes());
    }
    let (sender, client) = (event.sender.as_ref(), event.client.as_ref());
    record.extend(record::tail(
        sender,
        client,
        event.id.as_ref(),
        &event.content,
    ));
    record
}

/// The same as a push.
#[must_use]
pub fn push_of(event: &Event) -> Push {
    let info = ClientInfo {
        user: "ann".to_owned(),
        ..ClientInfo::default()
    };
    let publication = Publication {
        data: event.to_json().as_bytes().clone(),
        info: Some(info),
        offset: event.seq,
        ..Publication::default()
    };
    Push::new(
        "room:abcdefghijklmnopqrstuvwxyz",
        Happening::Pub(publication),
    )
}
