//! What all players together do, second by second.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::report::{Second, Summary, Times, note, times};

/// Players that count on one page share its lock; they hold it for a moment.
const PAGES: usize = 8;

/// Where players count.
#[derive(Debug)]
pub(crate) struct Meter {
    pages: Vec<Mutex<Page>>,
    connections: AtomicI64,
}

/// What some players did since it was last looked at.
#[derive(Debug)]
pub(crate) struct Page {
    sent: u64,
    refused: u64,
    delivered: u64,
    behind: Duration,
    acks: Times,
    deliveries: Times,
    /// How long coming back took, from the first attempt to the session.
    returns: Times,
}

impl Page {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            sent: 0,
            refused: 0,
            delivered: 0,
            behind: Duration::ZERO,
            acks: times()?,
            deliveries: times()?,
            returns: times()?,
        })
    }

    /// A message was sent, so long after it was due.
    pub fn sent(&mut self, late: Duration) {
        self.sent += 1;
        self.behind = self.behind.max(late);
    }

    /// A message was answered.
    pub fn acked(&mut self, took: Duration) {
        note(&mut self.acks, took);
    }

    /// A message was put off.
    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// An event came; with the time that it took, if that says something of the server.
    pub fn delivered(&mut self, took: Option<Duration>) {
        self.delivered += 1;
        if let Some(took) = took {
            note(&mut self.deliveries, took);
        }
    }

    /// A client is back.
    pub fn returned(&mut self, took: Duration) {
        note(&mut self.returns, took);
    }
}

/// All seconds together.
#[derive(Debug)]
pub(crate) struct Totals {
    pub seconds: Vec<Second>,
    acks: Times,
    deliveries: Times,
    returns: Times,
}

impl Totals {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            seconds: Vec::new(),
            acks: times()?,
            deliveries: times()?,
            returns: times()?,
        })
    }

    pub fn acks(&self) -> Summary {
        Summary::from(&self.acks)
    }

    pub fn deliveries(&self) -> Summary {
        Summary::from(&self.deliveries)
    }

    pub fn returns(&self) -> Summary {
        Summary::from(&self.returns)
    }
}

impl Meter {
    pub fn new() -> anyhow::Result<Self> {
        let pages = (0..PAGES).map(|_| Ok(Mutex::new(Page::new()?)));
        Ok(Self {
            pages: pages.collect::<anyhow::Result<_>>()?,
            connections: AtomicI64::new(0),
        })
    }

    /// A client's page, for a moment.
    pub fn page(&self, client: usize) -> Option<MutexGuard<'_, Page>> {
        let page = self.pages.get(client % PAGES)?;
        Some(page.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection more, or less.
    pub fn connection(&self, more: i64) {
        self.connections.fetch_add(more, Ordering::Relaxed);
    }

    /// What was counted since this was last asked, which then begins anew.
    pub fn second(&self, at: u64, totals: &mut Totals) -> anyhow::Result<Second> {
        let (mut acks, mut deliveries) = (times()?, times()?);
        let connections = self.connections.load(Ordering::Relaxed);
        let mut second = Second {
            at,
            connections: u64::try_from(connections).unwrap_or(0),
            ..Second::default()
        };
        let mut behind = Duration::ZERO;
        for client in 0..PAGES {
            let Some(mut page) = self.page(client) else {
                continue;
            };
            second.sent += page.sent;
            second.refused += page.refused;
            second.delivered += page.delivered;
            behind = behind.max(page.behind);
            acks.add(&page.acks)?;
            deliveries.add(&page.deliveries)?;
            totals.returns.add(&page.returns)?;
            (page.sent, page.refused, page.delivered) = (0, 0, 0);
            page.behind = Duration::ZERO;
            page.acks.reset();
            page.deliveries.reset();
            page.returns.reset();
        }
        let most = |times: &Times| [times.value_at_quantile(0.5), times.value_at_quantile(0.99)];
        second.acked = acks.len();
        second.behind = u64::try_from(behind.as_micros()).unwrap_or(u64::MAX);
        (second.ack, second.delivery) = (most(&acks), most(&deliveries));
        totals.acks.add(&acks)?;
        totals.deliveries.add(&deliveries)?;
        totals.seconds.push(second);
        Ok(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_what_came_since_the_last_one() {
        let (meter, mut totals) = (Meter::new().unwrap(), Totals::new().unwrap());
        meter.connection(1);
        for client in 0..20 {
            let mut page = meter.page(client).unwrap();
            page.sent(Duration::from_millis(client as u64));
            page.acked(Duration::from_millis(2));
            page.delivered(None);
            page.delivered(Some(Duration::from_millis(4)));
        }
        let first = meter.second(1, &mut totals).unwrap();
        assert_eq!((first.sent, first.acked, first.delivered), (20, 20, 40));
        assert_eq!((first.connections, first.behind), (1, 19_000));
        let second = meter.second(2, &mut totals).unwrap();
        assert_eq!((second.sent, second.acked, second.behind), (0, 0, 0));
        assert_eq!(totals.acks().count, 20);
        assert_eq!(totals.deliveries().count, 20);
    }
}
