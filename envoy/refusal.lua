-- Runs on answers with the status 400 of providers that so refuse a key. Such an answer is about our key, as one with 401 is,
-- and gets that status: the next target is tried, and the client does not see what the provider says of the key.
local WORDS = { "api_key_invalid", "api key not valid", "api key expired", "incorrect api key", "invalid api key" }
local MOST = 16384 -- bytes that are looked at

function envoy_on_response(handle)
  local body = handle:body()
  if not body then
    return
  end
  local text = string.lower(body:getBytes(0, math.min(body:length(), MOST)))
  for _, words in ipairs(WORDS) do
    if string.find(text, words, 1, true) then
      handle:headers():replace(":status", "401")
      return
    end
  end
end
