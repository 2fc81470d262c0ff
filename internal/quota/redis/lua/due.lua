-- KEYS meta records due   ARGV epoch call most   forgets what ended and is due; returns what is open and due
local e = stale(true)
if e then return e end
local most, now, out, k = int(ARGV[3]), clock(), {'OK', ARGV[2], '0'}, 0
if not most or most == 0 then return {'ARG', ARGV[2], '0'} end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', fmt(now), 'LIMIT', 0, most)) do
  local rec = redis.call('HGET', KEYS[2], id)
  if rec and rec:sub(2, 2) == 'P' then
    out[#out + 1], out[#out + 2] = id, rec
  else
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    k = k + 1
  end
end
out[3] = fmt(k)
return out
