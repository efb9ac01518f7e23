//! A history second by second, for its plots.

use std::collections::HashMap;

use anyhow::Result;

use crate::check::history::{History, Record, What};
use crate::report::{Second, Summary, Times, times};

/// Microseconds.
const SECOND: u64 = 1_000_000;

/// What a run was like.
pub(crate) struct Course {
    pub seconds: Vec<Second>,
    pub acks: Summary,
    pub deliveries: Summary,
}

/// When each message was sent: by client and count.
type Sent = HashMap<(u32, u64), u64>;

/// Goes through a history.
///
/// # Errors
/// Never, as the bounds of the histograms are good.
pub(crate) fn course(history: &History) -> Result<Course> {
    let mut course = Course {
        seconds: Vec::new(),
        acks: Summary::default(),
        deliveries: Summary::default(),
    };
    let (mut acks, mut deliveries) = (times()?, times()?);
    let (mut sent, mut connections) = (Sent::new(), 0u64);
    let mut records = history.records.iter().peekable();
    for at in 1.. {
        if records.peek().is_none() {
            break;
        }
        let mut now = Now {
            second: Second {
                at,
                ..Second::default()
            },
            acks: times()?,
            deliveries: times()?,
        };
        while let Some(record) = records.next_if(|record| record.at < at * SECOND) {
            now.take(record, &mut sent, &mut connections);
        }
        now.second.connections = connections;
        now.second.ack = halves(&now.acks);
        now.second.delivery = halves(&now.deliveries);
        acks.add(&now.acks)?;
        deliveries.add(&now.deliveries)?;
        course.seconds.push(now.second);
    }
    course.acks = Summary::from(&acks);
    course.deliveries = Summary::from(&deliveries);
    Ok(course)
}

/// One second.
struct Now {
    second: Second,
    acks: Times,
    deliveries: Times,
}

impl Now {
    fn take(&mut self, record: &Record, sent: &mut Sent, connections: &mut u64) {
        let since = |client: u32, n: u64| Some(record.at.saturating_sub(*sent.get(&(client, n))?));
        match record.what {
            What::Send { n, .. } => {
                sent.entry((record.client, n)).or_insert(record.at);
                self.second.sent += 1;
            }
            What::Accepted { n, .. } => {
                self.second.acked += 1;
                if let Some(time) = since(record.client, n) {
                    self.acks.saturating_record(time);
                }
            }
            What::Refused { .. } => self.second.refused += 1,
            What::Deliver { sender, n, .. } => {
                self.second.delivered += 1;
                if let Some(time) = since(sender, n) {
                    self.deliveries.saturating_record(time);
                }
            }
            What::Connected { .. } => *connections += 1,
            What::Disconnected { .. } => *connections = connections.saturating_sub(1),
            _ => {}
        }
    }
}

/// Half of them, and 99 of 100.
fn halves(times: &Times) -> [u64; 2] {
    [0.5, 0.99].map(|share| times.value_at_quantile(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::history::Level;

    #[test]
    fn each_second_has_its_own() {
        let record = |at, what| Record {
            at,
            client: 1,
            what,
        };
        let accepted = What::Accepted {
            room: 0,
            n: 0,
            seq: 1,
            epoch: 1,
            level: Level::Accepted,
            duplicate: false,
        };
        let history = History {
            records: vec![
                record(
                    5,
                    What::Connected {
                        gateway: 0,
                        user: 1,
                    },
                ),
                record(500_000, What::Send { room: 0, n: 0 }),
                record(2_500_000, accepted),
            ],
            ..History::default()
        };
        let course = course(&history).unwrap();
        let sent: Vec<u64> = course.seconds.iter().map(|second| second.sent).collect();
        assert_eq!(sent, [1, 0, 0]);
        let last = course.seconds[2];
        assert_eq!((last.acked, last.connections), (1, 1));
        assert!(last.ack[0].abs_diff(2_000_000) < 2_000, "{:?}", last.ack);
        assert_eq!(course.acks.count, 1);
    }
}
