//! Appending: order, dedupe, epochs and what a reader finds.

use chinwag_protocol::event::Kind;
use chinwag_protocol::id::MessageId;
use chinwag_protocol::position::Position;
use chinwag_store::append::Appended;
use chinwag_store::channel::Heard;
use chinwag_store::history::Resumed;
use chinwag_store::{Error, Store, record};

use crate::support::{CHANNEL, append, config, room, says, store, written};

#[tokio::test]
async fn sequences_are_dense_from_one_and_a_repeated_id_gets_the_first_answer() {
    let (_redis, store) = store().await;
    let room = room("lobby");
    let first = written(append(&store, says(&room, CHANNEL, "ann", "m-1", "one"), (0, 0)).await);
    let second = written(append(&store, says(&room, CHANNEL, "ann", "m-2", "two"), (0, 0)).await);
    assert_eq!((first.position.seq, second.position.seq), (1, 2));
    let again = append(
        &store,
        says(&room, CHANNEL, "ann", "m-1", "other text"),
        (0, 0),
    )
    .await;
    assert_eq!(again, Appended::Repeated(first));
    // The same id of another sender is another message.
    let other = written(append(&store, says(&room, CHANNEL, "bob", "m-1", "mine"), (0, 0)).await);
    assert_eq!(other.position.seq, 3);
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_answers_each_draft() {
    let (_redis, store) = store().await;
    let room = room("lobby");
    written(append(&store, says(&room, CHANNEL, "ann", "", "zero"), (0, 0)).await);
    let drafts: Vec<_> = ["a", "b", "a", "c"]
        .iter()
        .map(|id| says(&room, CHANNEL, "ann", id, id))
        .collect();
    let answers = store
        .append(store.keys().of_room(&room), &drafts)
        .await
        .unwrap();
    let seqs: Vec<u64> = answers
        .iter()
        .map(|answer| match answer {
            Appended::Written(receipt) | Appended::Repeated(receipt) => receipt.position.seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [2, 3, 2, 4]);
}

#[tokio::test]
async fn what_follows_another_is_written_only_behind_it() {
    let (mut redis, store) = store().await;
    let room = room("lobby");
    let partition = store.keys().of_room(&room);
    let follows = |who: &str, id: &str, before: &str| {
        let mut draft = says(&room, CHANNEL, who, id, id);
        draft.after = Some(MessageId::new(before).unwrap());
        draft
    };
    written(append(&store, says(&room, CHANNEL, "ann", "m-1", "one"), (0, 0)).await);
    // Of one batch: behind what was there, behind one another, and behind nothing.
    let batch = [
        follows("ann", "m-2", "m-1"),
        follows("ann", "m-3", "m-2"),
        follows("ann", "m-5", "m-4"),
        follows("ann", "m-6", "m-5"),
        follows("bob", "m-2", "m-1"),
        says(&room, CHANNEL, "bob", "m-1", "one"),
        follows("bob", "m-2", "m-1"),
    ];
    let answers = store.append(partition, &batch).await.unwrap();
    let seqs: Vec<Option<u64>> = answers
        .iter()
        .map(|answer| match answer {
            Appended::Written(receipt) => Some(receipt.position.seq),
            Appended::Lacks => None,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        seqs,
        [Some(2), Some(3), None, None, None, Some(4), Some(5)],
        "an id is its sender's own"
    );
    // What is there already needs nothing before it.
    let again = append(&store, follows("ann", "m-2", "m-0"), (0, 0)).await;
    assert!(matches!(again, Appended::Repeated(receipt) if receipt.position.seq == 2));
    // Another epoch begins above what is known here: only the archive can tell.
    redis.restart().unwrap();
    let store = Store::connect(config(&redis)).await.unwrap();
    let ahead = append(&store, follows("ann", "m-9", "m-8"), (8, 8)).await;
    assert_eq!(ahead, Appended::LookBefore);
    let mut draft = follows("ann", "m-9", "m-8");
    draft.looked = true;
    let batch = [draft, says(&room, CHANNEL, "ann", "m-10", "ten")];
    let answers = store.append(partition, &batch).await.unwrap();
    assert_eq!(answers, [Appended::LookBefore, Appended::Again]);
    // And what is known still stands, if it was before what the archive had.
    let behind = append(&store, follows("ann", "m-9", "m-3"), (8, 8)).await;
    assert_eq!(written(behind).position, Position::new(2, 9));
}

#[tokio::test]
async fn what_is_appended_is_heard_and_found_by_a_reader() {
    let (_redis, store) = store().await;
    let room = room("lobby");
    let mut listener = store.listen(16).await.unwrap();
    listener
        .ear()
        .join(std::slice::from_ref(&room))
        .await
        .unwrap();
    written(append(&store, says(&room, CHANNEL, "ann", "m-1", "hi"), (0, 0)).await);
    let Some(Heard::Room(heard, payload)) = listener.heard.recv().await else {
        panic!()
    };
    assert_eq!(heard, room);
    let event = record::decode(&payload).unwrap();
    let resumed = store.resume(&room, Position::default(), 10).await.unwrap();
    let Resumed::Continues { top, first, events } = resumed else {
        panic!("{resumed:?}")
    };
    assert_eq!((top.position.seq, first), (1, 1));
    assert_eq!(events, [event]);
}

#[tokio::test]
async fn a_channel_without_history_keeps_no_ring() {
    let (_redis, store) = store().await;
    let room = room("lobby");
    let rules = chinwag_store::append::Rules {
        history_size: 0,
        ..CHANNEL
    };
    for number in 1..=16 {
        if number == 16 {
            // The archiver is ahead of the batch that is under way.
            store
                .mark_archived(&[(room.clone(), Position::new(1, 16))])
                .await
                .unwrap();
        }
        append(&store, says(&room, rules, "ann", "", "x"), (0, 0)).await;
    }
    assert!(store.ring(&room, 1, 16).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_ring_keeps_what_is_not_archived() {
    let (_redis, store) = store().await;
    let room = room("lobby");
    for number in 0..100 {
        append(
            &store,
            says(&room, CHANNEL, "ann", "", &number.to_string()),
            (0, 0),
        )
        .await;
    }
    assert_eq!(store.ring(&room, 1, 100).await.unwrap().len(), 100);
    store
        .mark_archived(&[(room.clone(), Position::new(1, 90))])
        .await
        .unwrap();
    for number in 100..112 {
        append(
            &store,
            says(&room, CHANNEL, "ann", "", &number.to_string()),
            (0, 0),
        )
        .await;
    }
    let seqs: Vec<u64> = store
        .ring(&room, 1, 112)
        .await
        .unwrap()
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(
        seqs,
        (91..=112).collect::<Vec<u64>>(),
        "more than 20, none of them archived"
    );
}

#[tokio::test]
async fn after_a_restart_nothing_is_appended_until_a_new_epoch_and_no_sequence_is_reused() {
    let (mut redis, store) = store().await;
    let room = room("lobby");
    for id in ["m-1", "m-2"] {
        append(&store, says(&room, CHANNEL, "ann", id, id), (0, 0)).await;
    }
    redis.restart().unwrap();
    let draft = says(&room, CHANNEL, "ann", "m-3", "three");
    let partition = store.keys().of_room(&room);
    let refused = loop {
        match store.append(partition, std::slice::from_ref(&draft)).await {
            Err(Error::Unavailable(_)) => {}
            answer => break answer,
        }
    };
    assert!(
        matches!(refused, Err(Error::NeedEpoch { .. })),
        "{refused:?}"
    );
    // The archive is ahead of what survived: the sequence goes on above it.
    let receipt = written(append(&store, draft, (5, 5)).await);
    assert_eq!(receipt.position, Position::new(2, 6));
    assert_eq!(receipt.messages, 6);
}

#[tokio::test]
async fn a_reader_of_an_earlier_epoch_goes_on_or_is_told_to_rewind() {
    let (mut redis, store) = store().await;
    let room = room("lobby");
    for id in ["m-1", "m-2", "m-3"] {
        append(&store, says(&room, CHANNEL, "ann", id, id), (0, 0)).await;
    }
    redis.restart().unwrap();
    let store = Store::connect(config(&redis)).await.unwrap();
    append(&store, says(&room, CHANNEL, "ann", "m-4", "four"), (0, 0)).await;
    let kept = store.resume(&room, Position::new(1, 3), 10).await.unwrap();
    assert!(
        matches!(&kept, Resumed::Continues { events, .. } if events.len() == 1),
        "{kept:?}"
    );
    let lost = store.resume(&room, Position::new(1, 9), 10).await.unwrap();
    assert!(matches!(lost, Resumed::Rewind { valid: 3, .. }), "{lost:?}");
    let foreign = store.resume(&room, Position::new(9, 1), 10).await.unwrap();
    assert!(matches!(foreign, Resumed::Rewind { .. }), "{foreign:?}");
}

#[tokio::test]
async fn a_server_that_is_no_longer_the_primary_is_asked_for_anew() {
    let (redis, store) = store().await;
    let room = room("lobby");
    written(append(&store, says(&room, CHANNEL, "ann", "", "one"), (0, 0)).await);
    let mut connection = redis.connection().unwrap();
    let mut clients = || {
        let mut list = redis::cmd("CLIENT");
        let list = list.arg("LIST").arg("TYPE").arg("normal");
        let clients: String = list.query(&mut connection).unwrap();
        clients
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = clients();
    let follow = |host: &str, port: &str| {
        let mut connection = redis.connection().unwrap();
        let mut command = redis::cmd("REPLICAOF");
        command
            .arg(host)
            .arg(port)
            .query::<()>(&mut connection)
            .unwrap();
    };
    follow("127.0.0.1", "1");
    let draft = says(&room, CHANNEL, "ann", "", "two");
    let partition = store.keys().of_room(&room);
    let refused = store.append(partition, std::slice::from_ref(&draft)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    follow("NO", "ONE");
    written(append(&store, draft, (0, 0)).await);
    let kept = clients()
        .into_iter()
        .filter(|client| before.contains(client));
    assert_eq!(kept.count(), 1, "ours that lists them, and not the store's");
}

#[tokio::test]
async fn another_count_of_partitions_is_refused_with_what_to_do() {
    let (redis, _store) = store().await;
    let other = chinwag_store::Config {
        partitions: 8,
        ..config(&redis)
    };
    let error = Store::connect(other).await.err().unwrap().to_string();
    assert!(error.contains("set redis.partitions = 4"), "{error}");
}

#[tokio::test]
async fn a_server_that_evicts_messages_is_refused_with_the_fix() {
    let (redis, _store) = store().await;
    let mut connection = redis.connection().unwrap();
    let set = ["set", "maxmemory-policy", "allkeys-lru"];
    redis::cmd("CONFIG")
        .arg(&set)
        .query::<String>(&mut connection)
        .unwrap();
    let error = Store::connect(config(&redis))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("config set maxmemory-policy noeviction"),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_server_that_was_restarted_is_still_read_from() {
    let (mut redis, store) = store().await;
    let room = room("lobby");
    written(append(&store, says(&room, CHANNEL, "ann", "", "one"), (0, 0)).await);
    redis.restart().unwrap();
    let store_again = Store::connect(config(&redis)).await.unwrap();
    drop(store);
    let mut connection = redis.connection().unwrap();
    let set = ["set", "maxmemory", "1"];
    redis::cmd("CONFIG")
        .arg(&set)
        .query::<String>(&mut connection)
        .unwrap();
    let (store, position) = (store_again, Position::default());
    let Err(Error::NeedEpoch { run_id }) = store.resume(&room, position, 10).await else {
        panic!("an epoch of another run")
    };
    let partition = store.keys().of_room(&room);
    store.install_epoch(partition, 2, &run_id).await.unwrap();
    let Err(Error::NeedReconcile { epoch, .. }) = store.resume(&room, position, 10).await else {
        panic!("a room of another epoch")
    };
    let reconciled = store.reconcile(&room, epoch, (0, 0), Kind::Channel).await;
    reconciled.unwrap();
    let resumed = store.resume(&room, position, 10).await.unwrap();
    assert!(matches!(resumed, Resumed::Continues { events, .. } if events.len() == 1));
}

#[tokio::test]
async fn what_the_log_refuses_is_not_taken_for_written_when_it_comes_again() {
    let (redis, store) = store().await;
    let room = room("lobby");
    let partition = store.keys().of_room(&room);
    // An id with a time is looked up and noted in one step, before the log is asked.
    let id = format!(
        "{:08x}-{:04x}-7000-8000-000000000001",
        store.now() >> 16,
        store.now() & 0xffff
    );
    assert!(MessageId::new(&id).unwrap().time().is_some());
    written(append(&store, says(&room, CHANNEL, "ann", "m-1", "one"), (0, 0)).await);
    let mut connection = redis.connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("log:*")
        .query(&mut connection)
        .unwrap();
    let log = &keys[0];
    // An entry of an epoch to come: nothing of this one can follow it.
    redis::cmd("XADD")
        .arg(log)
        .arg("99-1")
        .arg(&["x", "y"])
        .query::<String>(&mut connection)
        .unwrap();
    let draft = || says(&room, CHANNEL, "ann", &id, "two");
    assert!(store.append(partition, &[draft()]).await.is_err());
    redis::cmd("XDEL")
        .arg(log)
        .arg("99-1")
        .query::<i64>(&mut connection)
        .unwrap();
    redis::cmd("XSETID")
        .arg(log)
        .arg("1-1")
        .query::<()>(&mut connection)
        .unwrap();
    let receipt = written(append(&store, draft(), (0, 0)).await);
    assert_eq!(receipt.position.seq, 2);
    let again = append(&store, draft(), (0, 0)).await;
    assert_eq!(again, Appended::Repeated(receipt));
}
