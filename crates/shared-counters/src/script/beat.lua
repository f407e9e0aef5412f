-- A sign of life. Says whether the epoch still stands, and which leases somebody is in want of.
-- ARGV: namespace, epoch, replica, instance.
local ns, epoch, replica, instance = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', ns .. ':epoch', 'id') ~= epoch then return {'EPOCH'} end
local seen = redis.call('HGET', ns .. ':instances', replica)
if seen and string.match(seen, '^%d+ (.+)$') ~= instance then return {'TAKEN'} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', ns .. ':instances', replica, string.format('%d %s', now, instance))
local reply = {'OK', redis.call('SCARD', ns .. ':reported')}
for _, key in ipairs(redis.call('HKEYS', ns .. ':hungry')) do reply[#reply + 1] = key end
return reply
