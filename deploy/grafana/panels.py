"""What the dashboard shows: rows of panels, each with the question that it answers.

`SELECTED` goes into every selector, so that the variables work everywhere. Every metric is asked for by its full name, so that
a search for the name finds the panel. Quantiles of stages do not add up: each stage has a line of its own.
"""

SELECTED = 'job=~"$job", instance=~"$instance"'
INTERVAL = "[$__rate_interval]"


def pick(metric, matchers=""):
    return f"{metric}{{{SELECTED}{', ' + matchers if matchers else ''}}}"


def rate(metric, by="", matchers=""):
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({pick(metric, matchers)}{INTERVAL}))"


def total(metric, by="", matchers=""):
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} ({pick(metric, matchers)})"


def highest(metric, by="", matchers=""):
    grouping = f" by ({by})" if by else ""
    return f"max{grouping} ({pick(metric, matchers)})"


def quantile(metric, by="", matchers=""):
    grouping = f"{by}, le" if by else "le"
    return f"histogram_quantile($quantile, sum by ({grouping}) (rate({pick(metric + '_bucket', matchers)}{INTERVAL})))"


def mean(metric, by="", matchers=""):
    return f"{rate(metric + '_sum', by, matchers)} / {rate(metric + '_count', by, matchers)}"


def steps(*levels):
    colours = ["green", "orange", "red"]
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": level} for colour, level in zip(colours, (None, *levels))],
    }


def panel(kind, title, description, queries, unit, width, height, options, defaults=None, form="time_series"):
    return {
        "type": kind,
        "title": title,
        "description": description,
        "queries": queries,
        "width": width,
        "height": height,
        "format": form,
        "options": options,
        "defaults": {"unit": unit, **(defaults or {})},
        "transformations": [],
    }


def stat(title, description, query, unit="short", levels=(), width=4, decimals=None):
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }
    defaults = {"thresholds": steps(*levels), "color": {"mode": "thresholds"}}
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel("stat", title, description, [(query, "")], unit, width, 4, options, defaults)


def lines(title, description, *queries, unit="short", width=8, stacked=False, legend=True):
    options = {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": legend,
            "calcs": [],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {
        "min": 0,
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        },
    }
    return panel("timeseries", title, description, list(queries), unit, width, 8, options, defaults)


def heatmap(title, description, metric, width=8):
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "s"},
    }
    query = f"sum by (le) (increase({pick(metric + '_bucket')}{INTERVAL}))"
    return panel("heatmap", title, description, [(query, "{{le}}")], "s", width, 8, options, form="heatmap")


def table(title, description, query, hidden, width=8):
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "countRows": False}}
    made = panel("table", title, description, [(query, "")], "short", width, 8, options, form="table")
    made["transformations"] = [
        {"id": "organize", "options": {"excludeByName": {name: True for name in hidden}, "indexByName": {}, "renameByName": {}}}
    ]
    return made


def reader(role, does):
    """How far a worker is on its way through the log."""
    mine = f'role="{role}"'
    return [
        lines(
            f"Lag of {role}",
            f"Age of the oldest log entry that {does}, a line for each partition. One high line: that partition's worker stumbles. "
            "All of them: too few workers, or what they write to is slow.",
            (highest("chinwag_worker_lag_seconds", "partition", mine), "{{partition}}"),
            unit="s",
            legend=False,
        ),
        lines(
            f"Entries waiting for {role}",
            f"Log entries that {does}, over all partitions.",
            (total("chinwag_worker_lag_entries", "", mine), "waiting"),
        ),
        lines(
            f"Done by {role}",
            "Log entries a second, by process.",
            (rate("chinwag_worker_entries_total", "instance", mine), "{{instance}}"),
            unit="cps",
            stacked=True,
        ),
        lines(
            f"Batch size of {role}",
            "Entries in one batch. Ones are an idle system; batches at their limit mean that the worker catches up.",
            (mean("chinwag_worker_batch_size", "", mine), "mean"),
            (quantile("chinwag_worker_batch_size", "", mine), "at $quantile"),
        ),
        lines(
            f"Unreadable to {role}",
            "Log entries that cannot be read. Anything but zero is an alarm; the worker's log has their places.",
            (rate("chinwag_worker_unreadable_entries_total", "", mine), "entries"),
            unit="cps",
        ),
    ]


def owner(role):
    """How a worker fares with its partitions."""
    mine = f'role="{role}"'
    return [
        lines(
            f"Partitions of {role}",
            "By process. The sum must be the number of partitions (64 unless chosen otherwise); a dip is a takeover.",
            (total("chinwag_worker_partitions", "instance", mine), "{{instance}}"),
            stacked=True,
        ),
        lines(
            f"Batches of {role}",
            "How long one batch takes, its checkpoint included, at the chosen quantile and on average.",
            (quantile("chinwag_worker_batch_seconds", "", mine), "at $quantile"),
            (mean("chinwag_worker_batch_seconds", "", mine), "mean"),
            unit="s",
        ),
        lines(
            f"Takeovers and errors of {role}",
            "Partitions that changed hands, and batches that failed and are tried again. Both are zero on a quiet day.",
            (rate("chinwag_worker_takeovers_total", "", mine), "takeovers"),
            (rate("chinwag_worker_errors_total", "", mine), "errors"),
            unit="cps",
        ),
    ]


OVERVIEW = [
    stat("Connections", "Open client connections, over all gateways.", total("chinwag_gateway_connections")),
    stat("Online users", "Users with at least one live session, whatever number of devices.", total("chinwag_presence_online_users")),
    stat("Messages in", "Messages and publications taken from clients, a second.", rate("chinwag_gateway_messages_in_total"), "cps"),
    stat("Deliveries", "Publications handed to sockets, a second.", rate("chinwag_gateway_deliveries_total"), "cps"),
    stat(
        "Fan-out",
        "Deliveries for each message taken in. It is the average number of people looking at a room.",
        f"{rate('chinwag_gateway_deliveries_total')} / {rate('chinwag_gateway_messages_in_total')}",
        decimals=1,
    ),
    stat("Alerts", "chinwag's alerts that are firing; deploy/runbook.md says what to do about each.",
         'count(ALERTS{alertname=~"Chinwag.*", alertstate="firing"}) or vector(0)', levels=(1, 3)),
    stat("Send to ack", "From a send's arrival at a gateway to its acknowledgement, at the chosen quantile.",
         quantile("chinwag_gateway_append_seconds"), "s", (0.1, 0.5)),
    stat("Redis to gateway", "From an event's append in Redis to its arrival at a gateway, at the chosen quantile.",
         quantile("chinwag_gateway_receive_seconds"), "s", (0.1, 1)),
    stat("Gateway to sockets", "From an event's arrival at a gateway to the last local socket, at the chosen quantile.",
         quantile("chinwag_gateway_deliver_seconds"), "s", (0.1, 1)),
    stat("Archive lag", "Age of the oldest event that is not in the archive yet.", highest("chinwag_archive_lag_seconds"), "s", (10, 60)),
    stat("Redis memory", "Used share of maxmemory. At 100 % messages are refused. Empty when Redis has no limit.",
         f"{highest('chinwag_redis_used_memory_bytes')} / ({highest('chinwag_redis_maxmemory_bytes')} > 0)", "percentunit", (0.7, 0.85)),
    stat("Processes", "chinwag processes that answer their scrape.", 'sum(up{job=~"$job", instance=~"$instance"})'),
    lines("Messages and deliveries", "What comes in and what goes out, a second.",
          (rate("chinwag_gateway_messages_in_total"), "messages in"),
          (rate("chinwag_gateway_deliveries_total"), "deliveries"), unit="cps"),
    lines("Latency by stage", "The stages of a message's way, each at the chosen quantile.",
          (quantile("chinwag_gateway_append_seconds"), "send to ack"),
          (quantile("chinwag_gateway_receive_seconds"), "Redis to gateway"),
          (quantile("chinwag_gateway_deliver_seconds"), "gateway to sockets"), unit="s"),
    lines("Failures of ours", "Commands and requests that ended with an error that is not the client's, a second.",
          (rate("chinwag_gateway_commands_total", "result", 'result=~"internal|unavailable"'), "socket: {{result}}"),
          (rate("chinwag_http_requests_total", "status", 'status=~"5.."'), "HTTP: {{status}}"), unit="cps"),
]

CONNECTIONS = [
    lines("Connections by gateway", "A gateway that restarted fills up again slowly: connections stay where they are.",
          (total("chinwag_gateway_connections", "instance"), "{{instance}}"), stacked=True),
    lines("Opened", "Connections a second that completed their handshake, by encoding.",
          (rate("chinwag_gateway_connects_total", "encoding"), "{{encoding}}"), unit="cps"),
    lines("Closed by code", "3001 gateway going down, 3008 took nothing for too long, 3010 must recover, 3012 no pong; from 3500 on the client gives up. "
          "Others are the client's own.",
          (rate("chinwag_gateway_disconnects_total", "code"), "{{code}}"), unit="cps", stacked=True),
    lines("Subscriptions", "Of all connections, by gateway.", (total("chinwag_gateway_subscriptions", "instance"), "{{instance}}"), stacked=True),
    lines("Rooms", "Rooms with at least one local subscriber, by gateway. Each is one subscription in Redis.",
          (total("chinwag_gateway_rooms", "instance"), "{{instance}}"), stacked=True),
    lines("Refused", "Connections, upgrades and requests refused by a limit, by reason.",
          (rate("chinwag_gateway_refusals_total", "reason"), "{{reason}}"), unit="cps"),
    lines("Logins", "By result. Many failures: somebody tries passwords.", (rate("chinwag_gateway_logins_total", "result"), "{{result}}"), unit="cps"),
    lines("Passwords waiting", "Logins that wait to be hashed, which is slow on purpose and bounded.",
          (highest("chinwag_gateway_password_queue_depth", "instance"), "{{instance}}")),
    lines("Commands", "Of clients on the socket, by method.", (rate("chinwag_gateway_commands_total", "method"), "{{method}}"), unit="cps", stacked=True),
    lines("Commands that failed", "By method and result; most are the client's to fix.",
          (rate("chinwag_gateway_commands_total", "method, result", 'result!="ok"'), "{{method}} {{result}}"), unit="cps"),
    lines("Command time", "From a command's arrival to its reply, at the chosen quantile.",
          (quantile("chinwag_gateway_command_seconds", "method"), "{{method}}"), unit="s"),
    lines("HTTP requests", "By status.", (rate("chinwag_http_requests_total", "status"), "{{status}}"), unit="reqps", stacked=True),
    lines("HTTP requests by route", "The pattern, not the path: no room and no user is ever a label.",
          (rate("chinwag_http_requests_total", "route"), "{{route}}"), unit="reqps"),
    lines("HTTP time", "From a request's arrival to its response, by route, at the chosen quantile.",
          (quantile("chinwag_http_request_seconds", "route"), "{{route}}"), unit="s"),
]

DELIVERY = [
    heatmap("1. Send to ack", "From a send's arrival at a gateway to Redis's acknowledgement. It contains the wait for a batch and one round trip.",
            "chinwag_gateway_append_seconds"),
    heatmap("2. Redis to gateway", "From an event's append, by Redis's clock, to its arrival at a gateway. Clocks that differ show here.",
            "chinwag_gateway_receive_seconds"),
    heatmap("3. Gateway to sockets", "From an event's arrival to the last local socket's buffer. A busy gateway shows here.",
            "chinwag_gateway_deliver_seconds"),
    lines("Send to ack by gateway", "At the chosen quantile. One gateway high: that gateway. All of them: Redis.",
          (quantile("chinwag_gateway_append_seconds", "instance"), "{{instance}}"), unit="s"),
    lines("Redis to gateway by gateway", "At the chosen quantile: one gateway alone has a clock, a network or a CPU of its own to look at.",
          (quantile("chinwag_gateway_receive_seconds", "instance"), "{{instance}}"), unit="s"),
    lines("Gateway to sockets by gateway", "At the chosen quantile.",
          (quantile("chinwag_gateway_deliver_seconds", "instance"), "{{instance}}"), unit="s"),
    lines("Queues", "Messages that wait for an append, and events that wait to be handed out. Near zero at any load a gateway can bear.",
          (total("chinwag_gateway_append_queue_depth", "instance"), "append {{instance}}"),
          (total("chinwag_gateway_inlet_queue_depth", "instance"), "inlet {{instance}}")),
    lines("Waiting people", "Senders who wait until their messages are archived, and connections that have not begun a session yet.",
          (total("chinwag_gateway_acks_waiting"), "for the archive"),
          (total("chinwag_gateway_pending_connections"), "to begin")),
    lines("Append batches", "Messages in one append. It grows with load by itself, which is what keeps Redis cheap.",
          (mean("chinwag_gateway_append_batch_size"), "mean"),
          (quantile("chinwag_gateway_append_batch_size"), "at $quantile")),
    lines("Deliveries by gateway", "Publications handed to sockets.", (rate("chinwag_gateway_deliveries_total", "instance"), "{{instance}}"), unit="cps", stacked=True),
    lines("Delivered bytes", "By gateway, before the kernel's and TLS's own.",
          (rate("chinwag_gateway_delivery_bytes_total", "instance"), "{{instance}}"), unit="Bps", stacked=True),
    lines("Outboxes", "Bytes that wait for slow readers, by gateway.", (total("chinwag_gateway_outbox_bytes", "instance"), "{{instance}}"), unit="bytes", stacked=True),
    lines("Dropped for slow readers", "Pushes by class. Typing and presence go first and are not missed for long.",
          (rate("chinwag_gateway_outbox_dropped_total", "class"), "{{class}}"), unit="cps"),
    lines("Connections behind", "Readers that take less than is said and are read on from the log at their own pace, by gateway.",
          (total("chinwag_gateway_behind_connections", "instance"), "{{instance}}"), stacked=True),
    lines("Fell behind", "Subscriptions a second whose reader took less than was said.",
          (rate("chinwag_gateway_fell_behind_total", "instance"), "{{instance}}"), unit="cps"),
    lines("Caught up", "From falling behind in a room to being level again, at the chosen quantile.",
          (quantile("chinwag_gateway_caught_up_seconds", "instance"), "{{instance}}"), unit="s"),
]

RECOVERY = [
    lines("Reads of the past", "For readers who had missed something, by where it was found. In a storm of reconnections most is memory or shared.",
          (rate("chinwag_gateway_past_reads_total", "source"), "{{source}}"), unit="cps", stacked=True),
    lines("Recent events", "Bytes of them in memory, by gateway.", (total("chinwag_gateway_recent_bytes", "instance"), "{{instance}}"), unit="bytes", stacked=True),
    lines("Recoveries", "Subscriptions that asked to recover, by result. Those that could not are told to load the room anew.",
          (rate("chinwag_gateway_recoveries_total", "result"), "{{result}}"), unit="cps", stacked=True),
    lines("Replayed", "Publications sent to clients that came back.", (rate("chinwag_gateway_recovered_publications_total"), "publications"), unit="cps"),
    lines("Gaps and duplicates", "Holes found in a room's live events, each filled from Redis, and events that came twice and were dropped.",
          (rate("chinwag_gateway_gaps_total"), "gaps"),
          (rate("chinwag_gateway_duplicates_total"), "duplicates"), unit="cps"),
    lines("Gap repair", "From finding a gap to having filled it: how late those messages were.",
          (quantile("chinwag_gateway_gap_repair_seconds"), "at $quantile"), unit="s"),
    lines("Acknowledged by level", "Which level senders asked for, and which was reached.",
          (rate("chinwag_gateway_acks_total", "wanted, reached"), "{{wanted}}, reached {{reached}}"), unit="cps", stacked=True),
    lines("Looked after", "Messages that Redis had lost and a gateway sent again, old ids looked for in the archive, and orders that were found late.",
          (rate("chinwag_gateway_resent_total"), "sent again"),
          (rate("chinwag_gateway_old_ids_total"), "old ids"),
          (rate("chinwag_gateway_late_orders_total"), "late orders"), unit="cps"),
]

REDIS = [
    lines("Memory", "Used memory and its limit. At the limit messages are refused.",
          (highest("chinwag_redis_used_memory_bytes"), "used"),
          (highest("chinwag_redis_maxmemory_bytes"), "maxmemory"), unit="bytes"),
    lines("Refusing messages", "Gateways that refuse messages because Redis is filling up.",
          (total("chinwag_gateway_refusing_messages"), "gateways")),
    lines("Round trips", "By command or function, at the chosen quantile, without the reads of the log, which wait for what comes. All of them "
          "high: Redis's one core, its disk or the network.",
          (quantile("chinwag_redis_command_seconds", "command", 'command!="xread"'), "{{command}}"), unit="s"),
    lines("Commands to Redis", "A second, by command or function.", (rate("chinwag_redis_command_seconds_count", "command"), "{{command}}"), unit="cps", stacked=True),
    lines("Reconnects", "Connections made anew after a loss, by what they are for.",
          (rate("chinwag_redis_reconnects_total", "connection"), "{{connection}}"), unit="cps"),
    lines("Takeovers", "Times that another server took over what one had, as seen by the busiest process: failovers, and slots that were moved.",
          (highest("chinwag_redis_placements_total"), "takeovers")),
    lines("Errors", "By kind.", (rate("chinwag_redis_errors_total", "kind"), "{{kind}}"), unit="cps"),
    lines("Clients", "Connections that Redis has, those of others included.", (highest("chinwag_redis_connected_clients"), "clients")),
]

FANOUT = reader("fanout", "is not fanned out") + owner("fanout") + [
    lines("Notices", "Published to members who are online but not subscribed to the room.", (rate("chinwag_fanout_notices_total"), "notices"), unit="cps"),
    lines("Members remembered", "Room members that the fan-out workers keep in memory, so as not to ask Redis at each message; bounded, and by "
          "worker.", (total("chinwag_fanout_cached_members", "instance"), "{{instance}}")),
    lines("Room list moves", "Moves of a room to the top of a member's list.", (rate("chinwag_fanout_activity_updates_total"), "moves"), unit="cps"),
]

PRESENCE = [
    lines("Online", "Users with at least one live session.", (total("chinwag_presence_online_users", "instance"), "{{instance}}"), stacked=True),
    lines("Transitions", "Changes of users' states, by the new one.", (rate("chinwag_presence_transitions_total", "to"), "{{to}}"), unit="cps"),
    lines("Users to be looked at", "By worker. It is their lag: a storm of reconnects shows here and drains by itself.",
          (total("chinwag_presence_queue_depth", "instance"), "{{instance}}"), stacked=True),
    lines("Sweeps and digests", "Dead gateways whose sessions were swept away, and presence digests published to rooms.",
          (rate("chinwag_presence_sweeps_total"), "sweeps"),
          (rate("chinwag_presence_digests_total"), "digests"), unit="cps"),
    lines("Ghosts", "How long sessions of a dead gateway counted as online beyond its lease of 15 s. The promise is 2 s. Empty while no "
          "gateway dies.",
          (quantile("chinwag_presence_ghost_seconds"), "at $quantile"), unit="s"),
    lines("Said again", "Times that a gateway told Redis anew, under another name, who is connected: because Redis may have lost its last writes, "
          "because the gateway stood still for longer than its lease, or because Redis was not told that somebody went. Nobody is disconnected.",
          (rate("chinwag_gateway_renames_total", "reason"), "{{reason}}"), unit="cps"),
] + owner("presence")

ARCHIVE = reader("archiver", "is not archived") + owner("archiver") + [
    lines("Oldest not archived", "Its age. Until it is archived, a message lives in Redis alone.",
          (highest("chinwag_archive_lag_seconds"), "age"), unit="s"),
    lines("Rows and trimming", "Events committed to the archive, and log entries trimmed behind them. In the long run they are equal.",
          (rate("chinwag_archive_rows_total"), "rows"),
          (rate("chinwag_archive_trimmed_entries_total"), "trimmed"), unit="cps"),
    lines("Commit time", "One commit of events and checkpoint.",
          (quantile("chinwag_archive_commit_seconds"), "at $quantile"),
          (mean("chinwag_archive_commit_seconds"), "mean"), unit="s"),
    lines("Conflicts and duplicates", "Events whose sequence, or whose message id, was archived before with another event. Conflicts are an alarm: "
          "the archived event was kept.",
          (rate("chinwag_archive_conflicts_total"), "conflicts"),
          (rate("chinwag_archive_duplicates_total"), "duplicates"),
          (rate("chinwag_archive_diverged_total"), "of a former primary"), unit="cps"),
    lines("Search time", "One search in the archive.", (quantile("chinwag_archive_search_seconds"), "at $quantile"), unit="s"),
    lines("Page time", "Reading one page of history from the archive, which happens when somebody scrolls back beyond the ring.",
          (quantile("chinwag_archive_page_seconds"), "at $quantile"), unit="s"),
]

PROCESS = [
    lines("Processor", "Cores used, by process. A gateway near the number of its cores is full.",
          (rate("chinwag_process_cpu_seconds_total", "job, instance"), "{{job}} {{instance}}")),
    lines("Resident memory", "By process.", (total("chinwag_process_resident_memory_bytes", "job, instance"), "{{job}} {{instance}}"), unit="bytes"),
    lines("Memory per connection", "A gateway's resident memory divided by its connections: meaningful from some thousands on.",
          (f"{pick('chinwag_process_resident_memory_bytes')} / on (job, instance) clamp_min({pick('chinwag_gateway_connections')}, 1)", "{{instance}}"),
          unit="bytes"),
    lines("File descriptors", "Used share of the limit. At 100 % nobody gets in.",
          (f"{pick('chinwag_process_open_file_descriptors')} / {pick('chinwag_process_max_file_descriptors')}", "{{job}} {{instance}}"),
          unit="percentunit"),
    lines("Threads", "By process.", (total("chinwag_process_threads", "job, instance"), "{{job}} {{instance}}")),
    lines("Uptime", "By process. A saw is a process that keeps restarting.", (total("chinwag_process_uptime_seconds", "job, instance"), "{{job}} {{instance}}"), unit="s"),
    lines("Panics", "Tasks that panicked; each ends its process and is a bug.", (rate("chinwag_process_task_panics_total", "job, instance"), "{{job}} {{instance}}"), unit="cps"),
    table("Versions", "What runs where.", pick("chinwag_build_info"), ["Time", "Value", "__name__"], width=16),
]

ROWS = [
    ("Overview", OVERVIEW),
    ("Connections", CONNECTIONS),
    ("Delivery by stage", DELIVERY),
    ("Recovery", RECOVERY),
    ("Redis", REDIS),
    ("Fan-out workers", FANOUT),
    ("Presence", PRESENCE),
    ("Archive", ARCHIVE),
    ("Process", PROCESS),
]
