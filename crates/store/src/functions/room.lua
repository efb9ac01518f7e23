-- create_room: makes a room with its first members, once.
-- KEYS: 1 epoch:{p}, 2 log:{p}, 3 room, 4 history, 5 members, 6 read, 7 channel
-- ARGV: 1 room id, 2 kind, 3 meta record, 4 tail of the `created` event, 5 and 6 the archive's last
--       seq and count of messages, 7 count of members; then per member: user, role, tail of its
--       event
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
  for member = 0, tonumber(args[7]) - 1 do
    local user, role, tail = args[8 + member * 3], tonumber(args[9 + member * 3]), args[10 + member * 3]
    write(keys[2], keys[3], keys[4], keys[7], room, epoch, time, state, 0, tail, RING)
    redis.call('HSET', keys[5], user, member_record(role, state[1]))
    redis.call('ZADD', keys[6], state[1], user)
  end
  return 1
end)

-- reconcile: brings a room of an earlier epoch, or one that Redis has lost, into this one.
-- KEYS: 1 epoch:{p}, 2 room, 3 history
-- ARGV: 1 the epoch the caller saw, 2 and 3 the archive's last seq and count of messages, 4 kind
-- Promises: the sequence goes on above all that Redis or the archive has. Returns the seq.
redis.register_function{ function_name = 'reconcile_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local epoch, run = fence(keys[1])
    if not epoch then return need_epoch(run) end
    local stored = redis.call('HMGET', keys[2], 's', 'n', 'e', 'h')
    if stored[1] and tonumber(stored[3]) == epoch then return tonumber(stored[1]) end
    if epoch ~= tonumber(args[1]) then return redis.error_reply('STALEEPOCH ' .. epoch) end
    local seq, messages = tonumber(stored[1] or '0'), tonumber(stored[2] or '0')
    local archived = tonumber(args[2])
    if archived > seq then
      redis.call('DEL', keys[3])
      seq, messages = archived, tonumber(args[3])
    end
    local starts = {}
    for entry in string.gmatch(stored[4] or '', '[^,]+') do
      -- What a start above the surviving tail says is no longer true.
      if tonumber(string.match(entry, ':(%d+)')) <= seq then starts[#starts + 1] = entry end
    end
    starts[#starts + 1] = epoch .. ':' .. seq
    while #starts > 8 do table.remove(starts, 1) end
    redis.call('HSET', keys[2], 's', seq, 'n', messages, 'e', epoch, 'h', table.concat(starts, ','),
      'a', archived)
    redis.call('HSETNX', keys[2], 'k', args[4])
    return seq
  end }

-- overview: what a list of rooms shows of one room to one user.
-- KEYS: 1 room, 2 history, 3 members, 4 read   ARGV: 1 user
-- Returns nil if the room is missing, else: kind, meta record, seq, messages, epoch, last record
-- or '', the user's member record or '', count of members, read seq, count of messages at it
-- (-1 if that event is no longer in the ring).
redis.register_function{ function_name = 'overview_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local stored = redis.call('HMGET', keys[1], 'k', 'm', 's', 'n', 'e')
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
    return { stored[1] or 'channel', stored[2] or '', seq, messages, tonumber(stored[5]),
      redis.call('LINDEX', keys[2], -1) or '', member or '', redis.call('HLEN', keys[3]), read,
      messages_read }
  end }
