-- open_session: a user's connection begins at a gateway.
-- KEYS: 1 sessions:{u}:<user>, 2 held:{u}:<incarnation>, 3 presence:{u}, 4 channel wake:{u}
-- ARGV: 1 user, 2 client id, 3 session record
-- Promises: the session, the gateway's hold on the user and the work for the presence worker
-- exist together. Returns the count of the user's sessions.
redis.register_function{ function_name = 'open_session_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    redis.call('HSET', keys[1], args[2], args[3])
    redis.call('SADD', keys[2], args[1])
    local sessions = redis.call('HLEN', keys[1])
    if sessions == 1 then
      redis.call('RPUSH', keys[3], args[1])
      redis.call('SPUBLISH', keys[4], '')
    end
    return sessions
  end }

-- close_session: a user's connection ends.
-- KEYS and ARGV 1, 2 as in open_session; ARGV 3: 1 if it was the user's last at this gateway
-- Returns the count of the user's sessions that remain.
redis.register_function{ function_name = 'close_session_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    redis.call('HDEL', keys[1], args[2])
    if args[3] == '1' then redis.call('SREM', keys[2], args[1]) end
    local sessions = redis.call('HLEN', keys[1])
    if sessions == 0 then
      redis.call('RPUSH', keys[3], args[1])
      redis.call('SPUBLISH', keys[4], '')
    end
    return sessions
  end }

-- settle_presence: makes a user's state what their sessions say.
-- KEYS: 1 sessions:{u}:<user>, 2 user:{u}:<user>, 3 online_users:{u}
-- ARGV: 1 user, then incarnations that are dead
-- Promises: depends on nothing but the sessions and the leases, so that doing it twice, or for
-- no reason, is harmless. Sessions of these dead gateways are removed, all others count: one that
-- nobody has heard of has just begun. Returns {1 if the state changed, 1 if online, last seen in
-- ms}.
redis.register_function{ function_name = 'settle_presence_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local dead = {}
    for at = 2, #args do dead[args[at]] = true end
    local stored = redis.call('HGETALL', keys[1])
    local online = 0
    for at = 1, #stored, 2 do
      if dead[cmsgpack.unpack(stored[at + 1])[2]] then
        redis.call('HDEL', keys[1], stored[at])
      else
        online = 1
      end
    end
    local before = redis.call('SISMEMBER', keys[3], args[1])
    local time = now()
    if online == before then return { 0, online, time } end
    if online == 1 then
      redis.call('SADD', keys[3], args[1])
    else
      redis.call('SREM', keys[3], args[1])
    end
    redis.call('HSET', keys[2], 'seen', time)
    return { 1, online, time }
  end }

-- enter_channel: a client comes into the presence of a channel.
-- KEYS: 1 clients, 2 held_rooms:{p}:<incarnation>   ARGV: 1 client id, 2 record, 3 channel
-- Promises: the client and the gateway's hold on the channel exist together. Goes on when memory
-- is full, so that people can connect and read.
redis.register_function{ function_name = 'enter_channel_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    redis.call('SADD', keys[2], args[3])
    return redis.call('HSET', keys[1], args[1], args[2])
  end }

-- The gateway in a client's record: an array of the version, this text, and bytes, which the
-- unpacker here does not know.
local function holder(record)
  local kind = string.byte(record, 3)
  if kind == 0xd9 then return string.sub(record, 5, 4 + string.byte(record, 4)) end
  return string.sub(record, 4, 3 + kind - 0xa0)
end

-- evict_client: takes a client out of the presence of a channel that a gateway left there.
-- KEYS: 1 clients, 2 the room's channel   ARGV: 1 client id, 2 incarnation, 3 what is published
-- Promises: who is there by another word than this gateway's stays, and nobody is told anything.
-- Returns 1 if it was taken out.
redis.register_function{ function_name = 'evict_client_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local stored = redis.call('HGET', keys[1], args[1])
    if not stored or holder(stored) ~= args[2] then return 0 end
    redis.call('HDEL', keys[1], args[1])
    redis.call('SPUBLISH', keys[2], args[3])
    return 1
  end }

-- hold_room: a gateway has clients in the presence of a channel.
-- KEYS: 1 held_rooms:{p}:<incarnation>   ARGV: 1 channel
redis.register_function{ function_name = 'hold_room_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    return redis.call('SADD', keys[1], args[1])
  end }
