//! A gateway's router with everything behind it, and short ways to ask it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use chinwag_archive::Archive;
use chinwag_gateway::backend::Backend;
use chinwag_gateway::config::{Config, Namespaces, Policy, Secret};
use chinwag_gateway::http::{PeerAddress, Visits, router};
use chinwag_gateway::password::Passwords;
use chinwag_runtime::Context;
use chinwag_store::Store;
use chinwag_tests::redis::Redis;
use serde_json::{Value, json};
use tower::ServiceExt;

pub const PASSWORD: &str = "correct horse";
pub const HMAC_SECRET: &str = "a secret that two servers share";
pub const API_KEY: &str = "the host's key";

pub struct Server {
    pub redis: Redis,
    pub backend: Backend,
    router: Router,
    _folder: tempfile::TempDir,
}

/// What an answer was.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Person {
    pub token: String,
}

pub fn config() -> Config {
    let members = Policy {
        members_only: true,
        history_size: 16,
        history_seconds: 0,
        presence: true,
        join_leave: true,
        publish: true,
        history: true,
        presence_read: true,
        force_recovery: true,
        token_required: false,
    };
    let open = Policy {
        members_only: false,
        ..members
    };
    let silent = Policy {
        publish: false,
        history: false,
        presence: false,
        ..open
    };
    let token = Policy {
        token_required: true,
        ..open
    };
    let namespaces = [
        ("", open),
        ("room", members),
        ("dm", members),
        ("silent", silent),
        ("secret", token),
    ];
    let named = namespaces.map(|(name, policy)| (name.to_owned(), policy));
    Config {
        threads: 1,
        allowed_origins: vec!["https://chat.example".to_owned()],
        trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
        max_connections: 100,
        max_connections_per_address: 100,
        connects_per_second: 0,
        connects_burst: 1,
        max_pending: 100,
        max_pending_per_address: 100,
        handshake_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        ping_interval: Duration::from_secs(25),
        pong_timeout: Duration::from_secs(10),
        message_limit: 65_536,
        stalled: Duration::from_secs(30),
        outbox_limit: 262_144,
        recent_limit: 1_000_000,
        subscriptions_per_connection: 100,
        rooms_on_connect: 100,
        commands_per_second: 0,
        anonymous: false,
        personal_channel: true,
        drain: Duration::from_secs(1),
        registration_open: true,
        token_lifetime: Duration::from_secs(3600),
        hash_parallelism: 2,
        hash_queue: 32,
        hmac_secret: Some(Secret::new(HMAC_SECRET)),
        api_key: Some(Secret::new(API_KEY)),
        ack: chinwag_protocol::ack::Ack::Accepted,
        ack_timeout: Duration::from_secs(5),
        replicas: 0,
        full_percent: 80,
        lease: Duration::from_secs(15),
        namespaces: Namespaces(named.into()),
    }
}

fn redis_config(redis: &Redis) -> chinwag_store::Config {
    chinwag_store::Config {
        url: redis.url(),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(2),
        partitions: 4,
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let redis = Redis::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::connect(redis_config(&redis)).await.unwrap();
        let url = format!("sqlite:{}", folder.path().join("archive.db").display());
        let archive = chinwag_archive::open(&url).await.unwrap();
        let config = Arc::new(config);
        let passwords = Arc::new(Passwords::new(&config));
        let backend = Backend::new(store, archive, config, Context::new("gateway"));
        let visits = Arc::new(Visits::new(&backend.config));
        let router = router(backend.clone(), passwords, visits);
        Self {
            redis,
            backend,
            router,
            _folder: folder,
        }
    }

    /// Another process on the same Redis and archive.
    pub async fn another(&self) -> Store {
        Store::connect(redis_config(&self.redis)).await.unwrap()
    }

    pub fn archive(&self) -> &dyn Archive {
        self.backend.archive.as_ref()
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        let request = Request::builder().method(method).uri(path);
        Ask {
            server: self,
            request,
            body: Body::empty(),
            from: "127.0.0.1".parse().unwrap(),
        }
    }

    /// Registers somebody.
    pub async fn person(&self, name: &str) -> Person {
        let account = json!({"name": name, "password": PASSWORD});
        let answer = self.ask("POST", "/v1/users").json(&account).await;
        let session = answer.is(201);
        Person {
            token: session["token"].as_str().unwrap().to_owned(),
        }
    }

    pub async fn get(&self, who: &Person, path: &str) -> Answer {
        self.ask("GET", path).by(who).send().await
    }

    pub async fn post(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.ask("POST", path).by(who).json(&body).await
    }

    pub async fn delete(&self, who: &Person, path: &str) -> Answer {
        self.ask("DELETE", path).by(who).send().await
    }

    /// Makes a room; gives its id.
    pub async fn room(&self, who: &Person, room: Value) -> String {
        let made = self.post(who, "/v1/rooms", room).await.is(201);
        made["room"]["id"].as_str().unwrap().to_owned()
    }

    /// Says something; gives its sequence.
    pub async fn say(&self, who: &Person, room: &str, text: &str) -> u64 {
        let path = format!("/v1/rooms/{room}/messages");
        let sent = self.post(who, &path, json!({"body": {"text": text}})).await;
        sent.is(200)["seq"].as_u64().unwrap()
    }

    /// Calls a method as a socket does.
    pub async fn call(
        &self,
        who: &Person,
        method: &str,
        data: Value,
    ) -> Result<Value, (u32, String)> {
        let caller = chinwag_gateway::token::authenticate(&self.backend, &who.token)
            .await
            .unwrap();
        let data = data.to_string();
        let called =
            chinwag_gateway::verbs::call(&self.backend, &caller, None, method, data.as_bytes());
        match called.await {
            Ok(result) => Ok(serde_json::from_str(result.as_str()).unwrap()),
            Err(refusal) => Err((refusal.code.number(), refusal.message)),
        }
    }
}

/// A request in the making.
pub struct Ask<'s> {
    server: &'s Server,
    request: axum::http::request::Builder,
    body: Body,
    from: IpAddr,
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn by(self, who: &Person) -> Self {
        let token = format!("Bearer {}", who.token);
        self.header("authorization", &token)
    }

    pub fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn json(self, body: &Value) -> Answer {
        let body = body.to_string();
        self.header("content-type", "application/json")
            .body(body)
            .send()
            .await
    }

    pub async fn send(self) -> Answer {
        let peer = PeerAddress(self.from);
        let request = self.request.extension(peer).body(self.body).unwrap();
        let response = self.server.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    /// Checks that it is this failure, word for word.
    #[track_caller]
    pub fn fails(&self, status: u16, code: u32, slug: &str, message: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = &self.json()["error"];
        let got = (
            error["code"].as_u64(),
            error["slug"].as_str(),
            error["message"].as_str(),
        );
        assert_eq!(got, (Some(u64::from(code)), Some(slug), Some(message)));
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// The values of a field of each in a list.
pub fn each(list: &Value, field: &str) -> Vec<Value> {
    let list = list.as_array().unwrap();
    list.iter().map(|one| one[field].clone()).collect()
}

/// What was said in a page, or the kind of what happened.
pub fn said(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().unwrap();
    let words = events.iter().map(|event| {
        let text = event["body"]["text"].as_str();
        text.or(event["type"].as_str()).unwrap().to_owned()
    });
    words.collect()
}

pub fn seqs(page: &Value) -> Vec<u64> {
    let seqs = each(&page["events"], "seq");
    seqs.iter().map(|seq| seq.as_u64().unwrap()).collect()
}
