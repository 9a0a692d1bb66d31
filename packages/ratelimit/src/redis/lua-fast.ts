import { luaBorn, luaBucket, luaStart } from './lua-start.js';

/**
 * Takes from token buckets, all or none, where nothing else is asked. KEYS: the store's birth, the request's id, then a bucket for each
 * limit. ARGV: the digest of the request, then for each limit its cost, burst, units per µs and units per token. Answers
 * `{1, now, lacking …}` after it took, `{0, now, lacking …}` when it did not, `{2}` for an id that another request had, `{3}` for a
 * request that was given up, `{9}` when keys are blocked and the other script has to be asked.
 */
export const luaFast = `${luaStart}
local v = redis.call('MGET', unpack(KEYS))
if v[2] then
  local r = cmsgpack.unpack(v[2])
  if r[1] == 3 then return {3} end
  if r[2] ~= ARGV[1] then return {2} end
  r[2] = r[3]
  for i = 3, #r do r[i] = r[i + 1] end
  return r
end
local meta = v[1]
${luaBorn}
if blocks > now then return {9} end
${luaBucket}
local ok, back = true, false
local lacking = {}
for i = 3, #KEYS do
  local a = 4 * i - 10
  local burst = ARGV[a + 1] + 0
  local l, ahead = lackingOf(v[i], burst, ARGV[a + 2] + 0, ARGV[a + 3] + 0, born)
  lacking[i] = l
  if ahead then back = true end
  if l + ARGV[a] > burst then ok = false end
end
local r = {ok and 1 or 0, now}
for i = 3, #KEYS do
  local a = 4 * i - 10
  local l = lacking[i]
  if ok then l = l + ARGV[a] end
  if (ok and ARGV[a] ~= '0') or (back and v[i]) then
    writeBucket(KEYS[i], l, ARGV[a + 2] + 0, ARGV[a + 3] + 0)
  end
  r[i] = math.ceil(l)
end
if ok then
  redis.call('SET', KEYS[2], cmsgpack.pack({1, ARGV[1], now, unpack(r, 3)}), 'PX', 30000)
end
return r
`;
