//! Where one client stands in its room, and whether what it is given goes on from there.

/// A client's place, with what was wrong with the stream so far.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The last sequence and its epoch; none before the first subscription.
    pub stands: Option<(u64, u64)>,
    /// Up to where events were fetched, so that they may come once more.
    settled: u64,
    pub holes: u64,
    pub doubled: u64,
}

impl Place {
    /// Begins, or goes on, behind a sequence.
    pub fn go_on(&mut self, seq: u64, epoch: u64) {
        self.stands = Some((seq, epoch));
    }

    /// What was fetched up to there need not be shown again.
    pub fn settle(&mut self) {
        self.settled = self.seq();
    }

    pub fn seq(&self) -> u64 {
        self.stands.map_or(0, |(seq, _)| seq)
    }

    /// Counts an event in; `false` if it is to be dropped as one that was fetched.
    pub fn take(&mut self, seq: u64) -> bool {
        let (before, epoch) = self.stands.unwrap_or((seq.saturating_sub(1), 0));
        if seq <= self.settled && seq <= before {
            return false;
        }
        if seq <= before {
            self.doubled += 1;
            return true;
        }
        self.holes += seq - before - 1;
        self.stands = Some((seq, epoch));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_next_is_counted_unless_it_was_fetched() {
        let mut place = Place::default();
        place.go_on(4, 1);
        assert!(place.take(5) && place.take(6));
        assert_eq!((place.holes, place.doubled), (0, 0));
        assert!(place.take(9));
        assert_eq!(place.holes, 2);
        assert!(place.take(9));
        assert_eq!(place.doubled, 1);
        place.settle();
        assert!(!place.take(8) && !place.take(9) && place.take(10));
        assert_eq!((place.holes, place.doubled), (2, 1));
    }
}
