//! Where a room's live events stand: the next one, one that was there, or a hole. Pure.

use chinwag_protocol::position::Position;

/// The last position of a room that was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    position: Position,
}

/// What an event is, seen from where its room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next one: hand it on.
    Next,
    /// One that was handed on already: drop it.
    Duplicate,
    /// There is a hole before it, or an epoch began: look into the log.
    Gap,
}

impl Tail {
    /// A room whose events up to `position` are known.
    pub(crate) fn new(position: Position) -> Self {
        Self { position }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Says what an event is, and moves on if it is the next one.
    ///
    /// Within an epoch sequences are dense. A new epoch may have taken some back, so only the log
    /// can say whether the next sequence is the next event.
    pub(crate) fn offer(&mut self, event: Position) -> Step {
        if event.epoch < self.position.epoch {
            return Step::Duplicate;
        }
        if event.epoch > self.position.epoch {
            return Step::Gap;
        }
        if event.seq <= self.position.seq {
            return Step::Duplicate;
        }
        if event.seq > self.position.seq + 1 {
            return Step::Gap;
        }
        self.position = event;
        Step::Next
    }

    /// The same for an event that was read from the log after this tail's position: it may begin
    /// an epoch.
    pub(crate) fn offer_read(&mut self, event: Position) -> Step {
        if event.seq == self.position.seq + 1 {
            self.position = Position::new(event.epoch.max(self.position.epoch), event.seq);
            return Step::Next;
        }
        self.offer(event)
    }

    /// The log says that the position holds in `epoch` too.
    pub(crate) fn enter(&mut self, epoch: u64) {
        self.position.epoch = self.position.epoch.max(epoch);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_epoch_is_looked_into_even_if_the_sequence_fits() {
        let mut tail = Tail::new(Position::new(1, 7));
        assert_eq!(tail.offer(Position::new(2, 8)), Step::Gap);
        assert_eq!(tail.offer_read(Position::new(2, 8)), Step::Next);
        assert_eq!(tail.offer(Position::new(1, 9)), Step::Duplicate);
    }

    proptest! {
        #[test]
        fn whatever_is_lost_doubled_or_swapped_what_is_handed_on_is_dense(
            heard in proptest::collection::vec(1u64..40, 0..200)
        ) {
            let mut tail = Tail::new(Position::new(1, 0));
            let mut handed = Vec::new();
            for seq in heard {
                match tail.offer(Position::new(1, seq)) {
                    Step::Next => handed.push(seq),
                    Step::Duplicate => prop_assert!(handed.contains(&seq)),
                    Step::Gap => {
                        // What the log has, up to and including the event.
                        for read in tail.position().seq + 1..=seq {
                            prop_assert_eq!(tail.offer_read(Position::new(1, read)), Step::Next);
                            handed.push(read);
                        }
                    }
                }
            }
            let dense: Vec<u64> = (1..=handed.len() as u64).collect();
            prop_assert_eq!(handed, dense);
        }
    }
}
