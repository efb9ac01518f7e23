//! Whether a Redis server may have lost what it was told: one that was restarted, promoted or
//! emptied gives another answer than before when it is asked for its generation.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag_store::{Partition, Store};
use futures_util::future::join_all;
use tokio::time::timeout;

/// What servers answered last.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    known: BTreeMap<Partition, String>,
    begun: bool,
}

impl Losses {
    /// Asks all servers. Says whether one may have lost something since they were asked before; of
    /// those that do not answer, that is found when they do.
    pub(crate) async fn look(&mut self, store: &Store, patience: Duration) -> bool {
        let partitions = store.one_of_each_server();
        let asked = partitions.into_iter().map(|partition| async move {
            let answer = timeout(patience, store.generation(partition)).await;
            Some((partition, answer.ok()?.ok()?))
        });
        let answers = join_all(asked).await;
        self.take(answers.into_iter().flatten())
    }

    /// Takes answers. What is asked for the first time, later than the rest, may have lost anything
    /// before.
    fn take(&mut self, answers: impl Iterator<Item = (Partition, String)>) -> bool {
        let mut lost = false;
        let mut any = false;
        for (partition, answer) in answers {
            any = true;
            let before = self.known.insert(partition, answer.clone());
            lost |= before.map_or(self.begun, |before| before != answer);
        }
        self.begun |= any;
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(losses: &mut Losses, answers: &[(u16, &str)]) -> bool {
        let answers = answers.iter();
        losses
            .take(answers.map(|(partition, answer)| (Partition(*partition), (*answer).to_owned())))
    }

    #[test]
    fn another_answer_is_a_loss_and_silence_is_none() {
        let mut losses = Losses::default();
        assert!(!look(&mut losses, &[]));
        assert!(!look(&mut losses, &[(0, "a"), (1, "b")]));
        assert!(!look(&mut losses, &[(0, "a"), (1, "b")]));
        assert!(!look(&mut losses, &[(0, "a")]));
        assert!(look(&mut losses, &[(0, "a"), (1, "c")]));
        assert!(!look(&mut losses, &[(0, "a"), (1, "c")]));
        assert!(look(&mut losses, &[(0, "a"), (2, "d")]), "another server");
    }
}
