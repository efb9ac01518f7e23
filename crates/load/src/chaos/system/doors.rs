//! Which gateways are well, as a load balancer finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::chaos::http;
use crate::chaos::proxy::Targets;

/// How often a gateway is asked how it is.
const PAUSE: Duration = Duration::from_millis(250);

/// One that clients may be led to.
struct Door {
    public: u16,
    admin: u16,
    well: AtomicBool,
}

/// The gateways, and which of them are well.
#[derive(Clone)]
pub(crate) struct Doors {
    doors: Arc<Vec<Door>>,
    _watch: Arc<JoinSet<()>>,
}

impl Doors {
    /// Watches gateways, given by their public and admin ports.
    pub fn watch(gateways: Vec<(u16, u16)>) -> Self {
        let door = |(public, admin)| Door {
            public,
            admin,
            well: AtomicBool::new(true),
        };
        let doors: Arc<Vec<Door>> = Arc::new(gateways.into_iter().map(door).collect());
        let mut watch = JoinSet::new();
        for number in 0..doors.len() {
            let doors = Arc::clone(&doors);
            watch.spawn(async move {
                while let Some(door) = doors.get(number) {
                    let begun = Instant::now();
                    let status = http::status(door.admin, "/ready", PAUSE * 2).await;
                    let well = status.is_ok_and(|status| status == 200);
                    door.well.store(well, Ordering::Relaxed);
                    sleep(PAUSE.saturating_sub(begun.elapsed())).await;
                }
            });
        }
        Self {
            doors,
            _watch: Arc::new(watch),
        }
    }

    /// The public ports of those that are well.
    pub fn well(&self) -> Vec<u16> {
        let well = self
            .doors
            .iter()
            .filter(|door| door.well.load(Ordering::Relaxed));
        well.map(|door| door.public).collect()
    }

    /// Where whoever belongs to this gateway is led: to it, or else to the next one that is well.
    pub fn from(&self, number: usize) -> Targets {
        let doors = Arc::clone(&self.doors);
        Arc::new(move || {
            let mut order: Vec<&Door> = doors.iter().collect();
            order.rotate_left(number % doors.len().max(1));
            // If none seems well, any may still be.
            order.sort_by_key(|door| !door.well.load(Ordering::Relaxed));
            order.into_iter().map(|door| door.public).collect()
        })
    }
}
