-- Helpers that every other file of this library uses; registers nothing. KEYS: none. ARGV: none.
-- Promises: an event is numbered and written in one place, `write`, and only under the epoch
-- that was fenced for this very run of the server.

-- What the ring of a room keeps when it is not said how much that is. No promise to anybody: a
-- room with members has the archive below its ring.
local RING = 200

-- The partition's epoch, or nil and the server's run id if the epoch is of another run: a
-- restarted or promoted server may have lost a tail, so its sequences must not go on.
local function fence(epoch_key)
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
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

-- Writes the next event of a room: log, ring, channel. `state` is {seq, messages} and moves on.
-- `XADD` comes first because it is refused when memory is full, before anything has changed.
-- Whatever writes into a ring also trims it, or a room where only that happens grows for ever.
local function write(log, room_key, history, channel, room, epoch, time, state, counts, tail, size)
  local seq, messages = state[1] + 1, state[2] + counts
  local record = struct.pack('>BBBI8BI8BI8BI8', 0x99, 1, 0xcf, seq, 0xcf, epoch, 0xcf, time,
    0xcf, messages) .. tail
  redis.call('XADD', log, epoch .. '-*', 'r', room, 'e', record)
  redis.call('HSET', room_key, 's', seq, 'n', messages)
  redis.call('RPUSH', history, record)
  redis.call('SPUBLISH', channel, record)
  if seq % 16 == 0 then trim(room_key, history, seq, size) end
  state[1], state[2] = seq, messages
  return record
end

-- A room's {seq, messages} if it exists and was reconciled in this epoch; else nil and why.
local function open_room(room_key, epoch)
  local stored = redis.call('HMGET', room_key, 's', 'n', 'e')
  if not stored[1] then return nil, 'missing' end
  if tonumber(stored[3]) ~= epoch then return nil, 'reconcile' end
  return { tonumber(stored[1]), tonumber(stored[2]) }
end
