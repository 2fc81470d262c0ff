-- KEYS meta records due index budget1..n
-- ARGV epoch id mode keep born, then for each budget: bid actual kind a b c
-- mode: S the truth, V nothing was used, X expiry (amounts and lengths are those on record)
local meta, rsv, due, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, mode, keep, born = ARGV[2], ARGV[3], int(ARGV[4]), int(ARGV[5])
local e = stale(true)
if e then return e end
local rec, now, n = redis.call('HGET', rsv, id), clock(), #KEYS - 4
if not keep or not born or #ARGV ~= 5 + 6 * n or #mode ~= 1 or not ('SVX'):find(mode, 1, true) then return {'ARG', id, '0'} end
local s = rec and rec:sub(2, 2) or 'N'
if s == 'S' or s == 'V' or s == 'X' and mode ~= 'S' then return {'DONE', id, s, seq()} end
if s == 'N' then
  if mode ~= 'S' then return {'NONE', id, s, seq()} end
  if born < now - keep then return {'OLD', id, s, seq()} end -- whether it was settled may be forgotten: the ledger decides
end
if mode == 'X' and tonumber(redis.call('ZSCORE', due, id) or '0') > now then return {'LIVE', id, s, seq()} end

local old, k = {}, 0
if rec then
  for bid, kind, amt, w in rec:sub(3):gmatch('|([^,|]+),([^,|]+),([^,|]+),([^,|]+)') do
    k = k + 1
    old[k] = {bid = bid, kind = kind, amt = tonumber(amt), w = tonumber(w)}
  end
  if k ~= n then return {'ARG', id, '0'} end
end

local new, seen = {}, {}
for i = 1, n do -- everything is checked before anything is written
  local key, p = KEYS[4 + i], 5 + (i - 1) * 6
  local bid, act, kind, a, b, c = ARGV[p + 1], int(ARGV[p + 2]), ARGV[p + 3], int(ARGV[p + 4]), int(ARGV[p + 5]), int(ARGV[p + 6])
  if not named(key, bid) or seen[bid] or not act or not a or not b or not c or odd(kind, a, b, c) then return {'ARG', id, fmt(i)} end
  seen[bid] = true
  if rec and (old[i].bid ~= bid or old[i].kind ~= kind) then return {'ARG', id, fmt(i)} end
  local h = redis.call('HMGET', key, 'ws', 'ln')
  local ws = tonumber(h[1] or nil)
  if mode == 'X' and kind == 'S' then a = tonumber(h[2] or nil) or a end
  local sure = mode ~= 'X' or kind == 'G' or kind == 'S' and h[2] -- of the window's bounds
  local w, off
  if rec then w = old[i].w else w, off = window(kind, a, b, c, ws, now) end
  if not w then return {off, id, fmt(i), fmt(now)} end
  if mode == 'V' then act = 0 elseif mode == 'X' then act = old[i].amt end
  new[i] = {key = key, bid = bid, kind = kind, act = act, w = w, ws = ws, a = a, c = c, sure = sure}
end

local out, over = '1' .. mode, '0'
for i = 1, n do
  local t = new[i]
  local key, kind, act, w, ws = t.key, t.kind, t.act, t.w, t.ws
  if kind ~= 'P' then
    local r = 0
    if s == 'P' and ws then r = add(key, 'r', 0 - old[i].amt)
    elseif s == 'N' then r = tonumber(redis.call('HGET', key, 'r') or '0') end
    if kind ~= 'G' then
      local d = act - ((s == 'X') and old[i].amt or 0) -- a late truth replaces the charge at expiry
      if not ws then
        redis.call('HSET', key, 'ws', fmt(w))
        if kind == 'S' then redis.call('HSET', key, 'ln', fmt(t.a)) end
        redis.call('SADD', index, t.bid)
        ws = w
      end
      charge(key, kind, t.a, w, ws, d)
      if s == 'P' and mode == 'S' and act > old[i].amt then
        over = '1'
        redis.call('HINCRBY', key, 'over', fmt(act - old[i].amt))
      end
    end
    if t.sure and (s == 'P' and r == 0 or s == 'N' or not t.ws) then stay(key, kind, t.a, t.c, r, now) end
  end
  out = out .. '|' .. t.bid .. ',' .. kind .. ',' .. fmt(act) .. ',' .. fmt(w)
end
redis.call('HSET', rsv, id, out)
redis.call('ZADD', due, fmt(now + keep), id)
return {'OK', id, s, fmt(redis.call('HINCRBY', meta, 'seq', 1)), over}
