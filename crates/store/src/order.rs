//! Orders to all gateways. Each is kept for a while and said at once: who does not hear it finds it.

use std::fmt;

use redis::Value;

pub use crate::channel::Order;
use crate::connect::Call;
use crate::error::{Error, Result};
use crate::keys::ORDERS;
use crate::record;
use crate::store::Store;
use crate::value::Fields;

/// About how many orders are kept.
const KEPT: u64 = 10_000;

/// The place of an order among all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderId {
    /// When it was given, in milliseconds since 1970 by Redis's clock.
    pub time: u64,
    /// Which of those of that millisecond.
    pub number: u64,
}

impl fmt::Display for OrderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.time, self.number)
    }
}

impl Store {
    /// Gives an order to all gateways.
    ///
    /// # Errors
    /// As every write, if it could neither be kept nor said.
    pub async fn order(&self, order: &Order) -> Result<()> {
        let payload = record::encode(order);
        let keep = Call::new("keep_order")
            .key(ORDERS)
            .arg(payload.clone())
            .number(KEPT);
        let kept = self.link.call(&keep).await.map(drop);
        // A server that cannot write to its disk keeps nothing, but passes on what is said.
        let said = self.say_order(payload).await;
        match (kept, said) {
            (Ok(()), _) | (Err(Error::Full(_)), Ok(())) => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    /// Orders that were given after another, in their order, at most `limit`. One that this version
    /// cannot read is left out, but its place is there.
    ///
    /// # Errors
    /// As every read.
    pub async fn orders_after(
        &self,
        after: OrderId,
        limit: usize,
    ) -> Result<Vec<(OrderId, Option<Order>)>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(ORDERS).arg(format!("({after}")).arg("+");
        command.arg("COUNT").arg(limit);
        let answer = self.link.query("orders_after", &command).await?;
        let mut entries = Fields::of("order", answer)?;
        let mut orders = Vec::new();
        while !entries.is_empty() {
            orders.push(entry(entries.value()?)?);
        }
        Ok(orders)
    }
}

fn entry(entry: Value) -> Result<(OrderId, Option<Order>)> {
    let mut fields = Fields::of("order", entry)?;
    let id = fields.text()?;
    let parsed = id.split_once('-').and_then(|(time, number)| {
        let (time, number) = (time.parse().ok()?, number.parse().ok()?);
        Some(OrderId { time, number })
    });
    let id = parsed.ok_or_else(|| Error::corrupt("order", format!("id {id}")))?;
    let mut stored = Fields::of("order", fields.value()?)?;
    stored.value()?;
    let order = record::decode_value("order", &stored.bytes()?);
    let order = order.inspect_err(|error| tracing::warn!(%id, %error, "cannot read an order"));
    Ok((id, order.ok()))
}
