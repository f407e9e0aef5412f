-- A replica asks for more of one counter in one slot of its window.
-- ARGV: namespace, epoch, replica, replicas, cap, what it has, what it needs at least, what it would like, when the
--       earliest window that counts here began, less what clocks may be apart (Unix ms), expiry of the lease (Unix ms).
-- KEYS: the slot's lease, then those of every slot that shares a window with it.
local ns, epoch, replica, replicas = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local cap, have, least, like = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local began, expiry = tonumber(ARGV[9]), tonumber(ARGV[10])

if redis.call('HGET', ns .. ':epoch', 'id') ~= epoch then return {'EPOCH'} end
local reported = redis.call('SCARD', ns .. ':reported')
if reported < replicas and tonumber(redis.call('HGET', ns .. ':epoch', 'born')) > began then
  return {'INCOMPLETE', reported}
end

-- What a window holds is counted over all slots that share one with this slot, earlier and later: never too little.
local taken = 0
for _, key in ipairs(KEYS) do
  for _, amount in ipairs(redis.call('HVALS', key)) do taken = taken + tonumber(amount) end
end
local mine = tonumber(redis.call('HGET', KEYS[1], replica) or '0')
-- What was granted before and the replica does not know of: its answer was lost, or its memory.
local unknown = math.max(mine - have, 0)
local base = math.max(mine, have)
local room = math.max(cap - (taken - mine + base), 0)
if unknown >= least then return {'OK', base, room} end
local missing = least - unknown
if room < missing then
  redis.call('HSET', ns .. ':hungry', KEYS[1], '1')
  redis.call('PEXPIRE', ns .. ':hungry', 5000)
  return {'OK', base, room}
end
-- A share of what is left, smaller the less that is, and never less than what is needed.
local slice = math.max(missing, like, math.floor(room / (8 * replicas)))
local total = base + math.min(slice, room)
redis.call('HSET', KEYS[1], replica, string.format('%d', total))
redis.call('PEXPIREAT', KEYS[1], expiry)
redis.call('SADD', ns .. ':mine:' .. replica, KEYS[1])
return {'OK', total, room - (total - base)}
