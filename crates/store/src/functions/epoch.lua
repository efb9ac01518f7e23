-- install_epoch: makes an epoch that the archive allocated the current one for this reign.
-- KEYS: 1 epoch:{p}   ARGV: 1 the epoch, 2 the reign it was allocated for, with the claim if it was
-- made under one (`<reign>-<claim>`)
-- Promises: an epoch never goes back. Returns the epoch that is current afterwards.
redis.register_function{ function_name = 'install_epoch_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local run = reign()
    local wanted_run, claim = string.match(args[2], '^(%x*)%-?(%w*)$')
    local stored = redis.call('HMGET', keys[1], 'run', 'epoch', 'claim')
    if run ~= wanted_run or (claim ~= '' and claim ~= stored[3]) then return need_epoch(run) end
    local wanted = tonumber(args[1])
    if stored[2] and wanted < tonumber(stored[2]) then
      return redis.error_reply('STALEEPOCH ' .. stored[2])
    end
    redis.call('HSET', keys[1], 'run', run, 'epoch', wanted)
    return wanted
  end }

-- claim_epoch: under which name the archive is to be asked for an epoch of this reign.
-- KEYS: 1 epoch:{p}   ARGV: 1 a random word
-- Promises: the same name to all who ask, until somebody empties the server: a Redis that has
-- forgotten everything while it was running must not get the epoch back in which it gave the same
-- sequences to other events. Returns `<reign>-<claim>`.
redis.register_function{ function_name = 'claim_epoch_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    redis.call('HSETNX', keys[1], 'claim', args[1])
    return reign() .. '-' .. redis.call('HGET', keys[1], 'claim')
  end }

-- beat_epoch: a write that only shows how far the replicas are.
-- KEYS: 1 epoch:{p}   ARGV: 1 the epoch
-- Promises: whoever hears of an epoch that is still this one's, on the connection on which replicas
-- are then waited for, has waited for all that was written in the epoch before. Returns the epoch.
redis.register_function{ function_name = 'beat_epoch_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local epoch, run = fence(keys[1])
    if not epoch then return need_epoch(run) end
    if epoch ~= tonumber(args[1]) then return redis.error_reply('STALEEPOCH ' .. epoch) end
    redis.call('HINCRBY', keys[1], 'beats', 1)
    return epoch
  end }

-- fenced_epoch: whether the partition has an epoch of this reign.
-- KEYS: 1 epoch:{p}   ARGV: none
-- Returns the epoch.
redis.register_function{ function_name = 'fenced_epoch_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local epoch, run = fence(keys[1])
    return epoch or need_epoch(run)
  end }
