//! Users' states are what their sessions say.

use std::time::Duration;

use crate::stage::Stage;
use crate::support::{until, user};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_user_is_online_with_the_first_session_and_offline_after_the_last() {
    let stage = Stage::new().await;
    stage.register("ann").await;
    let worker = stage.start();
    let (one, two) = (
        stage.gateway("one", LONG).await,
        stage.gateway("two", LONG).await,
    );
    one.opens("ann").await;
    stage.becomes("ann", true).await;
    two.opens("ann").await;
    one.closes("ann").await;
    let before = stage.store.time().await.unwrap();
    two.closes("ann").await;
    stage.becomes("ann", false).await;
    let ann = stage.store.user(&user("ann")).await.unwrap().unwrap();
    assert!(ann.last_seen.unwrap() >= before);
    worker.stop().await;
}

#[tokio::test]
async fn what_happened_while_no_worker_ran_is_made_up_for() {
    let stage = Stage::new().await;
    let gateway = stage.gateway("one", LONG).await;
    for number in 0..50 {
        stage.register(&format!("user-{number}")).await;
        gateway.opens(&format!("user-{number}")).await;
    }
    gateway.closes("user-7").await;
    let worker = stage.start();
    for number in 0..50 {
        stage.becomes(&format!("user-{number}"), number != 7).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_killed_workers_lists_are_taken_over() {
    let stage = Stage::new().await;
    let (one, two) = (stage.start(), stage.start());
    until("both live", async || {
        let (workers, _) = stage.store.workers("presence").await.unwrap();
        workers.len() == 2
    })
    .await;
    until("both are ready", async || one.is_ready() && two.is_ready()).await;
    one.kill();
    let gateway = stage.gateway("one", LONG).await;
    for number in 0..20 {
        stage.register(&format!("user-{number}")).await;
        gateway.opens(&format!("user-{number}")).await;
    }
    for number in 0..20 {
        stage.becomes(&format!("user-{number}"), true).await;
    }
    two.stop().await;
}

#[tokio::test]
async fn a_redis_that_restarts_is_waited_for() {
    let mut stage = Stage::new().await;
    stage.register("ann").await;
    let worker = stage.start();
    until("it is ready", async || worker.is_ready()).await;
    stage.redis.kill();
    until("it says so", async || !worker.readiness().ready).await;
    stage.redis.restart().unwrap();
    until("it is ready again", async || worker.is_ready()).await;
    until("Redis answers here too", async || {
        stage.store.time().await.is_ok()
    })
    .await;
    stage.gateway("one", LONG).await.opens("ann").await;
    stage.becomes("ann", true).await;
    worker.stop().await;
}

#[tokio::test]
async fn nobody_who_comes_through_a_young_gateway_is_taken_for_a_ghost() {
    let stage = Stage::new().await;
    stage.register("ann").await;
    let worker = stage.start();
    for number in 0..50 {
        // Of the last life of the same gateway, which died just now.
        let dead = stage
            .gateway(&format!("dead-{number}"), Duration::ZERO)
            .await;
        dead.opens("ann").await;
        let young = stage.gateway(&format!("young-{number}"), LONG).await;
        young.opens("ann").await;
        until("only the living one counts", async || {
            let sessions = stage.store.gateways_of(&[user("ann")]).await.unwrap();
            assert!(sessions.contains_key(&young.name), "{sessions:?}");
            sessions.len() == 1
        })
        .await;
        stage.becomes("ann", true).await;
        young.closes("ann").await;
        stage.becomes("ann", false).await;
    }
    worker.stop().await;
}
