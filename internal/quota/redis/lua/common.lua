-- signalbox quota, format 1. Amounts and times are decimal strings on the way in and out: Redis and cjson print
-- large numbers in other forms, and tonumber takes nan, inf, 0x10 and 1e3.
local MAX = 9007199254740991 -- 2^53-1, the last whole number that a double holds exactly with all before it
local function int(s) -- 1 to 16 decimal digits up to MAX, nothing else
  if type(s) ~= 'string' or #s > 16 or not s:match('^%d+$') then return nil end
  local v = tonumber(s)
  if v > MAX then return nil end
  return v
end
local function fmt(v) return string.format('%.0f', v) end
local function clock() local t = redis.call('TIME'); return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) end
-- KINDS: F fixed, S sliding, C calendar, L life, G gauge, P pace
local function odd(kind, a, b, c)
  return #kind ~= 1 or not ('FSCLGP'):find(kind, 1, true)
    or (kind == 'F' or kind == 'S' or kind == 'P') and a == 0
    or kind == 'C' and not (a < b and b < c)
end
-- start of the window that holds now, never before ws, the last that was used: clocks may step back. nil and the reply's word
-- where the caller's calendar does not say: its clock is a whole window behind, or ahead, so that its window has not begun yet
local function window(kind, a, b, c, ws, now)
  local w
  if kind == 'C' then
    if now < a then return nil, 'AHEAD' end
    if now >= c then return nil, 'CLOCK' end
    w = (now >= b) and b or a
  elseif kind == 'F' or kind == 'S' then w = now - now % a
  else return 0 end
  if ws and w < ws then w = ws end
  return w
end
local function named(key, bid) return bid:match('^[a-z0-9_]+$') and key:sub(-#bid - 3) == ':b:' .. bid end
-- the epoch says that the counters are those that the caller knows; while they are put back only force may write
local function stale(force)
  local ep = redis.call('HGET', KEYS[1], 'ep')
  if ep ~= ARGV[1] or (not force and ep:sub(1, 2) == 'r:') then return {'EPOCH', ARGV[2], ep or ''} end
end
local function seq() return redis.call('HGET', KEYS[1], 'seq') or '0' end
-- a counter stays within 0 and MAX: one that was put back from a ledger that lags may hold less than is taken from it
local function add(key, field, d)
  local v = redis.call('HINCRBY', key, field, fmt(d))
  if v >= 0 and v <= MAX then return v end
  v = (v < 0) and 0 or MAX
  redis.call('HSET', key, field, fmt(v))
  return v
end
local DAY, OPEN = 86400000, 691200000 -- 8 days: an exchange may run for a week, and is touched as long
-- a counter goes by itself once it is past its last window and says nothing more; not as long as r of it is reserved, which
-- would then be missing from the windows to come. Life never ends.
local function stay(key, kind, a, c, r, now)
  local t
  if kind == 'F' or kind == 'S' then t = 2 * a + 60000
  elseif kind == 'C' and now < c then t = c - now + DAY -- of a caller whose calendar is behind nobody knows
  elseif kind == 'G' then t = DAY
  else return end
  if r > 0 then t = t + OPEN end
  redis.call('PEXPIRE', key, fmt(math.min(t, 366 * DAY)))
end
-- charges to the window w of a counter whose window is ws; a is the length of a sliding one
local function charge(key, kind, a, w, ws, d)
  if w == ws then add(key, 'cu', d)
  elseif kind == 'S' and ws == w + a then add(key, 'pu', d)
  elseif w > ws then -- a debit without a reservation, in a newer window
    local cu = redis.call('HGET', key, 'cu') or '0'
    redis.call('HSET', key, 'ws', fmt(w), 'cu', fmt(math.max(0, d)), 'pu', (kind == 'S' and w == ws + a) and cu or '0')
  else redis.call('HINCRBY', key, 'late', fmt(d)) end -- its window is over: only the ledger has it
end
