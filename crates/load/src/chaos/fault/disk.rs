//! The archive's disk.

use anyhow::Result;
use tokio::time::sleep;

use super::{Done, Injector};

impl Injector<'_> {
    /// The archive's disk has no room left for some seconds.
    pub(super) async fn fill_disk(&mut self) -> Result<Done> {
        let rests = self.between(2000, 5000);
        let at = self.recorder.now();
        self.system.disk.fill()?;
        sleep(rests).await;
        self.system.disk.make_room()?;
        Ok(self.until_now("archive", at))
    }
}
