//! What one client was given of one room, as a state that each record moves on.

/// Where the client was told to go on, if not where it stood.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// The room's top in that answer: what is up to there may be fetched, or never come.
    top: u64,
    /// Whether what it was given before may be no more.
    doubtful: bool,
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The last sequence that it was given, or behind which it began.
    position: Option<u64>,
    epoch: u64,
    told: Option<Told>,
    /// What stands of what it was given: sequences with the numbers of their records, ascending.
    pub view: Vec<(u64, u32)>,
    /// How many at the beginning of the view may be no more, as the client was told.
    pub doubtful: usize,
    /// How many at the beginning of the view it had when it left the room last, and when that was.
    left: Option<(usize, u64)>,
    pub member: Membership,
}

/// Whether the client is to be given anything.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    #[default]
    Never,
    Member,
    /// Since when not any more.
    Left(u64),
}

/// What is wrong with what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// These were passed over in silence, both included.
    Hole(u64, u64),
    /// These were passed over, as was said, both included.
    Gap(u64, u64),
    /// It came before; the number of that record.
    Again(u32),
    /// It is behind where the client was already.
    Back(u64),
    /// What was given up to the first is taken back to the second.
    TakenBack(u64, u64),
}

/// The answer to subscribing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub seq: u64,
    pub epoch: u64,
    pub since: Option<u64>,
    pub recovered: bool,
}

impl Stream {
    /// An event came.
    pub fn deliver(&mut self, seq: u64, record: u32) -> Option<Fault> {
        let position = self.position.unwrap_or(seq.saturating_sub(1));
        let mut fault = None;
        if seq <= position {
            if !self.told.is_some_and(|told| told.doubtful) {
                let again = self.given(seq).map(Fault::Again);
                return Some(again.unwrap_or(Fault::Back(position)));
            }
            self.cut(seq - 1);
            fault = Some(Fault::TakenBack(position, seq - 1));
        } else if seq > position + 1 {
            let passed = (position + 1, seq - 1);
            let said = self.told.is_some_and(|told| passed.1 <= told.top);
            fault = Some(match said {
                true => Fault::Gap(passed.0, passed.1),
                false => Fault::Hole(passed.0, passed.1),
            });
        }
        self.position = Some(seq);
        self.view.push((seq, record));
        self.told = self.told.filter(|told| seq < told.top);
        if let Some(told) = &mut self.told {
            told.doubtful = false;
        }
        fault
    }

    fn given(&self, seq: u64) -> Option<u32> {
        let place = self.view.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.view.get(place).map(|(_, record)| *record)
    }

    /// Lets go of what is behind `seq`.
    fn cut(&mut self, seq: u64) {
        let keep = self.view.partition_point(|(given, _)| *given <= seq);
        self.view.truncate(keep);
        self.doubtful = self.doubtful.min(keep);
        self.left = self.left.map(|(count, at)| (count.min(keep), at));
        self.position = Some(seq);
    }

    /// A subscription was answered.
    pub fn begin(&mut self, begin: Begin) -> Option<Fault> {
        let before = std::mem::replace(&mut self.epoch, begin.epoch);
        let elsewhere = before != 0 && begin.epoch != 0 && before != begin.epoch;
        self.told = None;
        let (Some(since), Some(position)) = (begin.since, self.position) else {
            // What it was given stands, and what it was not is not missed.
            self.cut(begin.since.unwrap_or(begin.seq));
            if elsewhere {
                self.doubtful = self.view.len();
            }
            return None;
        };
        if since > position {
            // It says that it has what it was never given.
            self.position = Some(since);
            return Some(Fault::Hole(position + 1, since));
        }
        if since < position {
            self.cut(since);
        }
        if begin.recovered {
            return None;
        }
        let back = begin.seq < since;
        if back {
            self.cut(begin.seq);
        }
        if back || elsewhere {
            self.doubtful = self.view.len();
        }
        self.told = Some(Told {
            top: begin.seq,
            doubtful: back || elsewhere,
        });
        back.then_some(Fault::TakenBack(since, begin.seq))
    }

    /// The client leaves the room: nobody owes it a word about what it has.
    pub fn leave(&mut self, at: u64) {
        self.member = Membership::Left(at);
        self.left = Some((self.view.len(), at));
    }

    /// When it left the room, having what stands at this place of its view.
    pub fn left_with(&self, place: usize) -> Option<u64> {
        let (count, at) = self.left?;
        (place < count).then_some(at)
    }

    /// What is behind `seq` is no more.
    pub fn rewind(&mut self, seq: u64, epoch: u64) -> Fault {
        let before = self.position.unwrap_or(seq);
        (self.told, self.epoch) = (None, epoch);
        if seq < before {
            self.cut(seq);
        } else {
            self.doubtful = self.view.len();
            self.position = Some(seq);
        }
        Fault::TakenBack(before, seq)
    }

    /// The last sequence that the client was given, or behind which it began.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// What the client knows that it lacks.
    pub fn lacks(&self) -> u64 {
        let (Some(told), Some(position)) = (self.told, self.position) else {
            return 0;
        };
        told.top.saturating_sub(position)
    }
}
