//! Somebody who chats, as the stories speak of them.

use std::time::Duration;

use chinwag_client::client::Client;
use chinwag_client::connect::Options;
use chinwag_client::notice::{Notice, Notices};
use chinwag_tests::cluster::{Account, register};
use chinwag_tests::process::Process;
use serde_json::{Value, json};

/// How long anything may take to arrive.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A user with a client that comes back by itself.
pub struct User {
    pub account: Account,
    pub client: Client,
    notices: Notices,
}

/// A message as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub seq: u64,
    pub user: String,
    pub text: String,
}

impl User {
    /// Registers at a gateway and connects to it.
    pub async fn join(gateway: &Process, name: &str) -> Self {
        let account = register(gateway, name).unwrap();
        Self::connect(&gateway.socket(), account).await
    }

    /// Connects somebody who has an account.
    pub async fn connect(url: &str, account: Account) -> Self {
        let mut options = Options::new(url, &account.token);
        options.notices = 100_000;
        let (client, notices) = Client::connect(options).await.unwrap();
        Self {
            account,
            client,
            notices,
        }
    }

    /// Calls a chat verb that must succeed.
    pub async fn call(&self, method: &str, argument: Value) -> Value {
        self.client
            .rpc(method, &argument)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a chat verb that must succeed sooner or later: what a refusal that says so asks for.
    pub async fn call_in_time(&self, method: &str, argument: Value) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.client.rpc(method, &argument).await {
                Ok(answer) => return answer,
                Err(error) if tokio::time::Instant::now() > deadline => {
                    panic!("{method}: {error}")
                }
                Err(error) => {
                    assert!(error.is_temporary(), "{method}: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Calls a chat verb that must be refused; the refusal.
    pub async fn refused(&self, method: &str, argument: Value) -> String {
        let answer: Result<Value, _> = self.client.rpc(method, &argument).await;
        answer.expect_err(method).to_string()
    }

    /// Makes a group with others in it; its id.
    pub async fn make_room(&self, name: &str, members: &[&str]) -> String {
        let made = self
            .call("room.create", json!({ "name": name, "members": members }))
            .await;
        made["room"]["id"].as_str().unwrap().to_owned()
    }

    /// Says something; its sequence.
    pub async fn says(&self, room: &str, text: &str) -> u64 {
        self.client
            .send_message(room, &json!({ "text": text }))
            .await
            .unwrap()
            .seq
    }

    /// The next notice.
    pub async fn notice(&mut self) -> Notice {
        let next = tokio::time::timeout(PATIENCE, self.notices.next()).await;
        next.expect("a notice in time")
            .expect("a client that lives")
    }

    /// The next message in a room, whatever else happens meanwhile.
    pub async fn hears(&mut self, room: &str) -> Heard {
        loop {
            let (at, data) = self.event().await;
            if at == room && data["type"] == "message" {
                return Heard {
                    seq: data["seq"].as_u64().unwrap(),
                    user: data["user"].as_str().unwrap_or_default().to_owned(),
                    text: data["body"]["text"].as_str().unwrap_or_default().to_owned(),
                };
            }
        }
    }

    /// The next publication of any room: where, and its data.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            if let Notice::Publication {
                room, publication, ..
            } = self.notice().await
            {
                return (
                    room.to_string(),
                    serde_json::from_slice(&publication.data).unwrap(),
                );
            }
        }
    }

    /// Waits until a room is live on this client.
    pub async fn sees_room(&mut self, room: &str) {
        loop {
            if let Notice::Subscribed(subscribed) = self.notice().await
                && subscribed.room.as_ref() == room
            {
                return;
            }
        }
    }

    /// All messages of a room, oldest first, page by page: sequence and text.
    pub async fn history(&self, room: &str) -> Vec<(u64, String)> {
        let mut all: Vec<(u64, String)> = Vec::new();
        let mut before = None;
        loop {
            let mut argument = json!({ "room": room, "limit": 37 });
            if let Some(before) = before {
                argument["before"] = json!(before);
            }
            let page = self.call_in_time("message.page", argument).await;
            let events = page["events"].as_array().unwrap();
            let messages = events
                .iter()
                .filter(|event| event["type"] == "message")
                .map(|event| {
                    let text = event["body"]["text"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    (event["seq"].as_u64().unwrap(), text)
                });
            all.splice(0..0, messages.collect::<Vec<_>>());
            if page["has_before"] != true {
                return all;
            }
            before = events[0]["seq"].as_u64();
        }
    }
}
