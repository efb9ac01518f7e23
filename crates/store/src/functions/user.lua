-- create_user: makes an account, once.
-- KEYS: 1 user:{u}:<user>   ARGV: 1 profile record, 2 hash of the password or ''
-- Promises: all of it or, if the name is taken, none of it. A user whom a host vouched for keeps
-- having no password, so nobody becomes that user by registering the name. Returns 1 if made.
redis.register_function('create_user_@V@', function(keys, args)
  if redis.call('HSETNX', keys[1], 'profile', args[1]) == 0 then return 0 end
  if args[2] ~= '' then redis.call('HSET', keys[1], 'password', args[2]) end
  return 1
end)

-- change_password: replaces a password and forgets the user's tokens.
-- KEYS: 1 user:{u}:<user>, 2 tokens:{u}:<user>
-- ARGV: 1 the hash that was verified, 2 the new one, 3 digest of the token to keep
-- Promises: nothing happens if the password is another by now. Returns 1 if done.
redis.register_function('change_password_@V@', function(keys, args)
  if redis.call('HGET', keys[1], 'password') ~= args[1] then return 0 end
  redis.call('HSET', keys[1], 'password', args[2])
  for _, digest in ipairs(redis.call('HKEYS', keys[2])) do
    if digest ~= args[3] then redis.call('HDEL', keys[2], digest) end
  end
  return 1
end)

-- add_token: remembers a token.
-- KEYS: 1 user:{u}:<user>, 2 tokens:{u}:<user>
-- ARGV: 1 the password's hash that was verified, 2 digest, 3 token record, 4 when it expires (ms),
--       5 most tokens of a user, 6 how long an expired one is still known as such (ms)
-- Promises: no token for a password that was changed meanwhile; tokens that expired long ago go,
-- and so do those that expire first when there are too many. Returns 1 if remembered.
redis.register_function('add_token_@V@', function(keys, args)
  if redis.call('HGET', keys[1], 'password') ~= args[1] then return 0 end
  redis.call('HSET', keys[2], args[2], args[3])
  local oldest, kept = now() - tonumber(args[6]), {}
  local stored = redis.call('HGETALL', keys[2])
  for at = 1, #stored, 2 do
    local expires = cmsgpack.unpack(stored[at + 1])[3]
    if expires < oldest then
      redis.call('HDEL', keys[2], stored[at])
    else
      kept[#kept + 1] = { expires, stored[at] }
    end
  end
  if #kept > tonumber(args[5]) then
    table.sort(kept, function(one, other) return one[1] < other[1] end)
    for at = 1, #kept - tonumber(args[5]) do redis.call('HDEL', keys[2], kept[at][2]) end
  end
  -- The hash goes with the last of its tokens.
  local last = tonumber(args[4]) + tonumber(args[6])
  if redis.call('PTTL', keys[2]) < 0 then
    redis.call('PEXPIREAT', keys[2], last)
  else
    redis.call('PEXPIREAT', keys[2], last, 'GT')
  end
  return 1
end)
