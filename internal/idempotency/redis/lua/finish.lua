-- KEYS: the entry. ARGV: address, print, holder, answer, how long it is kept in ms. An entry with an answer has no holder;
-- a call that is sent again finds its own answer.
local e = redis.call('HMGET', KEYS[1], 'h', 'v')
if e[2] == ARGV[4] then return {ARGV[1], '1'} end
if e[2] or e[1] and e[1] ~= ARGV[3] then return {ARGV[1], '0'} end
redis.call('HDEL', KEYS[1], 'h')
redis.call('HSET', KEYS[1], 'p', ARGV[2], 'v', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {ARGV[1], '1'}
