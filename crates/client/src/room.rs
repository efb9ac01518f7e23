//! Where a client stands in a room: what it has seen, what it asks for when it comes back, and
//! which of the publications that arrive are new.

use chinwag_protocol::push::Publication;
use chinwag_protocol::request::{StreamPosition, SubscribeRequest};
use chinwag_protocol::result::SubscribeResult;

/// A part of a room's log that this client will not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The last that it saw.
    pub after: StreamPosition,
    /// Where it goes on. Before `after` if the server has lost the end of its log.
    pub until: StreamPosition,
}

/// What a publication is to a client that has seen those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or one that is not counted.
    New,
    /// Seen already.
    Seen,
    /// Not the next one: some in between have been lost.
    Gap,
}

/// What a subscription gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Resumed {
    /// What was missed and is new, in order.
    pub publications: Vec<Publication>,
    /// What was missed and cannot be had.
    pub missed: Option<Missed>,
}

/// A client's place in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// What has been seen up to; `None` before anything is known.
    seen: Option<StreamPosition>,
    /// Whether the server counts this room's publications.
    counted: bool,
}

impl Place {
    /// A place after `position`.
    #[must_use]
    pub fn after(position: StreamPosition) -> Self {
        Self {
            seen: Some(position),
            counted: true,
        }
    }

    /// What has been seen up to.
    #[must_use]
    pub fn seen(&self) -> Option<&StreamPosition> {
        self.seen.as_ref().filter(|_| self.counted)
    }

    /// Asks to go on from here.
    #[must_use]
    pub fn request(&self) -> SubscribeRequest {
        let mut request = SubscribeRequest {
            positioned: true,
            recoverable: true,
            ..SubscribeRequest::default()
        };
        if let Some(seen) = self.seen() {
            request.recover = true;
            request.offset = seen.offset;
            request.epoch.clone_from(&seen.epoch);
        }
        request
    }

    /// Takes the server's answer, and tells what is new in it and what is missing from it.
    pub fn subscribed(&mut self, result: SubscribeResult) -> Resumed {
        let top = StreamPosition {
            offset: result.offset,
            epoch: result.epoch,
        };
        let before = self.seen().cloned();
        self.counted = result.recoverable || result.positioned;
        let mut resumed = Resumed {
            publications: Vec::new(),
            missed: None,
        };
        let (Some(before), true) = (before, self.counted) else {
            self.seen = Some(top);
            resumed.publications = result.publications;
            return resumed;
        };
        if !result.recovered {
            resumed.missed = (before != top).then(|| Missed {
                after: before,
                until: top.clone(),
            });
            self.seen = Some(top);
            return resumed;
        }
        for publication in result.publications {
            match self.arrive(&publication) {
                Arrival::Seen => continue,
                Arrival::New => {}
                Arrival::Gap => {
                    // The server calls it complete; it is not, so what lacks is named.
                    let last_missed = publication.offset.saturating_sub(1);
                    resumed.missed = resumed.missed.or(self.missed_until(last_missed));
                    self.go_on_after(publication.offset);
                }
            }
            resumed.publications.push(publication);
        }
        if self.offset() < top.offset {
            resumed.missed = resumed.missed.or(self.missed_until(top.offset));
        }
        let offset = self.offset().max(top.offset);
        self.seen = Some(StreamPosition { offset, ..top });
        resumed
    }

    /// Whether a subscription that was not asked for from here begins somewhere else, so that what
    /// lies between would be lost.
    #[must_use]
    pub fn is_passed_over_by(&self, result: &SubscribeResult) -> bool {
        let counted = result.recoverable || result.positioned;
        let elsewhere =
            |seen: &StreamPosition| seen.epoch != result.epoch || seen.offset != result.offset;
        counted && !result.was_recovering && self.seen().is_some_and(elsewhere)
    }

    /// Tells whether a live publication is new, and counts it as seen if it is.
    pub fn arrive(&mut self, publication: &Publication) -> Arrival {
        let Some(seen) = self.seen.as_mut().filter(|_| self.counted) else {
            return Arrival::New;
        };
        match publication.offset {
            0 => Arrival::New,
            offset if offset <= seen.offset => Arrival::Seen,
            offset if offset == seen.offset + 1 => {
                seen.offset = offset;
                Arrival::New
            }
            _ => Arrival::Gap,
        }
    }

    /// Forgets where it stood: what was there is not there any more.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    fn missed_until(&self, offset: u64) -> Option<Missed> {
        let after = self.seen.clone()?;
        let epoch = after.epoch.clone();
        let until = StreamPosition { offset, epoch };
        Some(Missed { after, until })
    }

    fn go_on_after(&mut self, offset: u64) {
        if let Some(seen) = &mut self.seen {
            seen.offset = offset;
        }
    }

    fn offset(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(epoch: &str, offset: u64) -> StreamPosition {
        let epoch = epoch.to_owned();
        StreamPosition { offset, epoch }
    }

    fn publication(offset: u64) -> Publication {
        Publication {
            offset,
            ..Publication::default()
        }
    }

    fn result(epoch: &str, offset: u64, publications: &[u64]) -> SubscribeResult {
        SubscribeResult {
            recoverable: true,
            epoch: epoch.to_owned(),
            offset,
            publications: publications.iter().copied().map(publication).collect(),
            recovered: true,
            ..SubscribeResult::default()
        }
    }

    fn offsets(resumed: &Resumed) -> Vec<u64> {
        let offsets = resumed.publications.iter();
        offsets.map(|publication| publication.offset).collect()
    }

    #[test]
    fn a_new_place_begins_at_the_top_and_asks_for_what_follows() {
        let mut place = Place::default();
        assert!(!place.request().recover);
        let resumed = place.subscribed(result("7", 40, &[]));
        assert_eq!(resumed.missed, None);
        let request = place.request();
        assert_eq!((request.recover, request.offset), (true, 40));
        assert_eq!(request.epoch, "7");
        assert_eq!(place.arrive(&publication(41)), Arrival::New);
        assert_eq!(place.arrive(&publication(41)), Arrival::Seen);
        assert_eq!(place.arrive(&publication(43)), Arrival::Gap);
        assert_eq!(place.arrive(&publication(0)), Arrival::New);
        assert_eq!(place.seen(), Some(&at("7", 41)));
    }

    #[test]
    fn recovery_gives_what_is_new_once_and_in_order() {
        let mut place = Place::after(at("7", 40));
        let resumed = place.subscribed(result("7", 43, &[40, 41, 42, 42, 43]));
        assert_eq!(offsets(&resumed), [41, 42, 43]);
        assert_eq!(resumed.missed, None);
        assert_eq!(place.arrive(&publication(43)), Arrival::Seen);
        assert_eq!(place.arrive(&publication(44)), Arrival::New);
    }

    #[test]
    fn what_cannot_be_recovered_is_named() {
        let mut place = Place::after(at("7", 40));
        let mut lost = result("7", 900, &[]);
        lost.recovered = false;
        let missed = place.subscribed(lost).missed.unwrap();
        assert_eq!(
            missed,
            Missed {
                after: at("7", 40),
                until: at("7", 900)
            }
        );
        assert_eq!(place.seen(), Some(&at("7", 900)));
    }

    #[test]
    fn a_server_that_lost_its_tail_is_followed_back() {
        let mut place = Place::after(at("7", 40));
        let mut rewound = result("8", 38, &[]);
        rewound.recovered = false;
        let missed = place.subscribed(rewound).missed.unwrap();
        assert_eq!(
            missed,
            Missed {
                after: at("7", 40),
                until: at("8", 38)
            }
        );
        assert_eq!(place.arrive(&publication(39)), Arrival::New);
    }

    #[test]
    fn a_recovery_with_a_hole_is_not_believed() {
        let mut place = Place::after(at("7", 40));
        let resumed = place.subscribed(result("7", 45, &[41, 44, 45]));
        assert_eq!(offsets(&resumed), [41, 44, 45]);
        assert_eq!(
            resumed.missed,
            Some(Missed {
                after: at("7", 41),
                until: at("7", 43)
            })
        );
        let mut place = Place::after(at("7", 40));
        let resumed = place.subscribed(result("7", 45, &[41]));
        assert_eq!(
            resumed.missed,
            Some(Missed {
                after: at("7", 41),
                until: at("7", 45)
            })
        );
        assert_eq!(place.seen(), Some(&at("7", 45)));
    }

    #[test]
    fn uncounted_rooms_let_everything_through_and_ask_for_nothing() {
        let mut place = Place::default();
        let mut plain = result("", 0, &[]);
        plain.recoverable = false;
        place.subscribed(plain);
        assert_eq!(place.arrive(&publication(0)), Arrival::New);
        assert_eq!(place.arrive(&publication(9)), Arrival::New);
        assert!(!place.request().recover);
    }

    #[test]
    fn a_subscription_that_knows_nothing_of_this_place_passes_it_over() {
        let place = Place::after(at("7", 40));
        assert!(place.is_passed_over_by(&result("7", 41, &[])));
        assert!(place.is_passed_over_by(&result("8", 40, &[])));
        assert!(!place.is_passed_over_by(&result("7", 40, &[])));
        assert!(!Place::default().is_passed_over_by(&result("7", 41, &[])));
        let mut recovered = result("7", 41, &[41]);
        recovered.was_recovering = true;
        assert!(!place.is_passed_over_by(&recovered));
    }

    proptest! {
        /// However the live stream stutters and restarts, each offset is seen once, in order.
        #[test]
        fn each_is_seen_once_and_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0u64..5, 0u64..5), 1..40),
        ) {
            let mut place = Place::after(at("1", 0));
            let mut shown = Vec::new();
            let mut top = 0u64;
            for (resume, back, forward) in steps {
                let from = top.saturating_sub(back);
                top += forward;
                if resume {
                    let seen = place.seen().unwrap().offset;
                    let since: Vec<u64> = (seen.min(from) + 1..=top).collect();
                    shown.extend(offsets(&place.subscribed(result("1", top, &since))));
                } else {
                    for offset in from + 1..=top {
                        if place.arrive(&publication(offset)) == Arrival::New {
                            shown.push(offset);
                        }
                    }
                }
            }
            let expected: Vec<u64> = (1..=place.seen().unwrap().offset).collect();
            prop_assert_eq!(shown, expected);
        }
    }
}
