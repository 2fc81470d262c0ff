-- Keeps what an answer says of its usage, without reading the answer: the bytes of its beginning and of its end, from the
-- line on in which usage is first stated. Signalbox finds them in the log entry of the request and reads them by the rules
-- of their dialect. For each piece of an answer this only stores a string.
collectgarbage("setpause", 1000) -- what is kept lives for one answer: collecting later costs less, and a few MB for each worker

local NAMESPACE = "signalbox.usage"
local KEEP = 4096 -- bytes at either end
local FIRST, MOST = 4, 32 -- pieces until they are joined, at first and later
local MARK = '"usage%a*"%s*:%s*{' -- text of a model has its quotes escaped, and a member that is null says nothing

local concat, find, gsub, sub = table.concat, string.find, string.gsub, string.sub

local function say(handle, name, bytes)
  local at = find(bytes, MARK)
  if not at or name == "head" and not find(bytes, "\n", at, true) then
    return false
  end
  local line = 1
  while true do
    local feed = find(bytes, "\n", line, true)
    if not feed or feed > at then
      break
    end
    line = feed + 1
  end
  bytes = sub(bytes, line)
  if find(bytes, "[%z\128-\255]") then -- what is cut may be no UTF-8
    bytes = gsub(bytes, "[%z\128-\255]", "?")
  end
  handle:streamInfo():dynamicMetadata():set(NAMESPACE, name, bytes)
  return true
end

-- An attempt that failed may have left something.
local function forget(handle)
  local held = handle:streamInfo():dynamicMetadata()
  if held:get(NAMESPACE) then
    held:set(NAMESPACE, "head", "")
    held:set(NAMESPACE, "tail", "")
  end
end

function envoy_on_response(handle)
  forget(handle)
  local parts, n, most, said = {}, 0, FIRST, false
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    n = n + 1
    if length > KEEP and n > 1 then
      parts[n] = chunk:getBytes(length - KEEP, KEEP)
    else
      parts[n] = chunk:getBytes(0, length)
    end
    if n == 1 and most == FIRST then -- now: an answer that is cut comes to no end
      said = say(handle, "head", sub(parts[1], 1, KEEP))
    elseif n == most then
      local bytes = concat(parts, "", 1, n)
      said = said or most == FIRST and say(handle, "head", sub(bytes, 1, KEEP))
      parts[1], n, most = sub(bytes, -KEEP), 1, MOST
    end
  end
  local bytes = concat(parts, "", 1, n)
  if not said and most == FIRST and #bytes > KEEP then
    say(handle, "head", sub(bytes, 1, KEEP))
  end
  say(handle, "tail", sub(bytes, -KEEP))
end
