-- KEYS meta index budget1..n   ARGV epoch call budget1..n   forgets the names of counters that have gone
local e = stale(true)
if e then return e end
local k = 0
for i = 3, #KEYS do
  if not named(KEYS[i], ARGV[i]) then return {'ARG', ARGV[2], fmt(i - 2)} end
  if not redis.call('HGET', KEYS[i], 'ws') then
    redis.call('SREM', KEYS[2], ARGV[i])
    k = k + 1
  end
end
return {'OK', ARGV[2], fmt(k)}
