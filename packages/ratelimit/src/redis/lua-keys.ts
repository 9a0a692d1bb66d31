import { luaBorn, luaStart } from './lua-start.js';

/**
 * What is done to single keys, by ARGV[1]. KEYS[1] is the store's birth.
 * `n`: renews permits: KEYS are those of limits, ARGV the µs that one lasts and, for each key, the permit's id and what it costs. Answers
 * 1 for each that was still there, or that a store which lost its data could take in again.
 * `x`: makes KEYS[2] as if it had never been used: ARGV its kind, and for a bucket the units in a token; for a calendar quota the
 * period (from, to); for a rolling one the span of a part.
 * `k`: blocks KEYS[2] for ARGV[2] µs, or twice as long as last time, up to ARGV[3]. Answers the µs.
 * `f`: says that what is missing was never used.
 */
export const luaKeys = `${luaStart}
local op = ARGV[1]
if op == 'n' then
  local held = {}
  local lapse = ARGV[2] + 0
  local meta = redis.call('GET', KEYS[1])
  local young = not meta or now - struct.unpack('<d', meta) < lapse
  for i = 2, #KEYS do
    local id, cost = ARGV[2 * i - 1], ARGV[2 * i] + 0
    local permit = redis.call('HGET', KEYS[i], id)
    if permit or young then
      redis.call('HSET', KEYS[i], id, struct.pack('<dd', cost, now + lapse))
      if not permit then
        local used = (redis.call('HGET', KEYS[i], 'u') or 0) + cost
        redis.call('HSET', KEYS[i], 'u', string.format('%.17g', used))
        redis.call('HSETNX', KEYS[i], 'e', string.format('%.0f', now + lapse))
      end
      redis.call('PEXPIRE', KEYS[i], math.ceil(lapse / 1000))
    end
    held[i - 1] = (permit or young) and 1 or 0
  end
  return held
end
if op == 'f' then
  redis.call('SET', KEYS[1], struct.pack('<dd', 0, 0))
  return 1
end
local meta = redis.call('GET', KEYS[1])
${luaBorn}
local key = KEYS[2]
if op == 'x' then
  local kind, p, q = ARGV[2], ARGV[3] + 0, ARGV[4] + 0
  redis.call('DEL', 'b' .. key)
  -- Who took before has nothing to give back of what is taken from now on.
  if kind == 'r' then
    local got = redis.call('GET', key)
    if got then
      redis.call('SET', 'g' .. key, struct.pack('<ddddd', now, -math.huge, math.huge, math.huge, p))
      -- Until all would have come back that was taken.
      local left = redis.call('PTTL', key)
      if left > 0 then redis.call('PEXPIRE', 'g' .. key, left) end
    end
    redis.call('SET', key, struct.pack('<ddd', 0, now, p))
    if q > 0 then redis.call('PEXPIRE', key, math.min(1e13, math.ceil(q / 1000) + 1)) end
  elseif kind == 'q' then
    local px = math.max(1, math.ceil((q - now) / 1000) + 1)
    redis.call('SET', 'g' .. key, struct.pack('<d', now), 'PX', px)
    redis.call('SET', key, struct.pack('<dd', 0, p), 'PX', px)
  elseif kind == 'w' then
    redis.call('SET', 'g' .. key, struct.pack('<d', now), 'PX', math.ceil(61 * p / 1000) + 1)
    redis.call('DEL', key)
    redis.call('HSET', key, string.format('%.0f', math.floor(now / p)), '0')
    redis.call('PEXPIRE', key, math.ceil(61 * p / 1000) + 1)
  end
  return 0
end
local ms, most = ARGV[2] / 1000, ARGV[3] / 1000
local got = redis.call('GET', 'b' .. key)
local till, times, forgotten = 0, 0, 0
if got then
  till, times, forgotten = struct.unpack('<dddd', got)
  if forgotten <= now then times = 0 end
end
local blocked = math.min(ms * 2 ^ times, math.max(ms, most))
till = math.max(now + blocked * 1000, till)
blocked = (till - now) / 1000
redis.call('SET', 'b' .. key, struct.pack('<dddd', till, times + 1, till + (till - now), blocked), 'PX', math.min(1e13, math.ceil(2 * blocked) + 1))
redis.call('SET', KEYS[1], struct.pack('<dd', born, math.max(blocks, till)))
return math.ceil(blocked)
`;
