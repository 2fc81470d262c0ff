-- KEYS meta lock   ARGV from call to token   moves the epoch on, if it is still the one that the caller began with;
-- gives the lock back where a token is given
local ep = redis.call('HGET', KEYS[1], 'ep') or ''
if ep ~= ARGV[1] then return {'EPOCH', ARGV[2], ep} end
redis.call('HSET', KEYS[1], 'ep', ARGV[3])
if ARGV[4] ~= '' and redis.call('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end
return {'OK', ARGV[2], fmt(redis.call('HINCRBY', KEYS[1], 'seq', 1))}
