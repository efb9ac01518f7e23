//! Who was shown online, against who was (C9).
//!
//! A user is online while any of their clients has a session. What an observer was told last holds
//! until it is told otherwise or its own connection ends. While a fault lasts, and a grace after
//! it, nobody can be blamed for what they could not know; ghosts get that much time more.

use std::collections::HashMap;

use super::Rules;
use super::facts::Facts;
use super::findings::{Findings, Violation};
use super::history::{History, What};
use super::losses;
use super::verdict::{Check, Kind};

pub(super) fn check(
    facts: &Facts<'_>,
    history: &History,
    rules: &Rules,
    findings: &mut Findings<'_>,
) {
    if !facts
        .records
        .iter()
        .any(|record| matches!(record.what, What::Saw { .. }))
    {
        return;
    }
    let users = users(facts);
    let faults = Faults::of(history);
    for shown in shown(facts) {
        let Some(sessions) = users.get(&shown.user) else {
            continue;
        };
        let wrong = if shown.online {
            ghost(&shown, sessions, &faults, rules)
        } else {
            hidden(&shown, sessions, &faults, rules)
        };
        if let Some(at) = wrong {
            let violation = Violation {
                check: Check::C9,
                kind: Kind::Presence,
                count: 1,
                at: Some(at),
                records: &[shown.record],
            };
            findings.add(&violation, || {
                let (user, observer) = (shown.user, shown.observer);
                let (was, is) = match shown.online {
                    true => ("online", "had gone"),
                    false => ("offline", "was there"),
                };
                format!("user {user} was shown {was} to client {observer} and {is}")
            });
        }
    }
}

/// Spans of time in which a user had sessions; ascending, apart from each other.
type Sessions = Vec<(u64, u64)>;

/// What an observer was shown, as long as that held.
struct Shown {
    observer: u32,
    user: u32,
    online: bool,
    from: u64,
    to: u64,
    record: u32,
}

fn users(facts: &Facts<'_>) -> HashMap<u32, Sessions> {
    let mut users: HashMap<u32, Sessions> = HashMap::new();
    let mut open: HashMap<u32, (u32, u64)> = HashMap::new();
    let mut close = |open: Option<(u32, u64)>, at: u64| {
        if let Some((user, from)) = open {
            users.entry(user).or_default().push((from, at));
        }
    };
    for record in &facts.records {
        match record.what {
            What::Connected { user, .. } => {
                close(open.insert(record.client, (user, record.at)), record.at);
            }
            What::Disconnected { .. } => close(open.remove(&record.client), record.at),
            _ => {}
        }
    }
    for session in open.into_values() {
        close(Some(session), u64::MAX);
    }
    for sessions in users.values_mut() {
        sessions.sort_unstable();
        let mut joined: Sessions = Vec::with_capacity(sessions.len());
        for (from, to) in sessions.drain(..) {
            match joined.last_mut() {
                Some((_, last)) if *last >= from => *last = (*last).max(to),
                _ => joined.push((from, to)),
            }
        }
        *sessions = joined;
    }
    users
}

fn shown(facts: &Facts<'_>) -> Vec<Shown> {
    let end = facts.end().unwrap_or(0);
    let mut all = Vec::new();
    let mut now: HashMap<u32, HashMap<u32, (bool, u64, u32)>> = HashMap::new();
    for (number, record) in (0..).zip(&facts.records) {
        let observer = record.client;
        let mut told = |user, (online, from, record), to| {
            all.push(Shown {
                observer,
                user,
                online,
                from,
                to,
                record,
            });
        };
        match record.what {
            What::Saw { user, online } => {
                let seen = now.entry(observer).or_default();
                match seen.get(&user) {
                    Some((was, ..)) if *was == online => {}
                    _ => {
                        if let Some(before) = seen.insert(user, (online, record.at, number)) {
                            told(user, before, record.at);
                        }
                    }
                }
            }
            What::Connected { .. } | What::Disconnected { .. } => {
                for (user, before) in now.remove(&observer).unwrap_or_default() {
                    told(user, before, record.at);
                }
            }
            _ => {}
        }
    }
    for (observer, seen) in now {
        all.extend(
            seen.into_iter()
                .map(|(user, (online, from, record))| Shown {
                    observer,
                    user,
                    online,
                    from,
                    to: end,
                    record,
                }),
        );
    }
    all.sort_by_key(|shown| (shown.from, shown.observer, shown.user));
    all
}

/// Shown online for longer than the grace after the last session ended.
fn ghost(shown: &Shown, sessions: &Sessions, faults: &Faults, rules: &Rules) -> Option<u64> {
    // The times without a session that the showing reaches into.
    let next = sessions.partition_point(|(_, to)| *to <= shown.from);
    for place in next.checked_sub(1).unwrap_or(next)..=sessions.len() {
        let before = place.checked_sub(1).and_then(|place| sessions.get(place));
        let gone = before.map_or(0, |(_, to)| *to);
        let back = sessions.get(place).map_or(u64::MAX, |(from, _)| *from);
        if gone >= shown.to {
            break;
        }
        // Somebody who comes may be shown a moment before they know it themselves.
        let early = shown.from.saturating_add(rules.online_grace);
        let due = match before {
            Some(_) => faults.later(gone, gone.saturating_add(rules.offline_grace)),
            None => early,
        };
        let due = due.max(early);
        if due < shown.to.min(back) {
            return Some(due);
        }
    }
    None
}

/// Shown offline for longer than the grace while there was a session all that time.
fn hidden(shown: &Shown, sessions: &Sessions, faults: &Faults, rules: &Rules) -> Option<u64> {
    let next = sessions.partition_point(|(_, to)| *to <= shown.from);
    for (from, to) in sessions.iter().skip(next) {
        if *from >= shown.to {
            break;
        }
        let begin = shown.from.max(*from);
        let due = faults.later(begin, begin.saturating_add(rules.online_grace));
        let disturbed = faults.touch(begin.saturating_sub(rules.offline_grace), due);
        let due = if disturbed {
            due.saturating_add(rules.offline_grace)
        } else {
            due
        };
        if due < shown.to.min(*to) {
            return Some(due);
        }
    }
    None
}

/// When something was broken.
struct Faults(Vec<(u64, u64)>);

impl Faults {
    fn of(history: &History) -> Self {
        let injections = history.injections.iter();
        let spans = injections.map(|injection| (injection.at, losses::over(injection)));
        let mut spans: Vec<_> = spans.collect();
        spans.sort_unstable();
        Self(spans)
    }

    /// `due`, put off by as long as something was broken since `from`.
    fn later(&self, from: u64, mut due: u64) -> u64 {
        for (begin, end) in &self.0 {
            if *begin >= due {
                break;
            }
            due = due.saturating_add(end.saturating_sub((*begin).max(from)));
        }
        due
    }

    fn touch(&self, from: u64, to: u64) -> bool {
        self.0
            .iter()
            .any(|(begin, end)| *begin <= to && *end >= from)
    }
}
