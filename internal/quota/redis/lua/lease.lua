-- KEYS meta records due index budget1..n
-- ARGV epoch id keep born, then for each budget: bid kind a b c over, then for each exchange: id state hold amount1..n
-- ends a lease by what its exchanges used; those that still run (P) become reservations of their own. An exchange that is
-- known already was told otherwise, and changes nothing.
local function left(s) -- of the time of an exchange: a whole number, below 0 where it is overdue
  if s:sub(1, 1) ~= '-' then return int(s) end
  local v = int(s:sub(2))
  return v and 0 - v
end
local meta, rsv, due, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, keep, born, n = ARGV[2], int(ARGV[3]), int(ARGV[4]), #KEYS - 4
local e = stale(true)
if e then return e end
local rec, now = redis.call('HGET', rsv, id), clock()
local first = 4 + 6 * n
local m = (#ARGV - first) / (3 + n)
if not keep or not born or m < 0 or m ~= math.floor(m) then return {'ARG', id, '0'} end
local s = rec and rec:sub(2, 2) or 'N'
if s == 'S' or s == 'V' then return {'DONE', id, s, seq()} end
if s == 'N' and born < now - keep then return {'OLD', id, s, seq()} end

local old, k = {}, 0
if rec then
  for bid, kind, amt, w in rec:sub(3):gmatch('|([^,|]+),([^,|]+),([^,|]+),([^,|]+)') do
    k = k + 1
    old[k] = {bid = bid, kind = kind, amt = tonumber(amt), w = tonumber(w)}
  end
  if k ~= n then return {'ARG', id, '0'} end
end
local all, seen = {}, {}
for i = 1, n do -- everything is checked before anything is written
  local key, p = KEYS[4 + i], 4 + (i - 1) * 6
  local bid, kind, a, b, c, over = ARGV[p + 1], ARGV[p + 2], int(ARGV[p + 3]), int(ARGV[p + 4]), int(ARGV[p + 5]), int(ARGV[p + 6])
  if not named(key, bid) or seen[bid] or not a or not b or not c or not over or odd(kind, a, b, c) then return {'ARG', id, fmt(i)} end
  seen[bid] = true
  if rec and (old[i].bid ~= bid or old[i].kind ~= kind) then return {'ARG', id, fmt(i)} end
  local ws = tonumber(redis.call('HGET', key, 'ws') or nil)
  local w, off
  if rec then w = old[i].w else w, off = window(kind, a, b, c, ws, now) end
  if not w then return {off, id, fmt(i), fmt(now)} end
  all[i] = {key = key, bid = bid, kind = kind, a = a, c = c, w = w, ws = ws, over = over, used = 0, open = 0}
end
local records, dues, out = {}, {}, {'OK', id, s, ''}
for j = 1, m do
  local p = first + (j - 1) * (3 + n)
  local did, state, hold = ARGV[p + 1], ARGV[p + 2], left(ARGV[p + 3])
  if not hold or #state ~= 1 or not ('SVP'):find(state, 1, true) then return {'ARG', id, 'x' .. fmt(j)} end
  local prev = redis.call('HGET', rsv, did)
  if records[did] then prev = '1' .. state end
  out[4 + j] = prev and prev:sub(2, 2) or 'N'
  if not prev then
    local r = '1' .. state
    for i = 1, n do
      local t, v = all[i], int(ARGV[p + 3 + i])
      if not v then return {'ARG', id, 'x' .. fmt(j)} end
      if state == 'S' then t.used = t.used + v
      elseif state == 'P' then
        t.open = t.open + v
        r = r .. '|' .. t.bid .. ',' .. t.kind .. ',' .. fmt(v) .. ',' .. fmt(t.w)
      end
      if t.used > MAX or t.open > MAX then return {'ARG', id, 'x' .. fmt(j)} end
    end
    if state ~= 'P' then hold = keep end
    records[did] = r
    dues[#dues + 1], dues[#dues + 2] = fmt(now + hold), did
  end
end

for i = 1, n do
  local t = all[i]
  local key, kind, w, ws = t.key, t.kind, t.w, t.ws
  if kind ~= 'P' then
    if not ws then
      redis.call('HSET', key, 'ws', fmt(w))
      if kind == 'S' then redis.call('HSET', key, 'ln', fmt(t.a)) end
      redis.call('SADD', index, t.bid)
    end
    local r = add(key, 'r', t.open - ((s == 'P' and ws) and old[i].amt or 0))
    if kind ~= 'G' then
      charge(key, kind, t.a, w, ws or w, t.used - ((s == 'X') and old[i].amt or 0))
      if t.over > 0 then redis.call('HINCRBY', key, 'over', fmt(t.over)) end
    end
    stay(key, kind, t.a, t.c, r, now)
  end
end
for did, r in pairs(records) do redis.call('HSET', rsv, did, r) end
for j = 1, #dues, 2 do redis.call('ZADD', due, dues[j], dues[j + 1]) end
redis.call('HSET', rsv, id, '1S')
redis.call('ZADD', due, fmt(now + keep), id)
out[4] = fmt(redis.call('HINCRBY', meta, 'seq', 1))
return out
