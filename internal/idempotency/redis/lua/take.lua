-- KEYS: the entry. ARGV: address, print, holder, lease in ms. A call that is sent again finds what it took itself.
local e = redis.call('HMGET', KEYS[1], 'p', 'v', 'h')
if e[2] then return {ARGV[1], 'ended', e[1], e[2]} end
if e[1] and e[3] ~= ARGV[3] then return {ARGV[1], 'runs', e[1]} end
redis.call('HSET', KEYS[1], 'p', ARGV[2], 'h', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {ARGV[1], 'taken'}
