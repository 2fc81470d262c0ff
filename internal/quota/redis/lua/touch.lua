-- KEYS meta records due   ARGV epoch call hold id...   lets open reservations live on; returns those that are not open
local e = stale(true)
if e then return e end
local hold, now, out = int(ARGV[3]), clock(), {'OK', ARGV[2]}
if not hold or hold == 0 then return {'ARG', ARGV[2], '0'} end
for i = 4, #ARGV do
  local rec = redis.call('HGET', KEYS[2], ARGV[i])
  if rec and rec:sub(2, 2) == 'P' then redis.call('ZADD', KEYS[3], 'GT', fmt(now + hold), ARGV[i])
  else out[#out + 1] = ARGV[i] end
end
return out
