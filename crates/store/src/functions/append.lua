-- append: writes a batch of events into rooms of one partition.
-- KEYS: 1 epoch:{p}, 2 log:{p}; then per room 7:
--       room, history, members, read, sent (this bucket), sent (the one before), channel
-- ARGV: 1 dedupe bucket, 2 bucket length in seconds; then per room:
--       room id, mode (m: members only, c: plain channel), ring size, ring seconds (0: for ever),
--       count of events; then per event: sender, client's id, the time in that id (0: it has
--       none), flags (1: the archive was asked and does not have it, 2: it follows another), 1 if
--       it counts as a message, tail; and if it follows another, that one's id and the time in it
-- Promises: all events of a room in the order given, each once per (sender, id), and none whose
-- predecessor, by the same sender, is not there; refuses the whole batch without effect when the
-- epoch is another reign's or the caller's bucket is wrong.
-- Returns per event 7 integers: status (1 written, 2 repeated, 3 reconcile the room first, 4 not a
-- member, 5 no such room, 6 ask the archive for the id, 7 the archive is too far behind to be
-- asked, 8 the id is of a time to come, 9 one before it in the room has to be looked for first,
-- 10 the one it follows is not there, 11 ask the archive for that one), seq, epoch, time, messages,
-- the seq up to which the room is archived, and the room's own level of acknowledgement (0: none).

-- An id carries the time of its making, which may be this far ahead of ours; and what was written
-- is remembered for a bucket's length at least. So an id that is younger than the difference is
-- known here if it was used. An hour of it is for clocks that are set.
local AHEAD, SLACK = 300000, 3600000

-- A room as `append` sees it.
local function append_room(room_key, epoch)
  local stored = redis.call('HMGET', room_key, 's', 'n', 'e', 'x', 'a', 'b', 'd', 'q', 'u')
  if not stored[1] then return nil, 'missing' end
  if tonumber(stored[3]) ~= epoch then return nil, 'reconcile' end
  return { tonumber(stored[1]), tonumber(stored[2]), stored[4], archived = tonumber(stored[5] or '0'),
    born = tonumber(stored[6] or '0'), known = tonumber(stored[7] or '0'),
    level = tonumber(stored[8] or '0'), bucket = stored[9] }
end

-- The time of the oldest event of a ring that is not archived, or of one to come.
local function oldest_time(state, history)
  if not state.oldest then
    local oldest = state.archived < state.first
      and redis.call('LINDEX', history, state.archived - state.first)
    state.oldest = oldest and struct.unpack('>I8', oldest, 22) or math.huge
  end
  return state.oldest
end

-- What has to be done about an id that is not remembered before it may be taken for a new one: a
-- status, or nil if it is new. `hot` is the time from which on all ids are remembered here, unless
-- the room has lost some, and `first_bucket` the time at which the earlier bucket began.
local function unknown_id(id_time, time, hot, first_bucket, state, history)
  if id_time > time + AHEAD then return 8 end
  if id_time >= math.max(hot, state.known) + AHEAD then return nil end
  -- Younger than all that could have been forgotten.
  if id_time == 0 and state.known == 0 and state.born >= first_bucket then return nil end
  if oldest_time(state, history) < hot then return 7 end
  if state.archived == 0 then return nil end
  return 6
end

-- What has to be done about a predecessor that is not remembered, by what `unknown_id` says of it:
-- an id that may be taken for a new one is not there.
local FOLLOWED = { [6] = 11, [7] = 7, [8] = 10 }

-- Whether a place in a room is still that of the event that was written there.
local function stands(seq, its_epoch, epoch, state, room_key)
  if its_epoch == epoch then return true end
  local last = survives(its_epoch, epoch, state[1], redis.call('HGET', room_key, 'h'))
  return last and seq <= last
end

-- Ends what was written into a room by one call: what is the same for all of it is done once.
-- Numbers go to Redis as text: it would write them with 17 digits of a fraction.
local function finish(room_key, history, read, sent, state, seconds, records, readers, size)
  local last, first = state[1], state.first
  redis.call('HSET', room_key, 's', string.format('%d', last), 'n', string.format('%d', state[2]))
  redis.call('RPUSH', history, unpack(records))
  if #readers > 0 then redis.call('ZADD', read, 'GT', unpack(readers)) end
  if state[3] then
    redis.call('PERSIST', history)
    redis.call('PERSIST', room_key)
  end
  if state.fills and state.fills ~= state.bucket then
    redis.call('HSET', room_key, 'u', state.fills)
    redis.call('EXPIRE', sent, seconds)
  end
  if math.floor(last / 16) ~= math.floor(first / 16) then trim(room_key, history, last, size) end
end

redis.register_function('append_@V@', function(keys, args)
  local epoch, run = fence(keys[1])
  if not epoch then return need_epoch(run) end
  local time = now()
  local bucket, bucket_seconds = tonumber(args[1]), tonumber(args[2])
  if math.floor(time / 1000 / bucket_seconds) ~= bucket then
    return redis.error_reply('CLOCK ' .. time)
  end
  local hot = time - bucket_seconds * 1000 + SLACK
  local first_bucket = (bucket - 1) * bucket_seconds * 1000
  -- An id with such a time cannot be in the earlier bucket, whichever clock that was filled by.
  local fresh = bucket * bucket_seconds * 1000 + AHEAD + SLACK
  local log, log_id = keys[2], string.format('%d-*', epoch)
  local stamp = string.format(' %d %d ', epoch, time)
  local head = struct.pack('>BI8BI8B', 0xcf, epoch, 0xcf, time, 0xcf)
  local result, filled = {}, 0
  local key, arg = 3, 3
  while key <= #keys do
    local room_key, history, members = keys[key], keys[key + 1], keys[key + 2]
    local read, sent, sent_before, channel = keys[key + 3], keys[key + 4], keys[key + 5], keys[key + 6]
    local room, mode, size = args[arg], args[arg + 1], tonumber(args[arg + 2])
    local seconds, count = tonumber(args[arg + 3]), tonumber(args[arg + 4])
    arg, key = arg + 5, key + 7
    local state, why = append_room(room_key, epoch)
    local refused, stalled, member
    local records, readers = {}, {}
    if not state then
      refused = (why == 'missing' and mode == 'm') and 5 or 3
    else
      state.first = state[1]
      if seconds > 0 and state[3] ~= mode .. seconds then
        state[3] = mode .. seconds
        redis.call('HSET', room_key, 'x', state[3])
      end
    end
    local archived, level = state and state.archived or 0, state and state.level or 0
    for _ = 1, count do
      local sender, id, id_time, flags = args[arg], args[arg + 1], tonumber(args[arg + 2]), args[arg + 3]
      local counts, tail = tonumber(args[arg + 4]), args[arg + 5]
      arg = arg + 6
      local follows, followed, followed_time
      if flags == '2' or flags == '3' then
        follows, followed_time = sender .. ' ' .. args[arg], tonumber(args[arg + 1])
        arg = arg + 2
      end
      local status, seq, its_epoch, its_time, messages
      if mode == 'm' and sender ~= '' and state and sender ~= member then
        if redis.call('HEXISTS', members, sender) == 1 then member = sender else status = 4 end
      end
      if refused then
        status = refused
      elseif stalled then
        status = status or 9
      elseif not status then
        local field = sender .. ' ' .. id
        local looked = flags == '1' or flags == '3'
        local earlier, known
        seq, messages = state[1] + 1, state[2] + counts
        local number = string.format('%d', seq)
        -- Whether it is certain that the id is new.
        local is_new = id == ''
        if not is_new and id_time >= fresh and not follows
          and not unknown_id(id_time, time, hot, first_bucket, state, history) then
          is_new = redis.call('HEXISTS', sent, field) == 0
        end
        if not is_new then
          if follows then
            local both = redis.call('HMGET', sent, field, follows)
            earlier, followed = both[1], both[2]
          else
            earlier = redis.call('HGET', sent, field)
          end
          earlier = earlier or redis.call('HGET', sent_before, field)
          if earlier then
            local was_seq, was_epoch, was_time, was_messages =
              string.match(earlier, '(%d+) (%d+) (%d+) (%d+)')
            was_seq, was_epoch = tonumber(was_seq), tonumber(was_epoch)
            if stands(was_seq, was_epoch, epoch, state, room_key) then
              status, seq, its_epoch, its_time = 2, was_seq, was_epoch, tonumber(was_time)
              messages = tonumber(was_messages)
            elseif not looked then
              -- Lost with a tail that another server had; the archive may have it elsewhere.
              status = 6
            end
          else
            status = unknown_id(id_time, time, hot, first_bucket, state, history)
            if status == 6 and looked then status = nil end
          end
          if follows and not status then
            followed = followed or redis.call('HGET', sent_before, follows)
            if followed then
              local was_seq, was_epoch = string.match(followed, '(%d+) (%d+)')
              if not stands(tonumber(was_seq), tonumber(was_epoch), epoch, state, room_key) then
                status = 11
              end
            else
              status = FOLLOWED[unknown_id(followed_time, time, hot, first_bucket, state, history) or 8]
            end
          end
        end
        if not status then
          status = 1
          local record = struct.pack('>BBBI8', 0x99, 1, 0xcf, seq) .. head
            .. struct.pack('>I8', messages) .. tail
          local added = redis.pcall('XADD', log, log_id, 'r', room, 'e', record)
          if type(added) == 'table' then
            if #records > 0 then
              finish(room_key, history, read, sent, state, 2 * bucket_seconds, records, readers, size)
            end
            return added
          end
          redis.call('SPUBLISH', channel, record)
          records[#records + 1] = record
          state[1], state[2] = seq, messages
          if id ~= '' then
            -- After the log: what is not there must not be called repeated when it comes again.
            redis.call('HSET', sent, field, number .. stamp .. string.format('%d', messages))
            state.fills = args[1]
          end
          if mode == 'm' and counts == 1 and sender ~= '' then
            readers[#readers + 1] = number
            readers[#readers + 1] = sender
          end
        end
      end
      stalled = stalled or status == 6 or status == 11
      result[filled + 1], result[filled + 2], result[filled + 3] = status, seq or 0, its_epoch or epoch
      result[filled + 4], result[filled + 5] = its_time or time, messages or 0
      result[filled + 6], result[filled + 7] = archived, level
      filled = filled + 7
    end
    if #records > 0 then
      finish(room_key, history, read, sent, state, 2 * bucket_seconds, records, readers, size)
    end
  end
  return result
end)
