-- mark_read: moves a member's read cursor forward.
-- KEYS: 1 room, 2 history, 3 members, 4 read   ARGV: 1 user, 2 seq
-- Promises: a cursor never goes back nor beyond the room's last event. Goes on when memory is
-- full: each member has an entry already. Returns nil if the user is
-- no member, else {read seq, messages in the room, messages at the read seq or -1 if unknown here}.
redis.register_function{ function_name = 'mark_read_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    if redis.call('HEXISTS', keys[3], args[1]) == 0 then return false end
    local stored = redis.call('HMGET', keys[1], 's', 'n')
    local seq, messages = tonumber(stored[1]), tonumber(stored[2])
    redis.call('ZADD', keys[4], 'GT', math.min(tonumber(args[2]), seq), args[1])
    local read = tonumber(redis.call('ZSCORE', keys[4], args[1]))
    local messages_read = -1
    if read >= seq then
      messages_read = messages
    else
      local record = redis.call('LINDEX', keys[2], read - seq - 1)
      if record then messages_read = messages_of(record) end
    end
    return { read, messages, messages_read }
  end }
