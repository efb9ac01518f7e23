-- What happened to rooms themselves: how they were made, who came and went.
CREATE INDEX events_happenings ON chinwag.events (room, seq) WHERE kind IN ('member', 'room');

-- One row: by this word Redis knows the archive that belongs to it.
CREATE TABLE chinwag.identity (word TEXT NOT NULL);
INSERT INTO chinwag.identity
    VALUES (md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text));
