//! Breadth first through all states that can be reached: the first thing found wrong has the
//! shortest way to it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Something that goes on in steps.
pub trait Model: Clone + Eq + Hash + Debug {
    type Step: Clone + Debug;

    /// What can happen next.
    fn steps(&self) -> Vec<Self::Step>;

    /// What comes of a step; `None` if nothing; `Err` if something that must not be.
    fn after(&self, step: &Self::Step) -> Option<Result<Self, String>>;

    /// Whether all that was wanted is reached.
    fn is_done(&self) -> bool;
}

/// What was found.
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// What must not happen, and how it comes to it.
    pub problem: Option<String>,
    /// A state from which the end cannot be reached, and how it comes to it.
    pub stuck: Option<String>,
}

struct Way<S> {
    from: usize,
    step: Option<S>,
}

/// Looks at all states, or at the nearest so many.
pub fn explore<M: Model>(begin: M, most: usize) -> Explored {
    let mut numbers = HashMap::from([(fingerprint(&begin), 0usize)]);
    let mut states = vec![begin];
    let mut ways: Vec<Way<M::Step>> = vec![Way {
        from: 0,
        step: None,
    }];
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < states.len() {
        let state = states[at].clone();
        for step in state.steps() {
            match state.after(&step) {
                None => {}
                Some(Err(problem)) => {
                    let way = way_to(&ways, at);
                    return Explored {
                        states: states.len(),
                        steps: edges.len(),
                        problem: Some(format!(
                            "{problem}, after {way:?}, {step:?} from {state:#?}"
                        )),
                        stuck: None,
                    };
                }
                Some(Ok(next)) => {
                    let new = states.len();
                    let number = *numbers.entry(fingerprint(&next)).or_insert(new);
                    if number == new {
                        states.push(next);
                        ways.push(Way {
                            from: at,
                            step: Some(step),
                        });
                    }
                    edges.push((number, at));
                }
            }
        }
        at += 1;
        if states.len() > most {
            break;
        }
    }
    // Of what was not looked at, nobody knows where it leads.
    let is_all = at == states.len();
    let stuck = is_all.then(|| stuck(&states, &mut edges)).flatten();
    Explored {
        states: states.len(),
        steps: edges.len(),
        problem: None,
        stuck: stuck.map(|at| format!("{:?}, {:#?}", way_to(&ways, at), states[at])),
    }
}

/// Of two states in a million the same fingerprint is had once in ten million runs.
fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn way_to<S: Clone>(ways: &[Way<S>], mut at: usize) -> Vec<S> {
    let mut steps = Vec::new();
    while let Some(step) = &ways[at].step {
        steps.push(step.clone());
        at = ways[at].from;
    }
    steps.reverse();
    steps
}

/// The first state from which no end can be reached, by going back from all ends.
fn stuck<M: Model>(states: &[M], edges: &mut [(usize, usize)]) -> Option<usize> {
    edges.sort_unstable();
    let mut reaches: Vec<bool> = states.iter().map(M::is_done).collect();
    let mut waiting: Vec<usize> = (0..states.len()).filter(|at| reaches[*at]).collect();
    while let Some(to) = waiting.pop() {
        let first = edges.partition_point(|edge| edge.0 < to);
        for (_, from) in edges[first..].iter().take_while(|edge| edge.0 == to) {
            if !reaches[*from] {
                reaches[*from] = true;
                waiting.push(*from);
            }
        }
    }
    reaches.iter().position(|reaches| !reaches)
}
