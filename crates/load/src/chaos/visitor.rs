//! Somebody who comes to a public channel for a moment and is then away for longer than anybody may
//! be shown online who is gone; and the host, who is always there and looks who else is.
//!
//! Players never go, so that only by visitors ghosts are to be seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chinwag_client::client::Client;
use chinwag_client::connect::Options;
use chinwag_client::error::Error;
use chinwag_client::notice::{Notice, Notices};
use chinwag_client::reconnect::Backoff;
use chinwag_client::request::Subscription;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::player::Act;
use crate::account::Account;
use crate::chaos::stage::Stage;
use crate::check::history::What;

/// Where visitors meet.
const LOBBY: &str = "lobby";
/// How long to stay, and how long to be away, at least; half as much again at most.
const STAY: Duration = Duration::from_secs(3);
const AWAY: Duration = Duration::from_secs(24);
/// How often the host looks, and how old an answer may be.
const LOOK: Duration = Duration::from_millis(300);
const FRESH: Duration = Duration::from_millis(500);

/// Comes and goes until nobody plays any more, and is gone then.
///
/// # Errors
/// If there is no such account.
pub(crate) async fn visit(
    stage: Arc<Stage>,
    visitor: usize,
    door: u16,
    mut act: watch::Receiver<Act>,
) -> Result<()> {
    let account = stage.visitors.get(visitor).context("no visitor")?.clone();
    let number = u32::try_from(stage.accounts.len() + visitor)?;
    let over = async move { while *act.borrow() == Act::Play && act.changed().await.is_ok() {} };
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = sleep(about(AWAY)) => {}
            () = &mut over => return Ok(()),
        }
        let (client, mut notices) = Client::start(options(&account, door)?);
        let staying = stay(&stage, number, &client, &mut notices);
        let ended = tokio::select! {
            () = staying => false,
            () = sleep(about(STAY)) => false,
            () = &mut over => true,
        };
        drop((client, notices));
        // When it did not come at all, this says nothing new.
        stage.recorder.note(number, What::Disconnected { code: 0 });
        if ended {
            return Ok(());
        }
    }
}

/// Is there for as long as it is polled, and takes notes.
async fn stay(stage: &Stage, number: u32, client: &Client, notices: &mut Notices) {
    let subscribing = client.subscribe(LOBBY, Subscription::default());
    tokio::pin!(subscribing);
    let mut subscribed = false;
    loop {
        tokio::select! {
            notice = notices.next() => match notice {
                Some(notice) => note(stage, number, &notice),
                None => return,
            },
            _ = &mut subscribing, if !subscribed => subscribed = true,
        }
    }
}

fn note(stage: &Stage, number: u32, notice: &Notice) {
    let what = match notice {
        Notice::Connected(connected) => What::Connected {
            gateway: stage.gateway(&connected.node),
            user: number,
        },
        Notice::Disconnected { error, .. } => What::Disconnected {
            code: match error {
                Error::Closed(closed) => u32::from(closed.code),
                _ => 0,
            },
        },
        _ => return,
    };
    stage.recorder.note(number, what);
}

/// Looks again and again who is in the lobby, as observer `me`.
///
/// # Errors
/// If there is no account for it.
pub(crate) async fn host(stage: Arc<Stage>, door: u16, me: u32) -> Result<()> {
    let account = stage.accounts.first().context("no account")?;
    let (client, mut notices) = Client::start(options(account, door)?);
    let heard = async { while notices.next().await.is_some() {} };
    let looking = async {
        while client
            .subscribe(LOBBY, Subscription::default())
            .await
            .is_err()
        {
            sleep(LOOK).await;
        }
        loop {
            sleep(LOOK).await;
            if let Ok(Ok(there)) = timeout(FRESH, client.presence(LOBBY)).await {
                let there = there.presence.into_values().map(|info| info.user);
                look(&stage, me, &there.collect())?;
            }
        }
    };
    tokio::select! {
        () = heard => anyhow::bail!("the host has ended"),
        looked = looking => looked,
    }
}

fn look(stage: &Stage, me: u32, there: &BTreeSet<String>) -> Result<()> {
    for (visitor, account) in stage.visitors.iter().enumerate() {
        let user = u32::try_from(stage.accounts.len() + visitor)?;
        let online = there.contains(&account.id);
        stage.recorder.note(me, What::Saw { user, online });
    }
    Ok(())
}

fn options(account: &Account, door: u16) -> Result<Options> {
    let url = format!("ws://127.0.0.1:{door}/connection/websocket");
    let mut options = Options::new(url, &account.token);
    options.ping_delay = Duration::from_secs(3);
    options.open_timeout = Duration::from_secs(5);
    options.backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2))?;
    options.notices = 4096;
    Ok(options)
}

fn about(time: Duration) -> Duration {
    time.mul_f64(1.0 + fastrand::f64() / 2.0)
}
