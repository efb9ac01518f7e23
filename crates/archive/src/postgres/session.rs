//! A connection with its settings and prepared statements.

use std::time::Duration;

use futures_util::try_join;
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::{commit, partition, read};
use crate::error::{Error, Result};

/// How long a connection may take to be made and greeted.
const CONNECTING: Duration = Duration::from_secs(10);

/// Settings of a session.
///
/// - No statement runs for ever, and none waits for ever behind another one.
/// - A process that is stopped within its transaction loses it, and with it the lock on the
///   partition that its successor waits for.
/// - A commit that returned is on disk; stronger settings than `on` are left alone.
const SETTINGS: &str = "
    SET statement_timeout = '30s';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// A connection that is ready for use.
pub(super) struct Session {
    pub client: Client,
    pub statements: Statements,
}

/// What is prepared once a connection. Searches are not: they are planned by their words.
pub(super) struct Statements {
    pub advance: Statement,
    pub fence: Statement,
    pub insert: Statement,
    pub compare: Statement,
    pub high: Statement,
    pub messages_at: Statement,
    pub page_up: Statement,
    pub page_down: Statement,
    pub find: Statement,
    pub recent_ids: Statement,
}

impl Session {
    pub async fn open(config: &Config) -> Result<Self> {
        let client = connect(config).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Self { client, statements })
    }
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self> {
        let (
            advance,
            fence,
            insert,
            compare,
            high,
            messages_at,
            page_up,
            page_down,
            find,
            recent_ids,
        ) = try_join!(
            client.prepare(partition::ADVANCE),
            client.prepare(partition::FENCE),
            client.prepare(commit::INSERT),
            client.prepare(commit::COMPARE),
            client.prepare(read::HIGH),
            client.prepare(read::MESSAGES_AT),
            client.prepare(read::PAGE_UP),
            client.prepare(read::PAGE_DOWN),
            client.prepare(read::FIND),
            client.prepare(read::RECENT_IDS),
        )?;
        Ok(Self {
            advance,
            fence,
            insert,
            compare,
            high,
            messages_at,
            page_up,
            page_down,
            find,
            recent_ids,
        })
    }
}

/// Connects, and sets what every session needs.
pub(super) async fn connect(config: &Config) -> Result<Client> {
    let greeted = async {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %Error::from(error), "connection to the archive ended");
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the task is the connection: it ends with its client, there is nothing to drain"
        )]
        tokio::spawn(driver);
        client.batch_execute(SETTINGS).await?;
        Ok(client)
    };
    tokio::time::timeout(CONNECTING, greeted)
        .await
        .unwrap_or_else(|_| Err(Error::Unavailable("PostgreSQL: no greeting in 10 s".into())))
}
