CREATE TABLE chinwag.partitions (
    partition INTEGER PRIMARY KEY,
    epoch BIGINT NOT NULL DEFAULT 0,
    run_id TEXT,
    log_id TEXT,
    token BIGINT NOT NULL DEFAULT 0
);

-- Ids are ASCII and compare as bytes, whatever the locale of the database. The content stays
-- text, because json would refuse what browsers accept and jsonb would rebuild it: read it with
-- content::json.
CREATE TABLE chinwag.events (
    room TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    time BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    kind TEXT NOT NULL,
    sender TEXT COLLATE "C" NOT NULL,
    client TEXT,
    message_id TEXT COLLATE "C",
    content TEXT NOT NULL,
    duplicate_of BIGINT,
    text_number BIGINT,
    PRIMARY KEY (room, seq)
);

CREATE UNIQUE INDEX events_message ON chinwag.events (message_id, room, sender)
    WHERE message_id IS NOT NULL AND duplicate_of IS NULL;

CREATE SEQUENCE chinwag.text_numbers;

CREATE TABLE chinwag.texts (
    number BIGINT PRIMARY KEY,
    room TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    tokens TSVECTOR NOT NULL
);

CREATE INDEX texts_tokens ON chinwag.texts USING gin (tokens);
