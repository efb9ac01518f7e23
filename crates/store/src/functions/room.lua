-- create_room: makes a room with its first members, once.
-- KEYS: 1 epoch:{p}, 2 log:{p}, 3 room, 4 history, 5 members, 6 read, 7 channel
-- ARGV: 1 room id, 2 kind, 3 meta record, 4 tail of the `created` event, 5 and 6 the archive's last
--       seq and count of messages, 7 the room's level of acknowledgement (0: none), 8 count of
--       members; then per member: user, role, tail of its event
-- Promises: all of it or, if the room exists, none of it. A room that Redis has lost goes on above
-- what the archive has. Returns 1 if made, 0 if it was there.
redis.register_function('create_room_@V@', function(keys, args)
  local epoch, run = fence(keys[1])
  if not epoch then return need_epoch(run) end
  if redis.call('EXISTS', keys[3]) == 1 then return 0 end
  local room, time, archived = args[1], now(), tonumber(args[5])
  local state = { archived, tonumber(args[6]) }
  write(keys[2], keys[3], keys[4], keys[7], room, epoch, time, state, 0, args[4], RING)
  redis.call('HSET', keys[3], 'e', epoch, 'k', args[2], 'm', args[3], 'a', archived,
    'h', epoch .. ':' .. archived)
  if archived == 0 then redis.call('HSET', keys[3], 'b', time) end
  if args[7] ~= '0' then redis.call('HSET', keys[3], 'q', args[7]) end
  for member = 0, tonumber(args[8]) - 1 do
    local at = 9 + member * 3
    local user, role, tail = args[at], tonumber(args[at + 1]), args[at + 2]
    write(keys[2], keys[3], keys[4], keys[7], room, epoch, time, state, 0, tail, RING)
    redis.call('HSET', keys[5], user, member_record(role, state[1]))
    redis.call('ZADD', keys[6], state[1], user)
  end
  return 1
end)

-- standing: what Redis has of a room that is to be reconciled.
-- KEYS: 1 room
-- Returns nil if the room is missing, else {seq, epoch of the room}.
redis.register_function{ function_name = 'standing_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local stored = redis.call('HMGET', keys[1], 's', 'e')
    if not stored[1] then return false end
    return { tonumber(stored[1]), tonumber(stored[2]) }
  end }

-- reconcile: brings a room of an earlier epoch, or one that Redis has lost, into this one.
-- KEYS: 1 epoch:{p}, 2 room, 3 history, 4 members, 5 read
-- ARGV: 1 the epoch the caller saw, 2 and 3 the archive's last seq and count of messages, 4 kind,
--       5 and 6 the room's seq and epoch that the caller saw (0 0: missing), 7 epochs that the
--       archive knows and Redis does not, with where they began (`<epoch>:<seq>,...`), 8 meta
--       record (empty: as it is), 9 level of acknowledgement (empty: as it is), 10 count of
--       memberships; then per membership: user, role (0: none), seq of joining
-- Promises: the sequence goes on above all that both Redis and the archive hold to be true: what
-- Redis has of an epoch that ended before it, by the archive, is dropped. Memberships are the
-- archive's where it is ahead. Nothing if the room is another one than the caller saw (STALEROOM).
-- Returns the seq.
redis.register_function{ function_name = 'reconcile_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local epoch, run = fence(keys[1])
    if not epoch then return need_epoch(run) end
    local stored = redis.call('HMGET', keys[2], 's', 'n', 'e', 'h', 'a')
    if stored[1] and tonumber(stored[3]) == epoch then return tonumber(stored[1]) end
    if epoch ~= tonumber(args[1]) then return redis.error_reply('STALEEPOCH ' .. epoch) end
    local seq, messages = tonumber(stored[1] or '0'), tonumber(stored[2] or '0')
    local its_epoch = tonumber(stored[3] or '0')
    if seq ~= tonumber(args[5]) or its_epoch ~= tonumber(args[6]) then
      return redis.error_reply('STALEROOM ' .. seq)
    end
    local archived, time = tonumber(args[2]), now()
    local holds, starts = seq, {}
    for entry in string.gmatch(stored[4] or '', '[^,]+') do starts[#starts + 1] = entry end
    for entry, start in string.gmatch(args[7], '(%d+):(%d+)') do
      if tonumber(entry) > its_epoch then
        starts[#starts + 1] = entry .. ':' .. start
        holds = math.min(holds, tonumber(start))
      end
    end
    local diverged = stored[1] and holds < seq
    if diverged or archived > seq then
      redis.call('DEL', keys[3])
      seq, messages = archived, tonumber(args[3])
      -- Redis has forgotten ids together with the events.
      redis.call('HSET', keys[2], 'd', time)
    end
    if diverged then redis.call('DEL', keys[4], keys[5]) end
    starts[#starts + 1] = epoch .. ':' .. seq
    while #starts > 64 do table.remove(starts, 1) end
    redis.call('HSET', keys[2], 's', seq, 'n', messages, 'e', epoch, 'h', table.concat(starts, ','),
      'a', archived)
    if not stored[1] and archived == 0 then redis.call('HSET', keys[2], 'b', time) end
    redis.call('HSETNX', keys[2], 'k', args[4])
    if args[8] ~= '' then redis.call('HSET', keys[2], 'k', args[4], 'm', args[8]) end
    if args[9] ~= '' then redis.call('HSET', keys[2], 'q', args[9]) end
    for member = 0, tonumber(args[10]) - 1 do
      local at = 11 + member * 3
      local user, role, joined = args[at], tonumber(args[at + 1]), tonumber(args[at + 2])
      if role == 0 then
        redis.call('HDEL', keys[4], user)
        redis.call('ZREM', keys[5], user)
      else
        redis.call('HSET', keys[4], user, member_record(role, joined))
        redis.call('ZADD', keys[5], 'NX', joined, user)
      end
    end
    return seq
  end }

-- overview: what a list of rooms shows of one room to one user.
-- KEYS: 1 room, 2 history, 3 members, 4 read   ARGV: 1 user
-- Returns nil if the room is missing, else: kind, meta record, seq, messages, epoch, level of
-- acknowledgement (0: none), last record or '', the user's member record or '', count of members, read seq, count of messages at it
-- (-1 if that event is no longer in the ring).
redis.register_function{ function_name = 'overview_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local stored = redis.call('HMGET', keys[1], 'k', 'm', 's', 'n', 'e', 'q')
    if not stored[3] then return false end
    local seq, messages = tonumber(stored[3]), tonumber(stored[4])
    local member = redis.call('HGET', keys[3], args[1])
    local read = tonumber(redis.call('ZSCORE', keys[4], args[1]) or '0')
    local messages_read = -1
    if read == 0 then
      messages_read = 0
    elseif read >= seq then
      messages_read = messages
    else
      local record = redis.call('LINDEX', keys[2], read - seq - 1)
      if record then messages_read = messages_of(record) end
    end
    return { stored[1] or 'channel', stored[2] or '', seq, messages, tonumber(stored[5]), tonumber(stored[6] or '0'),
      redis.call('LINDEX', keys[2], -1) or '', member or '', redis.call('HLEN', keys[3]), read,
      messages_read }
  end }
