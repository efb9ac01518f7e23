//! What a scenario asks of its players, in one form for all of them.

use std::time::Duration;

use crate::args::{Hot, Load, Scenario, Slow, Steady, Storm};

/// A conversation: who writes how much and when, who goes and comes, who is slow.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub title: String,
    pub rooms: usize,
    pub members: usize,
    /// How many of a room's members write.
    pub writers: usize,
    /// Messages a second, over all rooms.
    pub rate: f64,
    pub seconds: u64,
    pub bytes: usize,
    /// Messages that a writer sends at once.
    pub burst: u64,
    pub absence: Absence,
    /// Percent of a room's readers that are slow, and the bytes that they take in a second.
    pub slow: Option<(u64, u64)>,
}

/// Who is away, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Absence {
    Never,
    /// Stays so long and is away so long, on average, in seconds.
    Churn(f64, f64),
    /// At one moment, so many percent, so long, and back over so long, in seconds.
    Storm {
        at: f64,
        share: u64,
        away: f64,
        spread: f64,
    },
}

impl Script {
    /// The conversation of a scenario; `None` if it is none.
    pub(crate) fn of(load: &Load) -> Option<Self> {
        let script = match &load.scenario {
            Scenario::Steady(steady) => Self::steady("steady", steady),
            Scenario::Burst(burst) => Self {
                burst: burst.burst,
                ..Self::steady("burst", &burst.steady)
            },
            Scenario::Churn(churn) => Self {
                absence: Absence::Churn(churn.stay, churn.away),
                ..Self::steady("churn", &churn.steady)
            },
            Scenario::Storm(storm) => Self::storm(storm),
            Scenario::Slow(Slow {
                steady,
                share,
                pace,
            }) => Self {
                slow: Some((*share, *pace)),
                ..Self::steady("slow readers", steady)
            },
            Scenario::Hot(hot) => Self::hot(hot),
            Scenario::Idle(_) | Scenario::Chaos(_) | Scenario::Bench(_) | Scenario::Hold => {
                return None;
            }
        };
        Some(script)
    }

    fn steady(title: &str, steady: &Steady) -> Self {
        let Steady {
            rooms,
            members,
            rate,
            seconds,
            bytes,
        } = *steady;
        Self {
            title: title.to_owned(),
            rooms,
            members,
            writers: 1,
            rate,
            seconds,
            bytes,
            burst: 1,
            absence: Absence::Never,
            slow: None,
        }
    }

    fn storm(storm: &Storm) -> Self {
        let steady = Self::steady("reconnect storm", &storm.steady);
        #[expect(clippy::cast_precision_loss, reason = "a day at most")]
        let at = steady.seconds as f64 / 3.0;
        let (share, away, spread) = (storm.share, storm.away, storm.spread);
        Self {
            absence: Absence::Storm {
                at,
                share,
                away,
                spread,
            },
            ..steady
        }
    }

    fn hot(hot: &Hot) -> Self {
        Self {
            title: "hot room".to_owned(),
            rooms: 1,
            members: hot.members,
            writers: hot.writers.min(hot.members),
            rate: hot.rate,
            seconds: hot.seconds,
            bytes: hot.bytes,
            burst: 1,
            absence: Absence::Never,
            slow: None,
        }
    }

    /// When a writer's turns are. Writers take turns within the pause, as if they knew nothing of
    /// each other.
    pub(crate) fn schedule(&self, writer: usize) -> Schedule {
        let writers = float(self.rooms * self.writers);
        let every = Duration::from_secs_f64(float64(self.burst) * writers / self.rate);
        Schedule {
            first: every.mul_f64(float(writer) / writers),
            every,
            burst: self.burst,
            end: Duration::from_secs(self.seconds),
        }
    }

    /// When a client goes and comes back, for as long as the conversation lasts; from a number of
    /// its own, so that a run can be repeated.
    pub(crate) fn absences(&self, client: usize) -> Vec<(Duration, Duration)> {
        let end = Duration::from_secs(self.seconds);
        let mut random = fastrand::Rng::with_seed(0x5eed ^ u64::try_from(client).unwrap_or(0));
        let mut absences = Vec::new();
        match self.absence {
            Absence::Never => {}
            Absence::Storm {
                at,
                share,
                away,
                spread,
            } => {
                if random.u64(0..100) < share {
                    let back = at + away + spread * random.f64();
                    absences.push((Duration::from_secs_f64(at), Duration::from_secs_f64(back)));
                }
            }
            Absence::Churn(stay, away) => {
                let mut around = |mean: f64| Duration::from_secs_f64(mean * 2.0 * random.f64());
                let mut at = around(stay);
                while at < end {
                    let back = at + around(away);
                    absences.push((at, back));
                    at = back + around(stay) + Duration::from_millis(1);
                }
            }
        }
        absences
    }

    /// Whether a member of a room is slow: the last ones are, and never a writer.
    pub(crate) fn pace(&self, member: usize) -> Option<u64> {
        let (share, pace) = self.slow?;
        let readers = self.members.saturating_sub(self.writers);
        let slow = (readers * usize::try_from(share).unwrap_or(0)).div_ceil(100);
        (member >= self.members - slow).then_some(pace)
    }

    /// What was asked for, in words.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = vec![
            ("rooms".to_owned(), self.rooms.to_string()),
            ("members of each".to_owned(), self.members.to_string()),
            ("writers in each".to_owned(), self.writers.to_string()),
            ("messages a second".to_owned(), self.rate.to_string()),
            ("seconds".to_owned(), self.seconds.to_string()),
            ("bytes of a text".to_owned(), self.bytes.to_string()),
        ];
        if self.burst > 1 {
            parameters.push(("messages at once".to_owned(), self.burst.to_string()));
        }
        match self.absence {
            Absence::Never => {}
            Absence::Churn(stay, away) => {
                let words = format!("after {stay} s for {away} s, on average");
                parameters.push(("connections end".to_owned(), words));
            }
            Absence::Storm {
                at,
                share,
                away,
                spread,
            } => {
                let words = format!("{share} % at {at:.1} s, for {away} s, back over {spread} s");
                parameters.push(("connections end".to_owned(), words));
            }
        }
        if let Some((share, pace)) = self.slow {
            let words = format!("{share} % of the readers take {pace} bytes a second");
            parameters.push(("slow".to_owned(), words));
        }
        parameters
    }
}

/// When a writer's messages are due, since the begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    first: Duration,
    every: Duration,
    burst: u64,
    end: Duration,
}

impl Schedule {
    /// When message `n` is due; none if the conversation is over by then.
    pub(crate) fn due(&self, n: u64) -> Option<Duration> {
        let turn = u32::try_from(n / self.burst).ok()?;
        let due = self.first + self.every.checked_mul(turn)?;
        (due < self.end).then_some(due)
    }

    /// How many messages there will be.
    pub(crate) fn messages(&self) -> u64 {
        let span = self.end.saturating_sub(self.first).as_nanos();
        let turns = span.div_ceil(self.every.as_nanos().max(1));
        u64::try_from(turns).unwrap_or(0) * self.burst
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> Script {
        Script::steady(
            "steady",
            &Steady {
                rooms: 4,
                members: 5,
                rate: 100.0,
                seconds: 10,
                bytes: 1,
            },
        )
    }

    fn all(schedule: Schedule) -> Vec<Duration> {
        (0..).map_while(|n| schedule.due(n)).collect()
    }

    #[test]
    fn writers_together_keep_the_rate_and_take_turns() {
        for burst in [1, 20] {
            let script = Script { burst, ..steady() };
            let due: Vec<_> = (0..4).map(|writer| all(script.schedule(writer))).collect();
            let together: usize = due.iter().map(Vec::len).sum();
            assert_eq!(together, 1000, "burst {burst}");
            for (writer, due) in due.iter().enumerate() {
                let messages = script.schedule(writer).messages();
                assert_eq!(messages, due.len() as u64, "writer {writer}");
            }
            assert_eq!(due[0][0], Duration::ZERO);
            assert!(due[1][0] > due[0][0] && due[3][0] > due[2][0]);
        }
    }

    #[test]
    fn who_goes_comes_back_before_they_go_again() {
        let churn = Script {
            absence: Absence::Churn(1.0, 0.5),
            ..steady()
        };
        let absences = churn.absences(7);
        assert_eq!(absences, churn.absences(7));
        assert_ne!(absences, churn.absences(8));
        assert!(absences.len() > 2);
        assert!(absences.iter().all(|(from, to)| from <= to));
        assert!(absences.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn the_last_readers_are_slow_and_no_writer_is() {
        let slow = |share| {
            let script = Script {
                slow: Some((share, 1024)),
                ..steady()
            };
            (0..5)
                .filter(|member| script.pace(*member).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(slow(25), [4]);
        assert_eq!(slow(100), [1, 2, 3, 4]);
        assert!(slow(0).is_empty());
    }
}
