-- change_member: somebody comes into a room or goes out of it.
-- KEYS: 1 epoch:{p}, 2 log:{p}, 3 room, 4 history, 5 members, 6 read, 7 channel
-- ARGV: 1 room id, 2 change (joined, invited, left, removed), 3 the user it is about, 4 role,
--       5 who does it, 6 tail of the event
-- Promises: the membership and the event that tells of it change together. Returns {status, seq}:
-- 1 done, 2 was so already, 3 reconcile the room first, 4 no such room for this actor,
-- 5 this kind of room does not allow it.
redis.register_function('change_member_@V@', function(keys, args)
  local epoch, run = fence(keys[1])
  if not epoch then return need_epoch(run) end
  local state, why = open_room(keys[3], epoch)
  if not state then return { why == 'missing' and 4 or 3, 0 } end
  local change, user, actor = args[2], args[3], args[5]
  local kind = redis.call('HGET', keys[3], 'k')
  local is_member = redis.call('HEXISTS', keys[5], user) == 1
  if change == 'joined' then
    if is_member then return { 2, state[1] } end
    if kind ~= 'open' then return { 4, 0 } end
  else
    if actor ~= '' and redis.call('HEXISTS', keys[5], actor) == 0 then return { 4, 0 } end
    if kind ~= 'open' and kind ~= 'group' then return { 5, 0 } end
    if (change == 'invited') == is_member then return { 2, state[1] } end
  end
  write(keys[2], keys[3], keys[4], keys[7], args[1], epoch, now(), state, 0, args[6],
    RING)
  if is_member then
    redis.call('HDEL', keys[5], user)
    redis.call('ZREM', keys[6], user)
  else
    redis.call('HSET', keys[5], user, member_record(tonumber(args[4]), state[1]))
    redis.call('ZADD', keys[6], state[1], user)
  end
  return { 1, state[1] }
end)

-- touch_room: puts a room into a user's list, or moves it up in it.
-- KEYS: 1 rooms:{u}:<user>   ARGV: 1 room, 2 time in ms
-- Promises: never moves it down. Goes on when memory is full: what is in the logs must be done
-- before it can be trimmed. Returns 1 if it is new in the list.
redis.register_function{ function_name = 'touch_room_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    return redis.call('ZADD', keys[1], 'GT', args[2], args[1])
  end }
