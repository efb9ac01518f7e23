-- put_off_moves: remembers rooms that are still to move in their members' lists.
-- KEYS: 1 moves:{p}   ARGV: pairs of room and the time to which it moves at least, in ms
-- Promises: a room that is remembered already keeps its time, so that one that is always talked in
-- is written here once an interval. Goes on when memory is full, as the lists do.
redis.register_function{ function_name = 'put_off_moves_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    for at = 1, #args, 2 do redis.call('ZADD', keys[1], 'NX', args[at + 1], args[at]) end
    return 1
  end }

-- made_move: a room has moved to a time.
-- KEYS: 1 moves:{p}   ARGV: 1 room, 2 time in ms
-- Promises: a move that was put off later stays, whoever has made this one.
redis.register_function{ function_name = 'made_move_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local time = redis.call('ZSCORE', keys[1], args[1])
    if not time or tonumber(time) > tonumber(args[2]) then return 0 end
    return redis.call('ZREM', keys[1], args[1])
  end }
