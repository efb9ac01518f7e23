//! Who has left a room before something was taken back is told of nothing.

use super::verdict;
use crate::check::history::{Final, History, Injection, Level, Record, What};
use crate::check::verdict::Check;

const SECOND: u64 = 1_000_000;

/// Client 1 is given two messages and leaves at second 3; in the end there is another second one.
fn history(loss: Option<u64>, leaves: bool) -> History {
    let room = 0;
    let deliver = |seq, n| What::Deliver {
        room,
        seq,
        epoch: 1,
        sender: 0,
        n,
    };
    let mut all = vec![
        (0, 0, What::Entered { room }),
        (0, 1, What::Entered { room }),
    ];
    for (n, seq) in [(0, 1), (1, 2), (2, 2)] {
        let (epoch, level, duplicate) = (1, Level::Accepted, false);
        let accepted = What::Accepted {
            room,
            n,
            seq,
            epoch,
            level,
            duplicate,
        };
        all.extend([(0, 0, What::Send { room, n }), (0, 0, accepted)]);
    }
    all.extend([(1, 1, deliver(1, 0)), (2, 1, deliver(2, 1))]);
    if leaves {
        all.push((3, 1, What::Left { room }));
    }
    let record = |(at, client, what)| Record {
        at: at * SECOND,
        client,
        what,
    };
    let injection = |at: u64| Injection {
        at: at * SECOND,
        until: (at + 1) * SECOND,
        fault: "redis-isolated".to_owned(),
        target: String::new(),
        takes_back: true,
        recovered: None,
    };
    History {
        records: all.into_iter().map(record).collect(),
        injections: loss.into_iter().map(injection).collect(),
        finals: vec![Final {
            gateway: 0,
            room,
            events: vec![(1, 1, 0, 0), (2, 2, 0, 2)],
        }],
    }
}

#[test]
fn only_who_stays_must_be_told() {
    let found = |loss, leaves| verdict(&history(loss, leaves)).of(Check::C5);
    assert_eq!(found(Some(4), true), 0);
    assert_eq!(found(Some(4), false), 1, "it was there, and never told");
    assert_eq!(found(None, true), 1, "nothing was lost");
    assert_eq!(found(Some(90), true), 1, "it was archived by then");
}
