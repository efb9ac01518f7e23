-- install_epoch: makes an epoch that the archive allocated the current one for this run.
-- KEYS: 1 epoch:{p}   ARGV: 1 the epoch, 2 the run id it was allocated for
-- Promises: an epoch never goes back. Returns the epoch that is current afterwards.
redis.register_function{ function_name = 'install_epoch_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    if run ~= args[2] then return need_epoch(run) end
    local stored = redis.call('HMGET', keys[1], 'run', 'epoch')
    local wanted = tonumber(args[1])
    if stored[2] and wanted < tonumber(stored[2]) then
      return redis.error_reply('STALEEPOCH ' .. stored[2])
    end
    redis.call('HSET', keys[1], 'run', run, 'epoch', wanted)
    return wanted
  end }
