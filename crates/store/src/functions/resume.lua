-- resume: what a reader at a position has missed.
-- KEYS: 1 epoch:{p}, 2 room, 3 history
-- ARGV: 1 reader's epoch (0: any), 2 reader's seq, 3 most records to give
-- Promises: never partial silently. Returns {status, epoch, seq, messages, kind, first, records...}
-- where first is the seq of the first record given: 1 the position holds, and records are the
-- first ones after it that the ring has (a hole between position and first is the archive's);
-- 2 the position is ahead of what survived, seq is how far it holds; 3 reconcile the room first;
-- 4 no such room.
redis.register_function{ function_name = 'resume_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local epoch, run = fence(keys[1])
    if not epoch then return need_epoch(run) end
    local stored = redis.call('HMGET', keys[2], 's', 'n', 'e', 'h', 'k')
    if not stored[1] then return { 4, epoch, 0, 0, '', 0 } end
    if tonumber(stored[3]) ~= epoch then return { 3, epoch, 0, 0, '', 0 } end
    local seq, kind = tonumber(stored[1]), stored[5] or 'channel'
    local reader_epoch, reader_seq, most = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
    local valid = seq
    if reader_epoch ~= 0 and reader_epoch ~= epoch then
      local known = false
      for its_epoch, start in string.gmatch(stored[4] or '', '(%d+):(%d+)') do
        its_epoch, start = tonumber(its_epoch), tonumber(start)
        if its_epoch > reader_epoch then valid = math.min(valid, start) end
        if its_epoch <= reader_epoch then known = true end
      end
      -- An epoch from before all that is remembered, or from after this one, proves nothing.
      if reader_epoch > epoch or not known then valid = -1 end
    end
    if reader_seq > valid then return { 2, epoch, math.max(valid, 0), tonumber(stored[2]), kind, 0 } end
    local length = redis.call('LLEN', keys[3])
    local first = math.max(reader_seq + 1, seq - length + 1)
    local result = { 1, epoch, seq, tonumber(stored[2]), kind, first }
    local give = math.min(seq - first + 1, most)
    if give > 0 then
      local from = length - (seq - first + 1)
      local records = redis.call('LRANGE', keys[3], from, from + give - 1)
      for at = 1, #records do result[6 + at] = records[at] end
    end
    return result
  end }
