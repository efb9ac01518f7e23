//! The gateway's name and the lease on it. Everything that the gateway holds, it holds under this
//! name; when the lease is lost, connections go and a new name is taken.

use std::time::Duration;

use chinwag_protocol::id::Incarnation;
use chinwag_runtime::{Context, Part};
use chinwag_store::Store;
use tokio::sync::watch;

/// Keeps the lease.
pub(crate) struct Name {
    store: Store,
    context: Context,
    lease: Duration,
    current: watch::Sender<Incarnation>,
    begun: bool,
    ready: Part,
}

impl Name {
    /// A name that nobody has had, and where to learn of the next.
    pub(crate) fn new(
        store: Store,
        context: &Context,
        lease: Duration,
    ) -> (Self, watch::Receiver<Incarnation>) {
        let (current, name) = watch::channel(fresh());
        let ready = context.part("lease");
        (
            Self {
                store,
                context: context.clone(),
                lease,
                current,
                begun: false,
                ready,
            },
            name,
        )
    }

    /// Renews the lease until the context stops and `gone` resolves, then gives the name up.
    pub(crate) async fn keep(mut self, gone: impl Future<Output = ()>) {
        let mut renew = tokio::time::interval(self.lease / 3);
        tokio::pin!(gone);
        loop {
            tokio::select! {
                () = &mut gone => break,
                _ = renew.tick() => self.renew().await,
            }
        }
        let name = self.current.borrow().clone();
        if let Err(error) = self.store.retire_gateway(&name).await {
            tracing::warn!(%error, "cannot give the gateway's name up; its lease will run out");
        }
    }

    async fn renew(&mut self) {
        let name = self.current.borrow().clone();
        match self
            .store
            .renew_gateway(&name, self.lease, !self.begun)
            .await
        {
            Ok(true) => {
                self.begun = true;
                self.ready.ready();
            }
            Ok(false) => {
                // Stopped for too long, or Redis has lost it: others may think us dead.
                tracing::warn!(%name, "the lease on the gateway's name has run out; taking another");
                let next = fresh();
                let begun = self.store.renew_gateway(&next, self.lease, true).await;
                if begun.is_ok_and(|alive| alive) && !self.context.is_stopping() {
                    self.current.send_replace(next);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot renew the lease on the gateway's name");
                self.ready.not_ready("Redis cannot be reached");
            }
        }
    }
}

/// A name that nobody has had.
fn fresh() -> Incarnation {
    let mut name = uuid::Uuid::now_v7().to_string();
    loop {
        match Incarnation::new(&name) {
            Ok(incarnation) => return incarnation,
            Err(_) => name = uuid::Uuid::now_v7().to_string(),
        }
    }
}
