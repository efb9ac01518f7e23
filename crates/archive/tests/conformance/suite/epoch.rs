use std::collections::HashSet;

use chinwag_archive::Archive;
use futures_util::future::join_all;

use crate::rows::attempt;

pub async fn an_epoch_is_the_same_for_the_same_run_and_higher_for_another(archive: &dyn Archive) {
    let allocate = async |run| archive.allocate_epoch(7, run, 0).await.unwrap();
    assert_eq!(allocate("run-a").await, 1);
    assert_eq!(allocate("run-a").await, 1);
    assert_eq!(allocate("run-b").await, 2);
    // A Redis that came back is another one by then.
    assert_eq!(allocate("run-a").await, 3);
    assert_eq!(archive.allocate_epoch(8, "run-a", 0).await.unwrap(), 1);
}

pub async fn an_epoch_is_above_what_redis_remembers(archive: &dyn Archive) {
    assert_eq!(archive.allocate_epoch(7, "run-a", 41).await.unwrap(), 42);
    assert_eq!(archive.allocate_epoch(7, "run-a", 41).await.unwrap(), 42);
    assert_eq!(archive.allocate_epoch(7, "run-a", 50).await.unwrap(), 51);
    assert_eq!(archive.allocate_epoch(7, "run-b", 3).await.unwrap(), 52);
}

pub async fn an_epoch_taken_over_from_another_archive_is_nobodys(archive: &dyn Archive) {
    assert_eq!(archive.allocate_epoch(7, "run-a", 0).await.unwrap(), 1);
    attempt(archive, 1, 9, &[], "9-1").await.unwrap();
    assert_eq!(archive.checkpoint(7).await.unwrap().unwrap().epoch, 9);
    assert_eq!(archive.allocate_epoch(7, "run-a", 0).await.unwrap(), 10);
}

pub async fn one_epoch_comes_of_many_askers(archive: &dyn Archive) {
    let asked = (0..40).map(|_| archive.allocate_epoch(7, "run-a", 0));
    let epochs: HashSet<u64> = join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(epochs, HashSet::from([1]));
}
