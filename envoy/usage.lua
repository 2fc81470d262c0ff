-- Keeps what an answer says of its usage, without reading the answer: the bytes of its beginning and of its end, from the
-- line on in which usage is first stated. Signalbox finds them in the log entry of the request and reads them by the rules
-- of their dialect. For each piece of an answer this only stores a string.
collectgarbage("setpause", 1000) -- what is kept lives for one answer: collecting later costs less, and a few MB for each worker

local NAMESPACE = "signalbox.usage"
local KEEP = 4096 -- bytes at either end
local FIRST, MOST = 4, 32 -- pieces until they are joined, at first and later
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
local function begin(handle, bytes, document)
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
  local parts, n, most, said, document = {}, 0, FIRST, false, false
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    n = n + 1
    if length > KEEP and n > 1 and (said or most > FIRST) then -- until then a beginning must have no gap
      parts[n] = chunk:getBytes(length - KEEP, KEEP)
    else
      parts[n] = chunk:getBytes(0, length)
    end
    if n == 1 and most == FIRST then -- now: an answer that is cut comes to no end
      document = find(parts[1], "^%s*{") ~= nil
      said = begin(handle, parts[1], document)
    elseif n == most then
      local bytes = concat(parts, "", 1, n)
      said = said or most == FIRST and begin(handle, bytes, document)
      if not document or #bytes > KEEP then
        bytes, most = sub(bytes, -KEEP), MOST
      end
      parts[1], n = bytes, 1
    end
  end
  local bytes = concat(parts, "", 1, n)
  if not said and most == FIRST and #bytes > KEEP then
    begin(handle, bytes, document)
  end
  say(handle, "tail", sub(bytes, -KEEP))
end
