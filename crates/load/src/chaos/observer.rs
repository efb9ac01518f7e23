//! Somebody who is in no room and asks, again and again, who is online.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::Method;
use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::chaos::http;
use crate::chaos::stage::Stage;
use crate::chaos::system::Doors;
use crate::check::history::What;

/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// An answer that took longer tells of another time than that of its coming.
const FRESH: Duration = Duration::from_millis(500);

/// Asks for one user after the other, through one gateway after the other, as observer `me`.
///
/// # Errors
/// If there is nobody to ask as.
pub(crate) async fn observe(stage: Arc<Stage>, doors: Doors, me: u32) -> Result<()> {
    let token = &stage.accounts.first().context("no account")?.token;
    let all: Vec<&Account> = stage.accounts.iter().chain(&stage.visitors).collect();
    for turn in 0usize.. {
        sleep(PAUSE).await;
        let number = turn % all.len();
        let account = all.get(number).context("no account")?;
        let ports = doors.well();
        let Some(port) = ports.get(turn % ports.len().max(1)) else {
            continue;
        };
        let (path, asked) = (format!("/v1/users/{}", account.id), Instant::now());
        let answer = http::call(Method::GET, *port, &path, token, None, FRESH).await;
        let Some(online) = answer
            .ok()
            .and_then(|user| user["user"]["online"].as_bool())
        else {
            continue;
        };
        if asked.elapsed() < FRESH {
            let user = u32::try_from(number)?;
            stage.recorder.note(me, What::Saw { user, online });
        }
    }
    Ok(())
}
