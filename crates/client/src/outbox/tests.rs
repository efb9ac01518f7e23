//! What the outbox does with a server that is played by the test.

use tokio::sync::oneshot;

use super::*;

type Waiting = oneshot::Receiver<Result<Sent, Error>>;

struct Story {
    outbox: Outbox,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Self {
            outbox: Outbox::new(10, 10_000, Duration::from_secs(10)),
            now: Instant::now(),
        }
    }

    fn put(&mut self, id: &str) -> Waiting {
        let (answer, waiting) = oneshot::channel();
        let message = Message {
            room: "a".to_owned(),
            id: id.to_owned(),
            body: Bytes::from_static(br#"{"text": "hi"}"#),
            ack: None,
        };
        self.outbox.put(message, None, answer, self.now);
        waiting
    }

    /// The message that goes out now: its ticket, its id, and the one that it must come after.
    fn sent(&mut self) -> Option<(u64, String, String)> {
        let outgoing = self.outbox.send(self.now)?;
        let argument: serde_json::Value =
            serde_json::from_slice(&outgoing.argument.unwrap()).unwrap();
        let text = |name: &str| argument[name].as_str().unwrap_or_default().to_owned();
        Some((outgoing.ticket, text("id"), text("after")))
    }

    fn sent_id(&mut self) -> Option<String> {
        self.sent().map(|(_, id, _)| id)
    }

    fn answer(&mut self, ticket: u64, epoch: &str, seq: u64, durability: Level) {
        let receipt = Receipt {
            id: String::new(),
            seq,
            epoch: epoch.to_owned(),
            time: 1,
            durability,
            duplicate: false,
        };
        self.outbox.answered(&"a".into(), ticket, receipt, self.now);
    }

    /// Sends the next one and has it accepted.
    fn accept(&mut self, epoch: &str, seq: u64) -> String {
        let (ticket, id, _) = self.sent().expect("a message");
        self.answer(ticket, epoch, seq, Level::Accepted);
        id
    }

    fn mark(&mut self, epoch: &str, offset: u64) {
        let epoch = epoch.to_owned();
        self.outbox
            .marked("a", &StreamPosition { offset, epoch }, self.now);
    }

    fn refuse(&mut self, ticket: u64, code: u32, temporary: bool) -> bool {
        let error = Error::Reply {
            code,
            message: "no".to_owned(),
            temporary,
        };
        self.outbox.refused(&"a".into(), ticket, &error)
    }

    /// What the application is told, in few words.
    fn told(&mut self) -> Vec<String> {
        let told = self.outbox.told.drain(..);
        told.map(|notice| match notice {
            Notice::Durable(durable) => format!("{} durable at {}", durable.id, durable.seq),
            Notice::Moved { id, from, to, .. } => {
                format!(
                    "{id} from {}:{} to {}:{}",
                    from.epoch, from.offset, to.epoch, to.offset
                )
            }
            Notice::Unconfirmed { id, .. } => format!("{id} unconfirmed"),
            other => format!("{other:?}"),
        })
        .collect()
    }

    /// So long passes that everything is overdue.
    fn wait(&mut self) {
        self.now += Duration::from_secs(13);
        self.outbox.overdue(self.now);
    }
}

#[test]
fn one_at_a_time_and_kept_until_archived() {
    let mut story = Story::new();
    let (mut first, _second) = (story.put("a"), story.put("b"));
    assert_eq!(story.accept("1", 5), "a");
    let sent = first.try_recv().unwrap().unwrap();
    assert_eq!((sent.seq, sent.durability), (5, Level::Accepted));
    let (ticket, id, _) = story.sent().unwrap();
    assert_eq!((id.as_str(), story.sent()), ("b", None));
    story.answer(ticket, "1", 6, Level::Accepted);
    story.mark("1", 5);
    assert_eq!(story.told(), ["a durable at 5"]);
    story.mark("1", 9);
    assert_eq!(story.told(), ["b durable at 6"]);
    assert_eq!(story.outbox.len(), 0);
    assert_eq!((story.outbox.bytes, story.outbox.lanes.len()), (0, 0));
}

#[test]
fn after_a_lost_connection_all_go_out_again_in_order() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b"), story.put("c")];
    story.accept("1", 5);
    story.sent().unwrap();
    story.outbox.lost();
    assert_eq!(story.accept("1", 5), "a");
    assert_eq!(story.accept("1", 6), "b");
    assert_eq!(story.accept("1", 7), "c");
    assert_eq!(story.told(), [""; 0]);
}

#[test]
fn a_later_epoch_puts_what_was_acknowledged_before_what_is_new() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b")];
    story.accept("1", 6);
    story.accept("1", 7);
    let _new = story.put("c");
    story.outbox.entered("a", "2");
    // A mark of the new epoch says nothing of what has not been seen in it.
    story.mark("2", 9);
    assert_eq!(story.accept("1", 6), "a");
    assert_eq!(story.told(), ["a durable at 6"]);
    assert_eq!(story.accept("2", 10), "b");
    assert_eq!(story.accept("2", 11), "c");
    assert_eq!(story.told(), ["b from 1:7 to 2:10"]);
    story.mark("2", 11);
    assert_eq!(story.told(), ["b durable at 10", "c durable at 11"]);
}

#[test]
fn an_answer_of_a_later_epoch_is_news_too() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b")];
    story.accept("1", 6);
    story.accept("2", 6);
    assert_eq!(story.accept("2", 7), "a");
    assert_eq!(story.told(), ["a from 1:6 to 2:7"]);
    assert_eq!(story.sent(), None);
}

#[test]
fn later_is_for_all_of_a_room_and_never_for_those_behind() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b")];
    let (ticket, ..) = story.sent().unwrap();
    assert!(!story.refuse(ticket, 111, true));
    assert!(story.outbox.has_put_off() && story.sent().is_none());
    story.outbox.again();
    assert_eq!(story.accept("1", 1), "a");
}

#[test]
fn a_refusal_for_good_is_the_answer_or_leaves_an_acknowledged_message_unconfirmed() {
    let mut story = Story::new();
    let mut first = story.put("a");
    let (ticket, ..) = story.sent().unwrap();
    assert!(story.refuse(ticket, 404, false));
    assert!(first.try_recv().unwrap().is_err());
    let _second = story.put("b");
    story.accept("1", 1);
    story.outbox.lost();
    let (ticket, ..) = story.sent().unwrap();
    assert!(story.refuse(ticket, 404, false));
    assert_eq!(story.told(), ["b unconfirmed"]);
    assert_eq!(story.outbox.len(), 0);
}

#[test]
fn a_server_that_knows_the_order_is_told_the_predecessor_and_may_lack_it() {
    let mut story = Story::new();
    story.outbox.knows_order = true;
    let _waiting = [story.put("a"), story.put("b")];
    story.accept("1", 6);
    let (ticket, id, after) = story.sent().unwrap();
    assert_eq!((id.as_str(), after.as_str()), ("b", "a"));
    assert!(story.refuse(ticket, 409, false));
    assert_eq!(story.accept("2", 6), "a");
    let (ticket, id, _) = story.sent().unwrap();
    assert_eq!(id, "b");
    assert!(!story.refuse(ticket, 409, false), "not as fast again");
    assert_eq!(story.sent(), None);
    story.outbox.again();
    assert_eq!(story.accept("2", 6), "a");
    assert_eq!(story.accept("2", 7), "b");
    // Whatever else it means by it, it is not asked for ever.
    let mut refused = story.put("c");
    let mut predecessors = Vec::new();
    while let Err(oneshot::error::TryRecvError::Empty) = refused.try_recv() {
        let (ticket, id, after) = story.sent().unwrap();
        if id == "c" {
            predecessors.push(after);
            story.refuse(ticket, 409, false);
            story.outbox.again();
        } else {
            story.answer(ticket, "2", 6, Level::Accepted);
        }
    }
    assert_eq!(predecessors, ["b", "b", "b", "b", "b", "b", "b", "b", ""]);
}

#[test]
fn without_a_word_the_first_of_a_room_is_asked_for() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b")];
    story.accept("1", 1);
    story.accept("1", 2);
    let due = story.outbox.due(Duration::from_secs(20)).unwrap();
    assert!(due > story.now + Duration::from_secs(7) && due < story.now + Duration::from_secs(13));
    story.outbox.overdue(story.now);
    assert_eq!(story.sent(), None);
    story.wait();
    let (ticket, id, _) = story.sent().unwrap();
    assert_eq!(id, "a");
    story.answer(ticket, "1", 1, Level::Archived);
    assert_eq!(story.told(), ["a durable at 1"]);
    story.wait();
    assert_eq!(story.sent_id().unwrap(), "b");
}

#[test]
fn a_server_that_never_says_archived_is_taken_at_its_word() {
    let mut story = Story::new();
    let _waiting = [story.put("a"), story.put("b")];
    story.accept("1", 1);
    story.accept("1", 2);
    for _ in 0..3 {
        assert_eq!(story.outbox.len(), 2);
        story.wait();
        assert_eq!(story.accept("1", 1), "a");
    }
    assert_eq!(story.told(), ["a durable at 1", "b durable at 2"]);
    let _third = story.put("c");
    story.accept("1", 3);
    assert_eq!(story.outbox.len(), 0);
    // Should it learn to, it is believed.
    story.mark("1", 3);
    let _fourth = story.put("d");
    story.accept("1", 4);
    assert_eq!(story.outbox.len(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_noticed() {
    let mut story = Story::new();
    let patience = Duration::from_secs(20);
    let _waiting = story.put("a");
    assert_eq!(story.outbox.due(patience), None);
    story.sent().unwrap();
    assert_eq!(story.outbox.due(patience), Some(story.now + patience));
    assert!(!story.outbox.is_stuck(story.now - Duration::from_secs(1)));
    assert!(story.outbox.is_stuck(story.now));
}

#[test]
fn it_is_bounded_in_messages_and_in_bytes() {
    let mut story = Story::new();
    story.outbox.most_bytes = 1000;
    let mut waiting: Vec<Waiting> = (0..4).map(|n| story.put(&n.to_string())).collect();
    assert_eq!(waiting.pop().unwrap().try_recv().unwrap(), Err(Error::Full));
    assert!(waiting.pop().unwrap().try_recv().is_err());
    (story.outbox.most_bytes, story.outbox.most_letters) = (100_000, 3);
    assert_eq!(story.put("x").try_recv().unwrap(), Err(Error::Full));
    story.accept("1", 1);
    story.mark("1", 1);
    assert!(story.put("x").try_recv().is_err());
}

#[test]
fn the_end_is_told_to_all_who_wait() {
    let mut story = Story::new();
    let (mut first, mut second) = (story.put("a"), story.put("b"));
    story.accept("1", 1);
    let sent = first.try_recv().unwrap().unwrap();
    let (answer, mut settled) = oneshot::channel();
    story.outbox.settle(answer);
    story.outbox.end(&Error::Ended);
    assert_eq!(second.try_recv().unwrap(), Err(Error::Ended));
    assert_eq!(settled.try_recv().unwrap(), Err(Error::Ended));
    assert_eq!(*sent.fate.borrow(), Some(Err(Error::Ended)));
}

#[test]
fn a_malformed_body_is_refused() {
    let mut story = Story::new();
    let (answer, _waiting) = oneshot::channel();
    let message = Message {
        room: "a".to_owned(),
        id: "x".to_owned(),
        body: Bytes::from_static(b"{"),
        ack: None,
    };
    story.outbox.put(message, None, answer, story.now);
    assert!(story.outbox.send(story.now).unwrap().argument.is_err());
}
