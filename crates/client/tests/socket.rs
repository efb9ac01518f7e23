//! What only shows on a real socket. The server is played by the test, line by line.

#![allow(
    clippy::disallowed_methods,
    reason = "the peer of a test runs beside it, in no service"
)]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chinwag_client::client::Client;
use chinwag_client::connect::Options;
use chinwag_client::connection::{Connection, Pongs};
use chinwag_client::error::{Closed, Error};
use chinwag_client::notice::{Notice, Notices};
use chinwag_client::reconnect::Backoff;
use chinwag_protocol::codec::{Encoding, Limits};
use chinwag_protocol::command::{Command, Method};
use chinwag_protocol::push::{Happening, Publication, Push};
use chinwag_protocol::reply::{Outcome, Reply};
use chinwag_protocol::request::{PingRequest, PublishRequest};
use chinwag_protocol::result::{
    ConnectResult, PingResult, PublishResult, RpcResult, SubscribeResult,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

struct Server {
    listener: TcpListener,
}

/// The server's end of one connection.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    encoding: Encoding,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener }
    }

    fn options(&self) -> Options {
        let address = self.listener.local_addr().expect("it is bound");
        Options {
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(50))
                .expect("it rises"),
            call_timeout: Duration::from_secs(5),
            ..Options::new(format!("ws://{address}/connection/websocket"), "token")
        }
    }

    async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let mut encoding = Encoding::Json;
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let choose = |request: &Request, mut response: Response| {
            const NAME: &str = "sec-websocket-protocol";
            if let Some(name) = request.headers().get(NAME) {
                encoding = Encoding::Protobuf;
                response.headers_mut().insert(NAME, name.clone());
            }
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, choose).await;
        Peer {
            socket: socket.expect("a WebSocket"),
            encoding,
        }
    }

    /// Accepts a connection and lets it in.
    async fn welcome(&self, result: ConnectResult) -> (Peer, Command) {
        let mut peer = self.accept().await;
        let connect = peer.hear().await.remove(0);
        peer.say(connect.id, Outcome::Connect(result)).await;
        (peer, connect)
    }
}

impl Peer {
    /// The next frame.
    async fn frame(&mut self) -> Message {
        self.socket.next().await.expect("a frame").expect("a frame")
    }

    /// The commands of the next frame.
    async fn hear(&mut self) -> Vec<Command> {
        let data = self.frame().await.into_data();
        let commands = self.encoding.decode_commands(&data, Limits::SERVER);
        commands.collect::<Result<_, _>>().expect("commands")
    }

    async fn say(&mut self, id: u32, outcome: Outcome) {
        self.say_all(&[Reply::new(id, outcome)]).await;
    }

    /// All in one frame.
    async fn say_all(&mut self, replies: &[Reply]) {
        let mut frame = BytesMut::new();
        for reply in replies {
            self.encoding
                .encode_reply(reply, &mut frame)
                .expect("a reply");
        }
        let message = match self.encoding {
            Encoding::Json => Message::text(String::from_utf8_lossy(&frame).into_owned()),
            Encoding::Protobuf => Message::Binary(frame.freeze()),
        };
        self.socket.send(message).await.expect("it listens");
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let code = code.into();
        let reason = reason.into();
        let frame = CloseFrame { code, reason };
        self.socket.close(Some(frame)).await.expect("it listens");
    }
}

fn publication(room: &str, offset: u64) -> Reply {
    let publication = Publication {
        data: Bytes::from_static(br#"{"a":1}"#),
        offset,
        ..Publication::default()
    };
    let push = Push::new(room, Happening::Pub(publication));
    Reply::new(0, Outcome::Push(push))
}

fn room(name: &str, offset: u64, missed: &[u64]) -> ConnectResult {
    let publications = missed.iter().map(|offset| Publication {
        offset: *offset,
        ..Publication::default()
    });
    let room = SubscribeResult {
        recoverable: true,
        recovered: true,
        was_recovering: true,
        epoch: "1".to_owned(),
        offset,
        publications: publications.collect(),
        ..SubscribeResult::default()
    };
    ConnectResult {
        client: "c".to_owned(),
        subs: [(name.to_owned(), room)].into(),
        ..ConnectResult::default()
    }
}

async fn next_offset(notices: &mut Notices) -> u64 {
    loop {
        let notice = notices.next().await.expect("the client lives");
        if let Notice::Publication { publication, .. } = notice {
            return publication.offset;
        }
    }
}

fn ping() -> Method {
    Method::Ping(PingRequest {})
}

#[tokio::test]
async fn a_call_sets_pushes_aside_and_answers_pings() {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let server = Server::start().await;
        let options = Options {
            encoding,
            ..server.options()
        };
        let asked_for_pongs = ConnectResult {
            pong: true,
            ..ConnectResult::default()
        };
        let (connected, (mut peer, _)) = tokio::join!(
            Connection::connect(&options),
            server.welcome(asked_for_pongs)
        );
        let (mut connection, result) = connected.expect("it is let in");
        assert!(result.pong);
        let talk = async {
            let id = peer.hear().await[0].id;
            let pong = Reply::new(id, Outcome::Ping(PingResult {}));
            let all = [
                publication("a", 1),
                publication("a", 2),
                Reply::ping(),
                pong,
            ];
            peer.say_all(&all).await;
            peer
        };
        let (pong, mut peer) = tokio::join!(connection.call(ping()), talk);
        assert_eq!(pong, Ok(Outcome::Ping(PingResult {})));
        assert_eq!(connection.receive().await, Ok(publication("a", 1)));
        assert_eq!(connection.push().await.expect("a push").channel, "a");
        let (heard, waited) = tokio::join!(peer.hear(), async {
            tokio::time::timeout(Duration::from_millis(50), connection.receive()).await
        });
        assert!(heard[0].is_pong() && waited.is_err());
    }
}

#[tokio::test]
async fn odd_frames_go_out_as_they_are() {
    let server = Server::start().await;
    let options = server.options();
    let (opened, mut peer) = tokio::join!(Connection::open(&options), server.accept());
    let mut connection = opened.expect("it opens");
    connection.answer_pings(Pongs::Never);
    connection.send_text("{{{").await.expect("it is sent");
    connection
        .send_binary(vec![0xff, 0])
        .await
        .expect("it is sent");
    assert_eq!(peer.frame().await, Message::text("{{{"));
    assert_eq!(peer.frame().await, Message::binary(vec![0xff, 0]));
    connection
        .send_text(vec![b'"', 0xff])
        .await
        .expect("it is sent");
    assert!(peer.socket.next().await.expect("an end").is_err());
}

#[tokio::test]
async fn a_close_is_told_with_its_code_again_and_again() {
    let server = Server::start().await;
    let options = server.options();
    let (connected, (peer, _)) = tokio::join!(
        Connection::connect(&options),
        server.welcome(ConnectResult::default())
    );
    let (mut connection, _) = connected.expect("it is let in");
    let (closed, ()) = tokio::join!(connection.closed(), peer.close(3008, "slow"));
    let expected = Closed {
        code: 3008,
        reason: "slow".to_owned(),
    };
    assert_eq!(closed, Ok(expected.clone()));
    assert_eq!(connection.receive().await, Err(Error::Closed(expected)));
}

#[tokio::test]
async fn a_client_comes_back_goes_on_and_sends_again() {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let server = Server::start().await;
        let options = Options {
            encoding,
            ..server.options()
        };
        let (client, mut notices) = Client::start(options);
        let (mut peer, _) = server.welcome(room("a", 4, &[])).await;
        peer.say_all(&[publication("a", 5)]).await;
        assert_eq!(next_offset(&mut notices).await, 5);
        let sending = tokio::spawn(async move { client.send_message("a", "hi").await });
        let lost = peer.hear().await.remove(0);
        peer.close(3001, "shutdown").await;

        let (mut peer, connect) = server.welcome(room("a", 7, &[6, 7])).await;
        let Some(Method::Connect(connect)) = connect.method else {
            panic!("{connect:?}")
        };
        assert_eq!(connect.token, "token");
        assert_eq!(
            (connect.subs["a"].recover, connect.subs["a"].offset),
            (true, 5)
        );
        assert_eq!(next_offset(&mut notices).await, 6);
        assert_eq!(next_offset(&mut notices).await, 7);
        let again = peer.hear().await.remove(0);
        assert_eq!(again.method, lost.method);
        let sent =
            br#"{"id":"m","seq":8,"epoch":"1","time":2,"durability":"accepted","duplicate":true}"#;
        let data = Bytes::from_static(sent);
        peer.say(again.id, Outcome::Rpc(RpcResult { data })).await;
        let sent = sending.await.expect("no panic").expect("acknowledged");
        assert!(sent.duplicate && sent.seq == 8);
    }
}

#[tokio::test]
async fn a_terminal_code_is_the_end() {
    let server = Server::start().await;
    let (client, mut notices) = Client::start(server.options());
    let (peer, _) = server.welcome(ConnectResult::default()).await;
    peer.close(3500, "invalid token").await;
    assert!(matches!(notices.next().await, Some(Notice::Connected(_))));
    let last = notices.next().await;
    assert!(
        matches!(
            last,
            Some(Notice::Disconnected {
                comes_back: false,
                ..
            })
        ),
        "{last:?}"
    );
    assert!(notices.next().await.is_none());
    assert_eq!(client.publish("a", &1).await, Err(Error::Ended));
}

#[tokio::test]
async fn nobody_there_is_an_error_for_connect() {
    let server = Server::start().await;
    let options = server.options();
    drop(server);
    let refused = Client::connect(options).await.err();
    assert!(
        matches!(refused, Some(Error::Unreachable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let server = Server::start().await;
    let options = Options {
        ping_delay: Duration::from_millis(100),
        ..server.options()
    };
    let (_client, _notices) = Client::start(options);
    let pings = ConnectResult {
        ping: 1,
        ..ConnectResult::default()
    };
    let (_silent, _) = server.welcome(pings).await;
    let again = server.welcome(ConnectResult::default());
    let again = tokio::time::timeout(Duration::from_secs(5), again).await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn who_does_not_listen_is_not_read_for_and_misses_nothing() {
    let server = Server::start().await;
    let options = Options {
        notices: 1,
        ..server.options()
    };
    let (client, mut notices) = Client::start(options);
    let (mut peer, _) = server.welcome(room("a", 0, &[])).await;
    let all: Vec<Reply> = (1..=200).map(|offset| publication("a", offset)).collect();
    for frame in all.chunks(7) {
        peer.say_all(frame).await;
    }
    for offset in 1..=200 {
        assert_eq!(next_offset(&mut notices).await, offset);
    }
    let publishing = client.publish("a", &1);
    let (published, ()) = tokio::join!(publishing, async {
        let command = peer.hear().await.remove(0);
        let publish = PublishRequest {
            channel: "a".to_owned(),
            data: Bytes::from_static(b"1"),
        };
        assert_eq!(command.method, Some(Method::Publish(publish)));
        peer.say(command.id, Outcome::Publish(PublishResult {}))
            .await;
    });
    assert_eq!(published, Ok(()));
}

#[tokio::test]
async fn many_commands_are_split_into_frames_that_servers_take() {
    let server = Server::start().await;
    let (client, _notices) = Client::start(server.options());
    // All of these wait for the session, and go out at once when it opens.
    let body = "x".repeat(30_000);
    let sending: Vec<_> = (0..20)
        .map(|room| {
            let (client, body) = (client.clone(), body.clone());
            // In one room they would wait for each other.
            tokio::spawn(async move { client.send_message(format!("a{room}"), &body).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (mut peer, _) = server.welcome(ConnectResult::default()).await;
    let mut heard = 0;
    while heard < sending.len() {
        heard += peer.hear().await.len();
    }
    assert_eq!(heard, 20);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    let server = Server::start().await;
    let (client, _notices) = Client::start(server.options());
    let (mut peer, _) = server.welcome(ConnectResult::default()).await;
    drop(client);
    assert!(matches!(peer.frame().await, Message::Close(_)));
}
