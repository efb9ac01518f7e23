-- keep_order: keeps an order to all gateways for those that do not hear it when it is given.
-- KEYS: 1 orders   ARGV: 1 the order, 2 about how many to keep
-- Promises: ids grow, and begin with this server's time in ms. Goes on when memory is full: what is
-- kept is bounded, and somebody may be put out to make room. Returns the id.
redis.register_function{ function_name = 'keep_order_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    return redis.call('XADD', keys[1], 'MAXLEN', '~', args[2], '*', 'o', args[1])
  end }
