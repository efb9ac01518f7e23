//! The end-to-end stories: real processes, a real Redis, real clients.
//!
//! - `ack`: how safe a message is before its sender is answered.
//! - `bench`: fixed shapes of traffic, and what is counted of them.
//! - `marks`: who asks for it is told how far rooms are archived.
//! - `chat`: people register, write to each other over two gateways, and read what was said.
//! - `death`: any process is killed in the middle of a conversation, and the conversation goes on.
//! - `restart`: everything stops and starts again, and nothing is gone.
//! - `rubbish`: bad input of every kind gets a precise answer and changes nothing.
//! - `presence`: who is online, also after a gateway has died.
//! - `ghosts`: who is shown online when Redis has lost, or was never told, who came and went.
//! - `owner`: workers stop, die, stand still and stand by, and each partition has one owner.
//! - `drain`: a gateway lets go at a pace; a flood of logins waits behind chat.
//! - `full`: Redis has no room, or cannot write.
//! - `orders`: what the server API orders is done, also by who did not hear it.
//! - `overload`: too much of anything gets an answer.
//! - `ops`: health, metrics, logs, settings and the one command.
//! - `sdk`: the official SDKs of the open protocol, unmodified.
//! - `browser`: the page, in a real browser.
//! - `weather`: Redis goes away and comes back while people are connected.
//! - `slow`: readers that take less than is said, beside others that do not.
//! - `storm`: a crowd comes back at once.
//! - `tail`: Redis comes back without the last that it had acknowledged.
//! - `unheard`: publications are lost between Redis and a gateway.
//! - `topology`: Redis through sentinels, as a cluster, and as several servers; what dies is replaced.
//! - `dashboards`: every query of the dashboard and the alerts, in a real Prometheus.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a story that cannot go on has failed, and runs alone in its process"
)]

mod ack;
mod bench;
mod browser;
mod chat;
mod dashboards;
mod death;
mod drain;
mod full;
mod ghosts;
mod marks;
mod ops;
mod orders;
mod overload;
mod owner;
mod presence;
mod restart;
mod rubbish;
mod sdk;
mod slow;
mod storm;
mod tail;
mod topology;
mod unheard;
mod user;
mod weather;
