-- change_member: somebody comes into a room or goes out of it.
-- KEYS: 1 epoch:{p}, 2 log:{p}, 3 room, 4 history, 5 members, 6 read, 7 channel, 8 roster
-- ARGV: 1 room id, 2 change (joined, invited, left, removed), 3 the user it is about, 4 role,
--       5 who does it, 6 tail of the event, 7 who becomes the owner by it ('' if nobody), 8 tail of
--       the event that tells of that
-- Promises: the membership and the events that tell of it change together. A room with members
-- has an owner: when the owner goes, the admin, or else the member, who is there longest becomes it;
-- so does whoever comes into a room that everybody has left. Returns {status, seq}: 1 done, 2 was so
-- already, 3 reconcile the room first, 4 no such room for this actor, 5 this kind of room does not
-- allow it; or {6, 0, user}: call again with this user as ARGV 7.

-- More members than this have a roster: the same users once more, by name, for reading pages.
local ROSTER = 512

-- The role and the sequence of joining in a member record.
local function read_member(record)
  local _, _, role, _, joined = struct.unpack('>BBBBI8', record)
  return role, joined
end

-- Who becomes the owner when `leaver` goes; '' if nobody has to.
local function heir_of(members, leaver)
  local stored = redis.call('HGETALL', members)
  local heir, heirs_role, heirs_joined = '', 0, 0
  for at = 1, #stored, 2 do
    local role, joined = read_member(stored[at + 1])
    if stored[at] == leaver then
      if role < 3 then return '' end
    elseif role == 3 then
      return ''
    elseif role > heirs_role or (role == heirs_role and joined < heirs_joined) then
      heir, heirs_role, heirs_joined = stored[at], role, joined
    end
  end
  return heir
end

local function make_roster(members, roster)
  local users = redis.call('HKEYS', members)
  redis.call('DEL', roster)
  for at = 1, #users do redis.call('ZADD', roster, 0, users[at]) end
end

-- Has the roster follow a change of the members.
local function follow(members, roster, user, is_member)
  local count = redis.call('HLEN', members)
  if count <= ROSTER then
    redis.call('DEL', roster)
  elseif redis.call('EXISTS', roster) == 0 then
    make_roster(members, roster)
  elseif is_member then
    redis.call('ZADD', roster, 0, user)
  else
    redis.call('ZREM', roster, user)
  end
end

redis.register_function('change_member_@V@', function(keys, args)
  local epoch, run = fence(keys[1])
  if not epoch then return need_epoch(run) end
  local state, why = open_room(keys[3], epoch)
  if not state then return { why == 'missing' and 4 or 3, 0 } end
  local change, user, actor = args[2], args[3], args[5]
  local kind, record = redis.call('HGET', keys[3], 'k'), redis.call('HGET', keys[5], user)
  local is_member, heir = record ~= false, ''
  if change == 'joined' then
    if is_member then return { 2, state[1] } end
    if kind ~= 'open' then return { 4, 0 } end
    if redis.call('HLEN', keys[5]) == 0 then heir = user end
  else
    if actor ~= '' and redis.call('HEXISTS', keys[5], actor) == 0 then return { 4, 0 } end
    if kind ~= 'open' and kind ~= 'group' then return { 5, 0 } end
    if (change == 'invited') == is_member then return { 2, state[1] } end
    if is_member and read_member(record) == 3 then heir = heir_of(keys[5], user) end
  end
  if heir ~= args[7] then return { 6, 0, heir } end
  local time = now()
  write(keys[2], keys[3], keys[4], keys[7], args[1], epoch, time, state, 0, args[6], RING)
  if is_member then
    redis.call('HDEL', keys[5], user)
    redis.call('ZREM', keys[6], user)
  else
    redis.call('HSET', keys[5], user, member_record(tonumber(args[4]), state[1]))
    redis.call('ZADD', keys[6], state[1], user)
  end
  follow(keys[5], keys[8], user, not is_member)
  local seq = state[1]
  if heir ~= '' then
    local _, joined = read_member(redis.call('HGET', keys[5], heir))
    write(keys[2], keys[3], keys[4], keys[7], args[1], epoch, time, state, 0, args[8], RING)
    redis.call('HSET', keys[5], heir, member_record(3, joined))
  end
  return { 1, seq }
end)

-- members_page: some members of a room by name, from one on.
-- KEYS: 1 members, 2 roster   ARGV: 1 the user after whom to begin ('' for the first), 2 how many
-- Promises: reads the page alone, or a room that is small. Returns {1, user, record, ...}: all
-- members in no order; {2, user, record, ...}: those asked for in order; {3}: make the roster first.
redis.register_function{ function_name = 'members_page_@V@', flags = { 'no-writes' },
  callback = function(keys, args)
    local count = redis.call('HLEN', keys[1])
    if count <= ROSTER then
      local all = redis.call('HGETALL', keys[1])
      table.insert(all, 1, 1)
      return all
    end
    if redis.call('ZCARD', keys[2]) ~= count then return { 3 } end
    local from = args[1] == '' and '-' or '(' .. args[1]
    local users = redis.call('ZRANGEBYLEX', keys[2], from, '+', 'LIMIT', 0, args[2])
    local page = { 2 }
    for at = 1, #users do
      local record = redis.call('HGET', keys[1], users[at])
      if not record then return { 3 } end
      page[2 * at], page[2 * at + 1] = users[at], record
    end
    return page
  end }

-- make_roster: makes the roster what the members are.
-- KEYS: 1 members, 2 roster   ARGV: none
redis.register_function{ function_name = 'make_roster_@V@', flags = { 'allow-oom' },
  callback = function(keys)
    make_roster(keys[1], keys[2])
    return redis.call('ZCARD', keys[2])
  end }

-- touch_room: puts a room into a user's list, or moves it up in it.
-- KEYS: 1 rooms:{u}:<user>   ARGV: 1 room, 2 time in ms
-- Promises: never moves it down. Goes on when memory is full: what is in the logs must be done
-- before it can be trimmed. Returns 1 if it is new in the list.
redis.register_function{ function_name = 'touch_room_@V@', flags = { 'allow-oom' },
  callback = function(keys, args)
    return redis.call('ZADD', keys[1], 'GT', args[2], args[1])
  end }
