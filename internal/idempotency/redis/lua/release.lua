-- KEYS: the entry. ARGV: address, holder.
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[2] then return {ARGV[1], '0'} end
redis.call('DEL', KEYS[1])
return {ARGV[1], '1'}
