//! Coming and going: somebody who is a member of an open room now and then.

use std::sync::Arc;
use std::time::Duration;

use chinwag_client::client::Client;
use chinwag_client::error::Error;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Act;
use crate::chaos::stage::Stage;
use crate::check::history::What;

/// How long to stay, and how long to be away, on average.
const STAY: Duration = Duration::from_secs(5);

/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(500);

/// Comes and goes, in one room after the other. Ends when all only listen, or if there are no
/// rooms to wander through.
pub(super) async fn wander(
    stage: Arc<Stage>,
    number: u32,
    client: Client,
    act: watch::Receiver<Act>,
) {
    let rooms: Vec<u32> = (0u32..)
        .zip(&stage.rooms)
        .filter(|(_, room)| room.wanderer == Some(number))
        .map(|(room, _)| room)
        .collect();
    for room in rooms.iter().copied().cycle() {
        pause().await;
        if *act.borrow() != Act::Play {
            return;
        }
        let id = stage.rooms.get(room as usize).map(|room| room.id.clone());
        let request = json!({ "room": id });
        // Before it is asked for: it may be let in without hearing of it.
        stage.recorder.note(number, What::Entered { room });
        stage.pulse.comes();
        // Until there is an answer: what was only perhaps carried out may be so after leaving.
        while let Err(_unheard) = client.rpc::<_, Value>("room.join", &request).await {
            sleep(AGAIN).await;
        }
        pause().await;
        while let Err(error) = client.rpc::<_, Value>("room.leave", &request).await {
            if let Error::Reply {
                temporary: false, ..
            } = error
            {
                // An earlier attempt was carried out, unheard.
                break;
            }
            sleep(AGAIN).await;
        }
        stage.recorder.note(number, What::Left { room });
        stage.pulse.left();
    }
}

async fn pause() {
    sleep(STAY.mul_f64(0.5 + fastrand::f64())).await;
}
