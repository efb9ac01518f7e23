-- renew_incarnation: keeps a process's name alive.
-- KEYS: 1 gateways or workers:<role>   ARGV: 1 incarnation, 2 lease in ms, 3 1 to begin
-- Promises: a name that ran out stays dead: what it held may have been given away.
-- Returns {1 if alive, time in ms}.
redis.register_function{ function_name = 'renew_incarnation_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local time = now()
    if args[3] ~= '1' then
      local expiry = tonumber(redis.call('ZSCORE', keys[1], args[1]) or '0')
      if expiry <= time then return { 0, time } end
    end
    redis.call('ZADD', keys[1], time + tonumber(args[2]), args[1])
    -- Long dead names are forgotten after everybody has had an hour to sweep up after them.
    redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', time - 3600000)
    return { 1, time }
  end }

-- take_lease: takes or renews a worker's lease on a partition.
-- KEYS: 1 lease:{p}:<role>, 2 mark:{p}
-- ARGV: 1 incarnation, 2 lease in ms, 3 role, 4 what a new token must be above (what others may
--       remember of this partition when this server has lost it)
-- Promises: at most one holder at a time, and a token that grows with each new one.
-- Returns the token, or 0 if another holds it.
redis.register_function{ function_name = 'take_lease_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local held = redis.call('GET', keys[1])
    if held then
      local owner, token = string.match(held, '^(.+) (%d+)$')
      if owner ~= args[1] then return 0 end
      redis.call('PEXPIRE', keys[1], args[2])
      return tonumber(token)
    end
    local token = redis.call('HINCRBY', keys[2], 'token:' .. args[3], 1)
    if token <= tonumber(args[4]) then
      token = tonumber(args[4]) + 1
      redis.call('HSET', keys[2], 'token:' .. args[3], token)
    end
    redis.call('SET', keys[1], args[1] .. ' ' .. token, 'PX', args[2])
    return token
  end }

-- release_lease: gives a partition back at once.
-- KEYS: 1 lease:{p}:<role>   ARGV: 1 incarnation
redis.register_function{ function_name = 'release_lease_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local held = redis.call('GET', keys[1])
    if held and string.match(held, '^(.+) %d+$') == args[1] then
      return redis.call('DEL', keys[1])
    end
    return 0
  end }
