//! Every metric that chinwag exports, in one table.
//!
//! The exporter takes descriptions and buckets from here, and tests check dashboards, alerts and
//! documentation against it: a name that is not here does not exist. Label sets are closed: no
//! room, no user, no address is ever a label.

use super::{Kind, Metric, Owner};
use Kind::{Counter, Gauge, Seconds, Sizes};
use Owner::{Archive, Fanout, Gateway, Presence, Process, Redis, Worker};

const fn metric(
    owner: Owner,
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
        owner,
    }
}

/// The table, by the part of a process that owns a metric.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    metric(Gateway, "chinwag_gateway_connections", Gauge, &[], "Open client connections"),
    metric(Gateway, "chinwag_gateway_pending_connections", Gauge, &[], "Connections that have neither had a request answered nor begun a session"),
    metric(Gateway, "chinwag_gateway_connects_total", Counter, &["encoding"], "Client connections that completed their handshake"),
    metric(Gateway, "chinwag_gateway_disconnects_total", Counter, &["code"], "Closed client connections by close code"),
    metric(Gateway, "chinwag_gateway_subscriptions", Gauge, &[], "Subscriptions of all connections"),
    metric(Gateway, "chinwag_gateway_rooms", Gauge, &[], "Rooms with at least one local subscriber"),
    metric(Gateway, "chinwag_gateway_commands_total", Counter, &["method", "result"], "Commands of clients"),
    metric(Gateway, "chinwag_gateway_command_seconds", Seconds, &["method"], "From a command's arrival to its reply"),
    metric(Gateway, "chinwag_gateway_messages_in_total", Counter, &[], "Messages and publications taken from clients"),
    metric(Gateway, "chinwag_gateway_deliveries_total", Counter, &[], "Publications handed to sockets"),
    metric(Gateway, "chinwag_gateway_delivery_bytes_total", Counter, &[], "Bytes of publications handed to sockets"),
    metric(Gateway, "chinwag_gateway_append_seconds", Seconds, &[], "From a send's arrival to its acknowledgement"),
    metric(Gateway, "chinwag_gateway_refusing_messages", Gauge, &[], "1 while messages are refused because Redis is filling up"),
    metric(Gateway, "chinwag_gateway_acks_total", Counter, &["wanted", "reached"], "Acknowledged messages by the level that was wanted and the one that was reached"),
    metric(Gateway, "chinwag_gateway_acks_waiting", Gauge, &[], "Senders who wait until their messages are archived"),
    metric(Gateway, "chinwag_gateway_resent_total", Counter, &[], "Messages that Redis had lost and this gateway sent again while their senders waited"),
    metric(Gateway, "chinwag_gateway_old_ids_total", Counter, &[], "Message ids that were looked for in the archive because Redis may have forgotten them"),
    metric(Gateway, "chinwag_gateway_append_batch_size", Sizes, &[], "Messages in one append to a partition"),
    metric(Gateway, "chinwag_gateway_receive_seconds", Seconds, &[], "From an event's append in Redis to its arrival at this gateway"),
    metric(Gateway, "chinwag_gateway_deliver_seconds", Seconds, &[], "From an event's arrival at this gateway to the last local socket's buffer"),
    metric(Gateway, "chinwag_gateway_append_queue_depth", Gauge, &[], "Messages waiting for an append"),
    metric(Gateway, "chinwag_gateway_inlet_queue_depth", Gauge, &[], "Events from Redis waiting to be handed out"),
    metric(Gateway, "chinwag_gateway_outbox_bytes", Gauge, &[], "Bytes waiting in the outboxes of all connections"),
    metric(Gateway, "chinwag_gateway_outbox_dropped_total", Counter, &["class"], "Passing pushes (presence, typing, joins, marks) dropped for slow readers"),
    metric(Gateway, "chinwag_gateway_behind_connections", Gauge, &[], "Connections that are behind in some room and are read on from its log"),
    metric(Gateway, "chinwag_gateway_fell_behind_total", Counter, &[], "Subscriptions that fell behind because their reader took less than was said"),
    metric(Gateway, "chinwag_gateway_caught_up_seconds", Seconds, &[], "From falling behind in a room to being level again"),
    metric(Gateway, "chinwag_gateway_recent_bytes", Gauge, &[], "Bytes of recent events kept in memory, about"),
    metric(Gateway, "chinwag_gateway_past_reads_total", Counter, &["source"], "Answers to readers who had missed something: from memory, from a read shared with others, or from a read of the log"),
    metric(Gateway, "chinwag_gateway_recoveries_total", Counter, &["result"], "Subscriptions that asked to recover"),
    metric(Gateway, "chinwag_gateway_recovered_publications_total", Counter, &[], "Publications replayed by recoveries"),
    metric(Gateway, "chinwag_gateway_gaps_total", Counter, &[], "Gaps found in the live events of a room"),
    metric(Gateway, "chinwag_gateway_duplicates_total", Counter, &[], "Events that arrived again and were dropped"),
    metric(Gateway, "chinwag_gateway_gap_repair_seconds", Seconds, &[], "From finding a gap to having filled it"),
    metric(Gateway, "chinwag_gateway_refusals_total", Counter, &["reason"], "Connections, upgrades and requests refused by a limit"),
    metric(Gateway, "chinwag_gateway_late_orders_total", Counter, &[], "Orders of the server API that were not heard when they were given, and found later"),
    metric(Gateway, "chinwag_gateway_renames_total", Counter, &["reason"], "Times that this gateway told Redis anew, under another name, who is connected"),
    metric(Gateway, "chinwag_gateway_logins_total", Counter, &["result"], "Attempts to log in"),
    metric(Gateway, "chinwag_gateway_password_queue_depth", Gauge, &[], "Passwords waiting to be hashed"),
    metric(Gateway, "chinwag_http_requests_total", Counter, &["route", "status"], "HTTP requests"),
    metric(Gateway, "chinwag_http_request_seconds", Seconds, &["route"], "From a request's arrival to its response"),

    metric(Worker, "chinwag_worker_partitions", Gauge, &["role"], "Partitions this worker owns"),
    metric(Worker, "chinwag_worker_lag_entries", Gauge, &["role", "partition"], "Log entries behind the head of a partition this worker owns"),
    metric(Worker, "chinwag_worker_lag_seconds", Gauge, &["role", "partition"], "Age of the oldest log entry not yet done in a partition this worker owns"),
    metric(Worker, "chinwag_worker_entries_total", Counter, &["role"], "Log entries done"),
    metric(Worker, "chinwag_worker_batch_size", Sizes, &["role"], "Log entries in one batch"),
    metric(Worker, "chinwag_worker_batch_seconds", Seconds, &["role"], "Time to do one batch and move its checkpoint"),
    metric(Worker, "chinwag_worker_takeovers_total", Counter, &["role"], "Partitions taken over by this worker"),
    metric(Worker, "chinwag_worker_errors_total", Counter, &["role"], "Batches that failed and are tried again"),
    metric(Worker, "chinwag_worker_unreadable_entries_total", Counter, &["role"], "Log entries that could not be read; see the log for their places"),

    metric(Archive, "chinwag_archive_commit_seconds", Seconds, &[], "Time of one commit of events and checkpoint"),
    metric(Archive, "chinwag_archive_rows_total", Counter, &[], "Events committed to the archive"),
    metric(Archive, "chinwag_archive_duplicates_total", Counter, &[], "Events whose message id was archived before under another sequence"),
    metric(Archive, "chinwag_archive_diverged_total", Counter, &[], "Events of a former primary that were dropped because others took their places"),
    metric(Archive, "chinwag_archive_conflicts_total", Counter, &[], "Events whose sequence was archived before with another event"),
    metric(Archive, "chinwag_archive_lag_seconds", Gauge, &[], "Age of the oldest event that is not archived"),
    metric(Archive, "chinwag_archive_trimmed_entries_total", Counter, &[], "Log entries trimmed after they were archived"),
    metric(Archive, "chinwag_archive_page_seconds", Seconds, &[], "Time to read one page of history from the archive"),
    metric(Archive, "chinwag_archive_search_seconds", Seconds, &[], "Time of one search in the archive"),

    metric(Fanout, "chinwag_fanout_notices_total", Counter, &[], "Notices published to members who are online but not subscribed"),
    metric(Fanout, "chinwag_fanout_activity_updates_total", Counter, &[], "Moves in the room lists of members"),
    metric(Fanout, "chinwag_fanout_cached_members", Gauge, &[], "Members of rooms that are remembered, and the rooms"),

    metric(Presence, "chinwag_presence_online_users", Gauge, &[], "Users with at least one live session, in this worker's share"),
    metric(Presence, "chinwag_presence_transitions_total", Counter, &["to"], "Changes of users' states"),
    metric(Presence, "chinwag_presence_queue_depth", Gauge, &[], "Users to be looked at, in this worker's share"),
    metric(Presence, "chinwag_presence_sweeps_total", Counter, &[], "Sessions of dead gateways swept away, by gateway"),
    metric(Presence, "chinwag_presence_ghost_seconds", Seconds, &[], "How long sessions of a dead gateway counted as online beyond its lease"),
    metric(Presence, "chinwag_presence_digests_total", Counter, &[], "Presence digests published to rooms"),

    metric(Redis, "chinwag_redis_command_seconds", Seconds, &["command"], "Round trip of a command to Redis"),
    metric(Redis, "chinwag_redis_reconnects_total", Counter, &["connection"], "Connections to Redis made anew after a loss"),
    metric(Redis, "chinwag_redis_placements_total", Counter, &[], "Times that another Redis server took over what one had: failovers and moved slots"),
    metric(Redis, "chinwag_redis_errors_total", Counter, &["kind"], "Errors from Redis"),
    metric(Redis, "chinwag_redis_used_memory_bytes", Gauge, &[], "Memory that Redis uses"),
    metric(Redis, "chinwag_redis_maxmemory_bytes", Gauge, &[], "Memory that Redis may use, 0 without a limit"),
    metric(Redis, "chinwag_redis_connected_clients", Gauge, &[], "Connections that Redis has"),

    metric(Process, "chinwag_process_resident_memory_bytes", Gauge, &[], "Resident memory of this process"),
    metric(Process, "chinwag_process_cpu_seconds_total", Counter, &[], "Processor time this process has used, user and system"),
    metric(Process, "chinwag_process_open_file_descriptors", Gauge, &[], "Open file descriptors"),
    metric(Process, "chinwag_process_max_file_descriptors", Gauge, &[], "The soft limit of open file descriptors"),
    metric(Process, "chinwag_process_threads", Gauge, &[], "Threads of this process"),
    metric(Process, "chinwag_process_uptime_seconds", Gauge, &[], "Seconds since this process began to observe itself"),
    metric(Process, "chinwag_process_task_panics_total", Counter, &[], "Tasks that panicked, each of which ends the process"),
    metric(Process, "chinwag_build_info", Gauge, &["version", "role"], "Always 1; the labels say what runs"),
];

/// The values of the label of those metrics that have one label with values known beforehand.
#[rustfmt::skip]
pub const VALUES: &[(&str, &[&str])] = &[
    ("chinwag_gateway_connects_total", &["json", "protobuf"]),
    ("chinwag_gateway_disconnects_total", &[
        "3000", "3001", "3004", "3005", "3008", "3010", "3012", "3013",
        "3500", "3501", "3502", "3503", "3504", "3506", "3507", "gone", "other",
    ]),
    ("chinwag_gateway_logins_total", &["ok", "wrong", "limited", "failed"]),
    ("chinwag_gateway_outbox_dropped_total", &["ephemeral"]),
    ("chinwag_gateway_past_reads_total", &["memory", "shared", "log"]),
    ("chinwag_gateway_recoveries_total", &["recovered", "unrecovered"]),
    ("chinwag_gateway_refusals_total", &[
        "address_limit", "api_key", "connect_rate", "connection_limit", "draining", "handshake", "login_rate",
        "origin", "password_queue", "pending_address_limit", "pending_limit", "request_rate", "subprotocol",
    ]),
    ("chinwag_gateway_renames_total", &["lost", "expired", "undone"]),
    ("chinwag_presence_transitions_total", &["online", "offline"]),
    ("chinwag_redis_errors_total", &["unavailable", "full", "need_epoch", "need_reconcile", "fenced", "corrupt", "refused"]),
    ("chinwag_redis_reconnects_total", &["commands", "inlet", "reader"]),
];
