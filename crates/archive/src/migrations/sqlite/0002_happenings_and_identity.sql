-- What happened to rooms themselves: how they were made, who came and went.
CREATE INDEX events_happenings ON events (room, seq) WHERE kind IN ('member', 'room');

-- One row: by this word Redis knows the archive that belongs to it.
CREATE TABLE identity (word TEXT NOT NULL) STRICT;
INSERT INTO identity VALUES (lower(hex(randomblob(16))));
