//! Whether what is published reaches the listening connection: a number is published to ourselves now
//! and then, and heard again. A connection may live and be told nothing, such as one to a primary
//! that was demoted. No input or output.

/// How many numbers in a row may go unheard.
const MISSES: u32 = 2;

/// The numbers of one connection.
#[derive(Debug, Default)]
pub(super) struct Probe {
    sent: u64,
    heard: u64,
    misses: u32,
}

impl Probe {
    /// The next number to publish; `None` if nothing is heard on this connection.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.sent > self.heard {
            self.misses += 1;
        } else {
            self.misses = 0;
        }
        if self.misses >= MISSES {
            return None;
        }
        self.sent += 1;
        Some(self.sent)
    }

    /// A number was heard; or could not be published, which says nothing of the connection.
    pub(super) fn settled(&mut self, number: u64) {
        // Numbers of another connection are not ours.
        if number <= self.sent {
            self.heard = self.heard.max(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_may_be_late_and_two_may_not() {
        let mut probe = Probe::default();
        assert_eq!(probe.next(), Some(1));
        probe.settled(1);
        assert_eq!(probe.next(), Some(2));
        assert_eq!(probe.next(), Some(3));
        probe.settled(2);
        probe.settled(3);
        assert_eq!(probe.next(), Some(4));
        assert_eq!(probe.next(), Some(5));
        assert_eq!(probe.next(), None);
    }

    #[test]
    fn what_was_said_to_another_connection_counts_for_nothing() {
        let mut probe = Probe::default();
        probe.settled(7);
        assert_eq!(
            (probe.next(), probe.next(), probe.next()),
            (Some(1), Some(2), None)
        );
    }
}
