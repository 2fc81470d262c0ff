-- Gives a replica the turn for a time, if it has it already or nobody does. The reply begins with the call; behind it is 0, or
-- for how many milliseconds another has the turn.
local call, id, keep = ARGV[1], ARGV[2], ARGV[3]
local who = redis.call('GET', KEYS[1])
if who and who ~= id then
  return {call, tostring(math.max(1, redis.call('PTTL', KEYS[1])))}
end
redis.call('SET', KEYS[1], id, 'PX', keep)
return {call, '0'}
