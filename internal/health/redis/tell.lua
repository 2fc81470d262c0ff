-- Puts the summary of a replica among those of the others, forgets whoever has told nothing for a time, and returns what
-- is left of the others: age in milliseconds and summary, in turn. The reply begins with the call.
local told, when = KEYS[1], KEYS[2]
local call, id, summary, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('HSET', told, id, summary)
redis.call('ZADD', when, now, id)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', when, '-inf', '(' .. (now - keep))) do
  redis.call('HDEL', told, gone)
  redis.call('ZREM', when, gone)
end
redis.call('PEXPIRE', told, keep)
redis.call('PEXPIRE', when, keep)
local reply = {call}
local ids = redis.call('ZREVRANGE', when, 0, tonumber(ARGV[5]), 'WITHSCORES')
for i = 1, #ids, 2 do
  if ids[i] ~= id then
    local s = redis.call('HGET', told, ids[i])
    if s then
      reply[#reply + 1] = tostring(math.max(0, now - tonumber(ids[i + 1])))
      reply[#reply + 1] = s
    end
  end
end
return reply
