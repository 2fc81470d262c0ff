-- KEYS meta records due index budget1..n
-- ARGV epoch id hold force, then for each budget: bid limit amount kind a b c
local meta, rsv, due, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, hold, force = ARGV[2], int(ARGV[3]), ARGV[4] == '1'
local e = stale(force)
if e then return e end
local prev = redis.call('HGET', rsv, id)
if prev then return {'DUP', id, prev, seq()} end
local now, n = clock(), #KEYS - 4
if not hold or hold == 0 or #ARGV ~= 4 + 7 * n then return {'ARG', id, '0'} end

local take, seen = {}, {}
for i = 1, n do
  local key, p = KEYS[4 + i], 4 + (i - 1) * 7
  local bid, lim, amt, kind = ARGV[p + 1], int(ARGV[p + 2]), int(ARGV[p + 3]), ARGV[p + 4]
  local a, b, c = int(ARGV[p + 5]), int(ARGV[p + 6]), int(ARGV[p + 7])
  if not named(key, bid) or seen[bid] or not lim or not amt or not a or not b or not c or odd(kind, a, b, c) then return {'ARG', id, fmt(i)} end
  seen[bid] = true
  local h = redis.call('HMGET', key, 'ws', 'cu', 'pu', 'r', 'ln')
  local ws, cu, pu, r = tonumber(h[1] or nil), tonumber(h[2] or '0'), tonumber(h[3] or '0'), tonumber(h[4] or '0')
  local t = {key = key, bid = bid, kind = kind, amt = amt, fresh = not ws, ln = h[5], w = 0, wait = 0}
  take[i] = t
  if kind == 'P' then -- generic cell rate algorithm in microseconds; ws is the theoretical arrival time
    local us = now * 1000
    local from = math.max(ws or 0, us)
    local left = math.max(0, math.floor((b - (from - us)) / a))
    if amt > left then
      t.wait = math.max(1, math.ceil((math.min(amt, math.floor(b / a)) * a + from - us - b) / 1000))
      if not force and lim < MAX then return {'DENY', id, fmt(i), fmt(left), fmt(t.wait)} end
      t.ws = from
    else t.ws = from + amt * a end
    if force then t.ws = ws end -- it was counted when it was admitted
    local at = math.max(t.ws or 0, us)
    t.show, t.reset = math.max(0, math.floor((b - (at - us)) / a)), math.max(0, (t.ws or 0) - us)
    if force then t.wait = 0 end
  else
    local w, off = window(kind, a, b, c, ws, now)
    if not w then return {off, id, fmt(i), fmt(now)} end
    if ws and w > ws then
      if kind == 'S' and w == ws + a then pu = cu else pu = 0 end
      cu = 0
    end
    local full, reset = cu + r, 0
    if kind == 'S' then
      local gone = math.max(0, (now - w) / a)
      full = full + math.ceil(pu * (1 - gone))
      reset = w + a - now
    elseif kind == 'F' then reset = w + a - now
    elseif kind == 'C' then reset = ((w == a) and b or c) - now end
    reset = math.max(0, reset)
    if not force and full + amt > lim then return {'DENY', id, fmt(i), fmt(math.max(0, lim - full)), fmt(reset)} end
    if r + amt > MAX then return {'ARG', id, fmt(i)} end
    t.w, t.ws, t.cu, t.pu, t.r, t.a, t.c, t.show, t.reset = w, w, cu, pu, r + amt, a, c, full + amt, reset
  end
end

local rec, out = '1P', {'OK', id, '', '', fmt(now)}
for i = 1, n do
  local t = take[i]
  if t.kind == 'P' then
    if t.ws then redis.call('HSET', t.key, 'ws', fmt(t.ws)) end
    redis.call('PEXPIRE', t.key, fmt(math.min(math.ceil(t.reset / 1000) + 60000, 366 * DAY)))
  else
    redis.call('HSET', t.key, 'ws', fmt(t.ws), 'cu', fmt(t.cu), 'pu', fmt(t.pu), 'r', fmt(t.r))
    if t.kind == 'S' and not t.ln then redis.call('HSET', t.key, 'ln', fmt(t.a)) end
    stay(t.key, t.kind, t.a, t.c, t.r, now)
  end
  if t.fresh then redis.call('SADD', index, t.bid) end
  rec = rec .. '|' .. t.bid .. ',' .. t.kind .. ',' .. fmt(t.amt) .. ',' .. fmt(t.w)
  out[#out + 1], out[#out + 2], out[#out + 3] = fmt(t.show), fmt(t.reset), fmt(t.wait)
end
redis.call('HSET', rsv, id, rec)
redis.call('ZADD', due, fmt(now + hold), id)
out[3], out[4] = rec, fmt(redis.call('HINCRBY', meta, 'seq', 1))
return out
