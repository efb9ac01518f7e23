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
    /// What is no longer true of what this client saw.
    pub rewound: Option<Rewound>,
    /// The position after which the publications follow.
    pub after: StreamPosition,
    /// What was missed and is new, in order.
    pub publications: Vec<Publication>,
    /// What was missed and cannot be had.
    pub missed: Option<Missed>,
    /// Whether the client goes on where it was, or where it was taken back to, without a hole.
    pub recovered: bool,
}

/// A room that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewound {
    /// The last that this client saw.
    pub from: StreamPosition,
    /// What surely still holds; offset 0 if nothing does.
    pub to: StreamPosition,
}

/// What a client asks to go on from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Asking {
    /// What it has seen.
    #[default]
    Seen,
    /// What surely holds, because what it has seen does not.
    Safe,
    /// Nothing: the server has said that no position is good.
    Nothing,
}

/// A client's place in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// What has been seen up to; `None` before anything is known.
    seen: Option<StreamPosition>,
    /// Whether the server counts this room's publications.
    counted: bool,
    /// Where this client began without a hole since.
    base: u64,
    /// How far the archive has the room, by the last word about it; 0 if unknown.
    archived: u64,
    asking: Asking,
}

impl Place {
    /// A place after `position`.
    #[must_use]
    pub fn after(position: StreamPosition) -> Self {
        Self {
            base: position.offset,
            seen: Some(position),
            counted: true,
            ..Self::default()
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
        let offset = match self.asking {
            Asking::Seen => Some(self.offset()),
            Asking::Safe => Some(self.safe()),
            Asking::Nothing => None,
        };
        if let (Some(seen), Some(offset)) = (self.seen(), offset) {
            request.recover = true;
            request.offset = offset;
            request.epoch.clone_from(&seen.epoch);
        }
        request
    }

    /// The archive has the room up to here: that will not be taken back.
    pub fn archived(&mut self, mark: &StreamPosition) {
        if self.seen().is_some_and(|seen| seen.epoch == mark.epoch) {
            self.archived = self.archived.max(mark.offset);
        }
    }

    /// The best guess of what holds when what was seen does not: what is archived, else where
    /// this client began.
    fn safe(&self) -> u64 {
        match self.archived {
            0 => self.base,
            archived => archived.min(self.offset()),
        }
    }

    /// Takes the server's answer, and tells what is new in it and what is missing from it. `None`
    /// if what was seen does not hold: ask once more, from what surely does.
    pub fn subscribed(&mut self, result: SubscribeResult) -> Option<Resumed> {
        let top = StreamPosition {
            offset: result.offset,
            epoch: result.epoch,
        };
        let asked = std::mem::take(&mut self.asking);
        let before = self.seen().cloned();
        self.counted = result.recoverable || result.positioned;
        let (Some(before), true) = (before, self.counted) else {
            self.begin(&top);
            return Some(Resumed {
                rewound: None,
                after: top,
                publications: result.publications,
                missed: None,
                recovered: false,
            });
        };
        match asked {
            Asking::Seen | Asking::Safe if result.recovered => {
                Some(self.goes_on(before, &top, asked, result.publications))
            }
            _ => self.breaks_off(before, top, asked),
        }
    }

    /// The server gives everything since the place asked for.
    fn goes_on(
        &mut self,
        before: StreamPosition,
        top: &StreamPosition,
        asked: Asking,
        publications: Vec<Publication>,
    ) -> Resumed {
        let back = asked == Asking::Safe;
        let after = StreamPosition {
            offset: if back { self.safe() } else { before.offset },
            epoch: top.epoch.clone(),
        };
        self.base = self.base.min(after.offset);
        self.seen = Some(after.clone());
        let mut resumed = Resumed {
            rewound: back.then(|| Rewound {
                from: before,
                to: after.clone(),
            }),
            after,
            publications: Vec::new(),
            missed: None,
            recovered: true,
        };
        for publication in publications {
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
            self.go_on_after(top.offset);
        }
        resumed.recovered = resumed.missed.is_none();
        resumed
    }

    /// The server does not go on where this client was: too much was missed, or some of what it
    /// saw was taken back.
    fn breaks_off(
        &mut self,
        before: StreamPosition,
        top: StreamPosition,
        asked: Asking,
    ) -> Option<Resumed> {
        let ahead = top.offset >= before.offset;
        let all_archived = self.archived >= before.offset && self.archived > 0;
        let stands = ahead && (top.epoch == before.epoch || all_archived);
        if !stands && asked == Asking::Seen && self.safe() < before.offset {
            self.asking = Asking::Safe;
            return None;
        }
        let archived = self.archived.min(before.offset).min(top.offset);
        let to = StreamPosition {
            offset: if stands { before.offset } else { archived },
            epoch: top.epoch.clone(),
        };
        let missed = (to.offset < top.offset).then(|| Missed {
            after: if stands { before.clone() } else { to.clone() },
            until: top.clone(),
        });
        self.begin(&top);
        Some(Resumed {
            rewound: (!stands).then_some(Rewound { from: before, to }),
            after: top,
            publications: Vec::new(),
            recovered: missed.is_none(),
            missed,
        })
    }

    fn begin(&mut self, top: &StreamPosition) {
        self.base = top.offset;
        self.archived = self.archived.min(top.offset);
        self.seen = Some(top.clone());
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
            offset if seen.offset.checked_add(1) == Some(offset) => {
                seen.offset = offset;
                Arrival::New
            }
            _ => Arrival::Gap,
        }
    }

    /// What was there is not there any more, says the server: to be asked for without a position.
    pub fn forget(&mut self) {
        self.asking = Asking::Nothing;
    }

    fn missed_until(&self, offset: u64) -> Option<Missed> {
        let after = self.seen.clone()?;
        let epoch = after.epoch.clone();
        let until = StreamPosition { offset, epoch };
        Some(Missed { after, until })
    }

    fn go_on_after(&mut self, offset: u64) {
        self.base = offset;
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
        let resumed = place.subscribed(result("7", 40, &[])).unwrap();
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
        let resumed = place
            .subscribed(result("7", 43, &[40, 41, 42, 42, 43]))
            .unwrap();
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
        let missed = place.subscribed(lost).unwrap().missed.unwrap();
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
    fn a_server_that_lost_its_tail_is_followed_back_to_what_is_archived() {
        let mut place = Place::after(at("7", 30));
        assert_eq!(place.arrive(&publication(31)), Arrival::New);
        place.subscribed(result("7", 40, &(32..=40).collect::<Vec<_>>()));
        place.archived(&at("6", 99));
        place.archived(&at("7", 36));
        let mut rewound = result("8", 41, &[]);
        rewound.recovered = false;
        assert_eq!(place.subscribed(rewound), None);
        let request = place.request();
        assert_eq!((request.offset, request.epoch.as_str()), (36, "7"));
        let resumed = place.subscribed(result("8", 41, &[37, 38, 39, 40, 41]));
        let resumed = resumed.unwrap();
        assert_eq!(
            resumed.rewound,
            Some(Rewound {
                from: at("7", 40),
                to: at("8", 36)
            })
        );
        assert_eq!(offsets(&resumed), [37, 38, 39, 40, 41]);
        assert!(resumed.recovered && resumed.missed.is_none());
        assert_eq!(place.seen(), Some(&at("8", 41)));
    }

    #[test]
    fn what_does_not_hold_anywhere_is_to_be_had_anew() {
        let mut place = Place::after(at("7", 40));
        let mut rewound = result("8", 38, &[]);
        rewound.recovered = false;
        let resumed = place.subscribed(rewound).unwrap();
        assert_eq!(resumed.rewound.unwrap().to, at("8", 0));
        assert_eq!(resumed.missed.unwrap().until, at("8", 38));
        assert_eq!(place.arrive(&publication(39)), Arrival::New);
    }

    #[test]
    fn what_is_archived_is_never_taken_back() {
        let mut place = Place::after(at("7", 40));
        place.archived(&at("7", 40));
        let mut far = result("8", 900, &[]);
        far.recovered = false;
        let resumed = place.subscribed(far).unwrap();
        assert_eq!(resumed.rewound, None);
        assert_eq!(resumed.missed.unwrap().after, at("7", 40));
    }

    #[test]
    fn a_recovery_with_a_hole_is_not_believed() {
        let mut place = Place::after(at("7", 40));
        let resumed = place.subscribed(result("7", 45, &[41, 44, 45])).unwrap();
        assert_eq!(offsets(&resumed), [41, 44, 45]);
        assert_eq!(
            resumed.missed,
            Some(Missed {
                after: at("7", 41),
                until: at("7", 43)
            })
        );
        let mut place = Place::after(at("7", 40));
        let resumed = place.subscribed(result("7", 45, &[41])).unwrap();
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
        place.subscribed(plain).unwrap();
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
                    shown.extend(offsets(&place.subscribed(result("1", top, &since)).unwrap()));
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
