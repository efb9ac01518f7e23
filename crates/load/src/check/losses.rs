//! When Redis was made to lose something.

use super::history::Injection;

/// The times of all faults that may take back what was accepted.
#[derive(Debug)]
pub(super) struct Losses {
    /// When each began, and when the last of those begun so far was over. Ascending.
    spans: Vec<(u64, u64)>,
}

impl Losses {
    pub(super) fn of(injections: &[Injection]) -> Self {
        let mut spans: Vec<(u64, u64)> = injections
            .iter()
            .filter(|injection| injection.takes_back)
            .map(|injection| (injection.at, over(injection)))
            .collect();
        spans.sort_unstable();
        let mut last = 0;
        for (_, over) in &mut spans {
            last = last.max(*over);
            *over = last;
        }
        Self { spans }
    }

    /// Whether what was so at `from` may have been taken back by `to`.
    pub(super) fn between(&self, from: u64, to: u64) -> bool {
        let begun = self.spans.partition_point(|(at, _)| *at <= to);
        let last = begun.checked_sub(1).and_then(|last| self.spans.get(last));
        last.is_some_and(|(_, over)| *over >= from)
    }

    pub(super) fn before(&self, at: u64) -> bool {
        self.between(0, at)
    }

    pub(super) fn after(&self, at: u64) -> bool {
        self.between(at, u64::MAX)
    }

    pub(super) fn any(&self) -> bool {
        !self.spans.is_empty()
    }
}

/// When all was well again: until then, what was cut off may still have answered.
pub(crate) fn over(injection: &Injection) -> u64 {
    let recovered = injection.recovered.unwrap_or(0);
    injection.until.max(injection.at.saturating_add(recovered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_takes_back_what_was_before_its_end() {
        let loss = |at, until, takes_back| Injection {
            at,
            until,
            fault: String::new(),
            target: String::new(),
            takes_back,
            recovered: None,
        };
        let losses = [loss(10, 20, true), loss(12, 13, true), loss(50, 60, false)];
        let losses = Losses::of(&losses);
        assert!(losses.between(5, 10) && losses.between(19, 100) && losses.between(15, 15));
        assert!(!losses.between(5, 9) && !losses.between(21, 100));
        assert!(losses.before(10) && !losses.before(9));
        assert!(losses.after(20) && !losses.after(21));
    }
}
