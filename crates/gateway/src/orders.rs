//! Orders that were given while this gateway did not hear. What is published reaches only those who
//! listen at that moment; so orders are kept in Redis for a while too, and what is kept is read every
//! few seconds and after each reconnect. An order that was heard is not obeyed again when it is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chinwag_runtime::Context;
use chinwag_store::Store;
use chinwag_store::order::{Order, OrderId};
use tokio::sync::{Notify, mpsc};

use crate::inlet::ShardEvent;

/// How often what is kept is read.
const EVERY: Duration = Duration::from_secs(5);
/// Orders read at once.
const AT_ONCE: usize = 256;
/// How many orders are remembered until they come the other way, and how long.
const REMEMBERED: usize = 4_096;
const MEMORY: Duration = Duration::from_secs(60);

/// Hears and reads orders, and passes each on once.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    ledger: Mutex<Ledger>,
    look: Notify,
}

/// By which way an order came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Heard,
    Read,
}

/// Orders that came one way and not yet the other.
#[derive(Debug, Default)]
struct Ledger {
    open: VecDeque<(Instant, Way, Order)>,
}

impl Ledger {
    /// Whether an order is news, and not one that came the other way before.
    fn is_news(&mut self, order: &Order, way: Way, now: Instant) -> bool {
        while let Some((when, _, _)) = self.open.front()
            && (now.saturating_duration_since(*when) > MEMORY || self.open.len() >= REMEMBERED)
        {
            self.open.pop_front();
        }
        let is_same = |(_, other, known): &(Instant, Way, Order)| *other != way && known == order;
        if let Some(at) = self.open.iter().position(is_same) {
            self.open.remove(at);
            return false;
        }
        self.open.push_back((now, way, order.clone()));
        true
    }
}

impl Orders {
    /// Whether an order that was heard is news.
    pub(crate) fn heard(&self, order: &Order) -> bool {
        self.is_news(order, Way::Heard)
    }

    /// Has what is kept read now.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    fn is_news(&self, order: &Order, way: Way) -> bool {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.is_news(order, way, Instant::now())
    }

    /// Reads what is kept until the context stops.
    pub(crate) async fn read(
        self: Arc<Self>,
        store: Store,
        context: Context,
        shards: Vec<mpsc::Sender<ShardEvent>>,
    ) {
        // What was given before this gateway began concerns nobody here.
        let mut last = OrderId {
            time: store.now(),
            number: 0,
        };
        loop {
            tokio::select! {
                () = context.stopping() => return,
                () = self.look.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(error) = self.read_after(&store, &shards, &mut last).await {
                tracing::warn!(%error, "cannot read orders; trying again");
            }
        }
    }

    async fn read_after(
        &self,
        store: &Store,
        shards: &[mpsc::Sender<ShardEvent>],
        last: &mut OrderId,
    ) -> chinwag_store::Result<()> {
        loop {
            let orders = store.orders_after(*last, AT_ONCE).await?;
            let count = orders.len();
            for (id, order) in orders {
                *last = id;
                let Some(order) = order.filter(|order| self.is_news(order, Way::Read)) else {
                    continue;
                };
                metrics::counter!("chinwag_gateway_late_orders_total").increment(1);
                let event = ShardEvent::Order(Arc::new(order), Some(id.time));
                for shard in shards {
                    drop(shard.send(event.clone()).await);
                }
            }
            if count < AT_ONCE {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chinwag_protocol::id::UserId;

    use super::*;

    fn order(user: &str) -> Order {
        Order::Disconnect {
            user: UserId::new(user).unwrap(),
            client: None,
            code: 3503,
            reason: String::new(),
        }
    }

    #[test]
    fn each_order_is_obeyed_once_by_whichever_way_it_comes_first() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        let mut news = |user: &str, way| ledger.is_news(&order(user), way, now);
        assert!(news("ann", Way::Heard));
        assert!(!news("ann", Way::Read));
        // The same again is another.
        assert!(news("ann", Way::Heard) && news("ann", Way::Heard));
        assert!(!news("ann", Way::Read) && !news("ann", Way::Read));
        assert!(news("ann", Way::Read), "this one was not heard");
        assert!(!news("ann", Way::Heard), "or came late");
        assert!(news("bob", Way::Read));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        for number in 0..REMEMBERED * 2 {
            ledger.is_news(&order(&format!("user-{number}")), Way::Heard, now);
        }
        assert_eq!(ledger.open.len(), REMEMBERED);
        let later = now + MEMORY * 2;
        ledger.is_news(&order("ann"), Way::Heard, later);
        assert_eq!(ledger.open.len(), 1);
    }
}
