-- KEYS: the entry. ARGV: address, holder, lease in ms.
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[2] then return {ARGV[1], '0'} end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {ARGV[1], '1'}
