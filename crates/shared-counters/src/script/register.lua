-- A replica says that it lives and what it holds. Begins a new epoch when the server may have forgotten something.
-- ARGV: namespace, run id of the server, id for a new epoch, replica, instance, milliseconds after which another
--       instance is presumed dead, then for each lease: key, amount, expiry (Unix milliseconds).
local ns, run, fresh, replica, instance, dead = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local seen = redis.call('HGET', ns .. ':instances', replica)
if seen then
  local at, who = string.match(seen, '^(%d+) (.+)$')
  if who ~= instance and now - tonumber(at) < dead then return {'TAKEN'} end
end
redis.call('HSET', ns .. ':instances', replica, string.format('%d %s', now, instance))

local epoch = redis.call('HGET', ns .. ':epoch', 'id')
if not epoch or redis.call('HGET', ns .. ':epoch', 'run') ~= run then
  epoch = fresh
  redis.call('HSET', ns .. ':epoch', 'id', epoch, 'run', run, 'born', now)
  redis.call('DEL', ns .. ':reported')
end

-- What this replica held before and does not name now goes back.
local mine = ns .. ':mine:' .. replica
for _, key in ipairs(redis.call('SMEMBERS', mine)) do redis.call('HDEL', key, replica) end
redis.call('DEL', mine)
for i = 7, #ARGV, 3 do
  local key, amount, expiry = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if amount > 0 and expiry > now then
    redis.call('HSET', key, replica, string.format('%d', amount))
    redis.call('PEXPIREAT', key, expiry)
    redis.call('SADD', mine, key)
  end
end
redis.call('SADD', ns .. ':reported', replica)
return {'OK', epoch}
