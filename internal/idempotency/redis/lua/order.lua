-- KEYS: order, bytes of all. ARGV: "address size", size, when it expires and now in Unix ms, most bytes. It returns what
-- has to go, which is not among the keys: another node of a cluster may have it.
local function size(member) return tonumber(member:match(' (%d+)$')) or 0 end
local all = tonumber(redis.call('GET', KEYS[2]) or '0') + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[1], m)
  all = all - size(m)
end
local gone = {}
while all > tonumber(ARGV[5]) do
  local m = redis.call('ZPOPMIN', KEYS[1])[1]
  if not m then break end
  all = all - size(m)
  gone[#gone + 1] = m
end
if redis.call('ZCARD', KEYS[1]) == 0 then all = 0 end
redis.call('SET', KEYS[2], string.format('%.0f', math.max(all, 0)))
local keep = tonumber(ARGV[3]) - tonumber(ARGV[4])
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], ARGV[3] - ARGV[4]) end
end
return gone
