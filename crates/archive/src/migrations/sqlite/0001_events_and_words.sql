CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL DEFAULT 0,
    run_id TEXT,
    log_id TEXT,
    token INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Clustered by room: a page of history lies together on disk.
CREATE TABLE events (
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sender TEXT NOT NULL,
    client TEXT,
    message_id TEXT,
    content TEXT NOT NULL,
    duplicate_of INTEGER,
    text_number INTEGER,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX events_message ON events (message_id, room, sender)
    WHERE message_id IS NOT NULL AND duplicate_of IS NULL;

CREATE TABLE texts (
    number INTEGER PRIMARY KEY,
    room TEXT NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

-- Row numbers are those of texts. The tokens come cut and folded; here they are only told apart,
-- at spaces. Without positions (detail = none): phrases are checked against the text itself.
CREATE VIRTUAL TABLE words USING fts5 (
    tokens,
    content = '',
    contentless_delete = 1,
    detail = none,
    tokenize = "ascii tokenchars '#'"
);
