-- Keeps what an answer says of its usage, without reading the answer: the bytes of its beginning and of its end, from the
-- line on in which usage is first stated. Signalbox finds them in the log entry of the request and reads them by the rules
-- of their dialect. For each piece of an answer this only stores a string.
collectgarbage("setpause", 1000) -- what is kept lives for one answer: collecting later costs less, and a few MB for each worker

local NAMESPACE = "signalbox.usage"
local KEEP = 4096 -- bytes at either end
local FIRST, MOST = 4, 32 -- pieces until they are joined, at first and later; earlier where they are the beginning
local MARK = '"usage%a*"%s*:%s*{' -- text of a model has its quotes escaped, and a member that is null says nothing
local BILLED = '"billed_units"' -- where vectors and rankings of Cohere have no usage

local concat, find, gsub, sub = table.concat, string.find, string.gsub, string.sub

local function stated(bytes)
  local at = find(bytes, '"usage', 1, true)
  return at and find(bytes, MARK, at) or find(bytes, BILLED, 1, true)
end

local function say(handle, name, bytes, all)
  local at = stated(bytes)
  if not at or name == "head" and not all and not find(bytes, "\n", at, true) then
    return false
  end
  local line = 1
  while not all do
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

-- Of a document that is longer than what is kept of its end, the beginning is kept as it is; of a stream, whole lines.
local function begin(handle, bytes)
  local document = find(bytes, "^%s*{") ~= nil
  return not (document and #bytes <= KEEP) and say(handle, "head", sub(bytes, 1, KEEP), document)
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
  local parts, n, most, size = {}, 0, FIRST, 0
  local open = true -- the beginning is not kept yet, and nothing of it is missing
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    n = n + 1
    if length > KEEP and not open then
      parts[n] = chunk:getBytes(length - KEEP, KEEP)
    else
      parts[n] = chunk:getBytes(0, length)
    end
    size = size + length
    if n == 1 then -- the beginning is kept now: an answer that is cut comes to no end
      open = not begin(handle, parts[1]) and size <= KEEP
    elseif n == most or open and size > KEEP then
      local bytes = concat(parts, "", 1, n)
      open = open and not begin(handle, bytes) and size <= KEEP
      parts[1], n, most = sub(bytes, -KEEP), 1, MOST
    end
  end
  say(handle, "tail", sub(concat(parts, "", 1, n), -KEEP))
end
