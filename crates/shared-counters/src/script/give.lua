-- A replica says what it still holds of one counter in one slot, which is less than before.
-- ARGV: namespace, epoch, replica, amount. KEYS: the slot's lease.
local ns, epoch, replica, amount = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HGET', ns .. ':epoch', 'id') ~= epoch then return {'EPOCH'} end
local mine = tonumber(redis.call('HGET', KEYS[1], replica) or '0')
if amount >= mine then return {'OK'} end
if amount > 0 then
  redis.call('HSET', KEYS[1], replica, string.format('%d', amount))
else
  redis.call('HDEL', KEYS[1], replica)
  redis.call('SREM', ns .. ':mine:' .. replica, KEYS[1])
end
return {'OK'}
