-- Helpers that every other file of this library uses; registers nothing. KEYS: none. ARGV: none.
-- Promises: an event is numbered and written in one place, `write`, and only under the epoch
-- that was fenced for this very run of the server.

-- What the ring of a room keeps when it is not said how much that is. No promise to anybody: a
-- room with members has the archive below its ring.
local RING = 200

-- The name of this server's reign as a primary. A server that restarts takes another one, and so
-- does a replica that is promoted, be it the primary of yesterday: its run id would be the same,
-- and what it has lost meanwhile would go unseen.
local function reign()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- The partition's epoch, or nil and the server's reign if the epoch is of another one: a
-- restarted or promoted server may have lost a tail, so its sequences must not go on.
local function fence(epoch_key)
  local run = reign()
  local stored = redis.call('HMGET', epoch_key, 'run', 'epoch')
  if stored[1] ~= run then return nil, run end
  return tonumber(stored[2]), run
end

local function need_epoch(run)
  return redis.error_reply('NEEDEPOCH ' .. run)
end

-- Milliseconds since 1970 by this server's clock, which is the only clock that events know.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The count of messages that a record carries.
local function messages_of(record)
  return struct.unpack('>I8', record, 31)
end

local function member_record(role, joined)
  return struct.pack('>BBBBI8', 0x93, 1, role, 0xcf, joined)
end

-- Lets go of what a ring has beyond `size`. What is not archived yet stays, so that ring and
-- archive always meet.
local function trim(room_key, history, seq, size)
  local archived = tonumber(redis.call('HGET', room_key, 'a') or '0')
  local keep = math.max(size, seq - archived)
  if keep > 0 then
    redis.call('LTRIM', history, -keep, -1)
  else
    redis.call('DEL', history)
  end
end

-- Writes the next event of a room: log, ring, channel. `state` is {seq, messages, whether the room
-- or its ring may be expiring} and moves on. What is not archived never expires: see mark_archived.
-- `XADD` comes first because it is refused when memory is full, before anything has changed.
-- Whatever writes into a ring also trims it, or a room where only that happens grows for ever.
local function write(log, room_key, history, channel, room, epoch, time, state, counts, tail, size)
  local seq, messages = state[1] + 1, state[2] + counts
  local record = struct.pack('>BBBI8BI8BI8BI8', 0x99, 1, 0xcf, seq, 0xcf, epoch, 0xcf, time,
    0xcf, messages) .. tail
  redis.call('XADD', log, epoch .. '-*', 'r', room, 'e', record)
  redis.call('HSET', room_key, 's', seq, 'n', messages)
  redis.call('RPUSH', history, record)
  if state[3] then
    redis.call('PERSIST', history)
    redis.call('PERSIST', room_key)
  end
  redis.call('SPUBLISH', channel, record)
  if seq % 16 == 0 then trim(room_key, history, seq, size) end
  state[1], state[2] = seq, messages
  return record
end

-- A room's state if it exists and was reconciled in this epoch; else nil and why.
local function open_room(room_key, epoch)
  local stored = redis.call('HMGET', room_key, 's', 'n', 'e', 'x')
  if not stored[1] then return nil, 'missing' end
  if tonumber(stored[3]) ~= epoch then return nil, 'reconcile' end
  return { tonumber(stored[1]), tonumber(stored[2]), stored[4] }
end

-- Up to which of its sequences what was true in `its_epoch` still is, if `epoch` began after it;
-- nil if that is forgotten. `starts` is the room's list of epochs and where they began.
local function survives(its_epoch, epoch, seq, starts)
  if its_epoch == epoch then return seq end
  if its_epoch > epoch then return nil end
  local known = false
  for entry, start in string.gmatch(starts or '', '(%d+):(%d+)') do
    entry, start = tonumber(entry), tonumber(start)
    if entry > its_epoch then seq = math.min(seq, start) else known = true end
  end
  if known then return seq end
  return nil
end
