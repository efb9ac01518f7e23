-- append: writes a batch of events into rooms of one partition.
-- KEYS: 1 epoch:{p}, 2 log:{p}; then per room 7:
--       room, history, members, read, sent (this bucket), sent (the one before), channel
-- ARGV: 1 dedupe bucket, 2 bucket length in seconds; then per room:
--       room id, mode (m: members only, c: plain channel), ring size, ring seconds (0: for ever),
--       count of events; then per event: sender, client's id, 1 if it counts as a message, tail
-- Promises: all events of a room in the order given, each once per (sender, id); refuses the
-- whole batch without effect when the epoch is another run's or the caller's bucket is wrong.
-- Returns per event 5 integers: status (1 written, 2 repeated, 3 reconcile the room first,
-- 4 not a member or no such room), seq, epoch, time, messages.
redis.register_function('append_@V@', function(keys, args)
  local epoch, run = fence(keys[1])
  if not epoch then return need_epoch(run) end
  local time = now()
  local bucket_seconds = tonumber(args[2])
  if math.floor(time / 1000 / bucket_seconds) ~= tonumber(args[1]) then
    return redis.error_reply('CLOCK ' .. time)
  end
  local result, filled = {}, 0
  local function answer(status, seq, written_epoch, written_time, messages)
    result[filled + 1], result[filled + 2], result[filled + 3] = status, seq, written_epoch
    result[filled + 4], result[filled + 5] = written_time, messages
    filled = filled + 5
  end
  local key, arg = 3, 3
  while key <= #keys do
    local room_key, history, members = keys[key], keys[key + 1], keys[key + 2]
    local read, sent, sent_before, channel = keys[key + 3], keys[key + 4], keys[key + 5], keys[key + 6]
    local room, mode, size = args[arg], args[arg + 1], tonumber(args[arg + 2])
    local seconds, count = tonumber(args[arg + 3]), tonumber(args[arg + 4])
    arg, key = arg + 5, key + 7
    local state, why = open_room(room_key, epoch)
    local refused
    if not state then refused = (why == 'missing' and mode == 'm') and 4 or 3 end
    for _ = 1, count do
      local sender, id, counts, tail = args[arg], args[arg + 1], tonumber(args[arg + 2]), args[arg + 3]
      arg = arg + 4
      local field, earlier = sender .. ' ' .. id, false
      if refused then
        answer(refused, 0, epoch, time, 0)
      elseif mode == 'm' and sender ~= '' and redis.call('HEXISTS', members, sender) == 0 then
        answer(4, 0, epoch, time, 0)
      else
        if id ~= '' then
          earlier = redis.call('HGET', sent, field) or redis.call('HGET', sent_before, field)
        end
        if earlier then
          local seq, its_epoch, its_time, messages = string.match(earlier, '(%d+) (%d+) (%d+) (%d+)')
          answer(2, tonumber(seq), tonumber(its_epoch), tonumber(its_time), tonumber(messages))
        else
          write(keys[2], room_key, history, channel, room, epoch, time, state, counts, tail,
            size)
          local seq, messages = state[1], state[2]
          if id ~= '' then
            redis.call('HSET', sent, field, seq .. ' ' .. epoch .. ' ' .. time .. ' ' .. messages)
            if redis.call('HLEN', sent) == 1 then
              redis.call('EXPIRE', sent, 2 * bucket_seconds)
            end
          end
          if mode == 'm' and counts == 1 and sender ~= '' then
            redis.call('ZADD', read, 'GT', seq, sender)
          end
          answer(1, seq, epoch, time, messages)
        end
      end
    end
    if state and seconds > 0 then
      redis.call('EXPIRE', history, seconds)
      -- The archive knows the sequence long before the room's hash is forgotten. A room with
      -- members is never: what it is, and that it is there at all, stands nowhere else.
      if mode == 'c' then redis.call('EXPIRE', room_key, seconds + 86400) end
    end
  end
  return result
end)
