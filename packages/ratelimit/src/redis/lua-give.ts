import { luaGaps } from './lua-gaps.js';
import { luaBorn, luaBucket, luaStart } from './lua-start.js';

/**
 * Gives back what a request took, or takes more of it, once. KEYS: the store's birth, what marks it as done (a minute long), then the key
 * of each limit. ARGV: `g`, or `d` to forget the request too, the key of its record, which is the id that permits have, then for each limit nine: its kind, the amount (negative: more is taken), the mark
 * and the time of the take, and for buckets units per µs, units per token, burst and the most it may lack; for calendar quotas the period
 * (from, to), 0 and the most it may use; for rolling ones the span of a part, 0, 0 and the most; last the most units per µs since the take. Answers what was not taken of each.
 *
 * With `u` it is a request that was given up: what marks it is the request's own id, which holds the marks, and which says from then on
 * that the request was given up, if it should still arrive. With `u` and a number it is the request at this place in a call's record, as
 * `luaPlain` writes it; the others in it stay as they are.
 */
export const luaGive = `${luaStart}
local undo = string.sub(ARGV[1], 1, 1) == 'u'
local place = undo and tonumber(string.sub(ARGV[1], 2))
local record = redis.call('GET', KEYS[2])
if record and not undo then return cmsgpack.unpack(record) end
local marks
if undo then
  marks = record and cmsgpack.unpack(record)
  local left = {3}
  if place then
    left = marks or {}
    for i = 1, place - 1 do left[i] = left[i] or false end
    marks = left[place]
    left[place] = {3}
  end
  redis.call('SET', KEYS[2], cmsgpack.pack(left), 'PX', 30000)
  if not marks or marks[1] == 3 then return {} end
  if place then table.insert(marks, 2, '') end
end
local meta = redis.call('GET', KEYS[1])
${luaBorn}
${luaBucket}
${luaGaps}
local function wasReset(key, at)
  local reset = redis.call('GET', 'g' .. key)
  return reset and at <= struct.unpack('<d', reset)
end
local n = #KEYS - 2
local left = {}
for i = 1, n do
  local key, a = KEYS[i + 2], 9 * i - 6
  local kind, amount = ARGV[a], ARGV[a + 1] + 0
  local mark, at = ARGV[a + 2] + 0, ARGV[a + 3] + 0
  local p, q, burst, most = ARGV[a + 4] + 0, ARGV[a + 5] + 0, ARGV[a + 6] + 0, ARGV[a + 7] + 0
  local fastest = ARGV[a + 8] + 0
  left[i] = 0
  if marks then
    at = marks[3]
    if #marks == 3 + 3 * n then
      mark = marks[1 + 3 * i]
      if marks[2 + 3 * i] == -2 then amount = 0 end
    else
      mark = marks[3 + i]
    end
    if kind == 'q' then mark = p end
  end
  if amount == 0 then
    left[i] = 0
  elseif kind == 'r' then
    local got = redis.call('GET', key)
    if amount > 0 then
      -- Where the rate was changed, what lay before a gap is taken to lie behind it, so that no more goes back than was left.
      -- What has come in since it was taken has come back by itself, and a bucket that is not there is full.
      local gaps = got and redis.call('GET', 'g' .. key) or ''
      local ends = movedBy(gaps, mark, at, fastest == p and p or 0, q) - math.max(0, now - at) * fastest
      local back = math.min(amount, ends)
      if got and back > 0 then
        local l = lackingOf(got, burst, p, q, born)
        if ends < l then addGap(key, gaps, ends, back, l, p, q) end
        writeBucket(key, math.max(0, l - back), p, q)
      end
    else
      local l = lackingOf(got, burst, p, q, born)
      local taken = math.max(0, math.min(-amount, most - l))
      if taken > 0 then writeBucket(key, l + taken, p, q) end
      left[i] = -amount - taken
    end
  elseif kind == 'c' then
    local permit = redis.call('HGET', key, ARGV[2])
    if permit and amount > 0 then
      redis.call('HDEL', key, ARGV[2])
      local used = redis.call('HGET', key, 'u') - struct.unpack('<d', permit)
      if used > 1e-9 then
        redis.call('HSET', key, 'u', string.format('%.17g', used))
      else
        redis.call('DEL', key)
      end
    end
  elseif kind == 'q' then
    local got = redis.call('GET', key)
    local used, began = 0, mark
    if got then used, began = struct.unpack('<dd', got) end
    -- Only within the period that it was taken in, and nothing of what was taken after a reset.
    if began == mark and now < q and not (amount > 0 and wasReset(key, at)) then
      local after = math.max(0, math.min(used - amount, math.max(used, most)))
      redis.call('SET', key, struct.pack('<dd', after, began), 'PX', math.max(1, math.ceil((q - now) / 1000) + 1))
      if amount < 0 then left[i] = -amount - (after - used) end
    end
  else
    local part = string.format('%.0f', math.floor(at / p))
    if amount > 0 then
      local got = redis.call('HGET', key, part)
      if got and not wasReset(key, at) then
        redis.call('HSET', key, part, string.format('%.17g', math.max(0, got - amount)))
      end
    elseif math.floor(now / p) - 61 < math.floor(at / p) then
      local used = 0
      for _, u in ipairs(redis.call('HVALS', key)) do used = used + u end
      local taken = math.max(0, math.min(-amount, most - used))
      if taken > 0 then
        redis.call('HINCRBYFLOAT', key, string.format('%.0f', math.floor(now / p)), string.format('%.17g', taken))
        redis.call('PEXPIRE', key, math.ceil(61 * p / 1000) + 1)
      end
      left[i] = -amount - taken
    end
  end
end
for i = 1, n do left[i] = string.format('%.17g', left[i]) end
if not undo then
  redis.call('SET', KEYS[2], cmsgpack.pack(left), 'PX', 60000)
end
if ARGV[1] == 'd' then
  redis.call('DEL', ARGV[2])
end
return left
`;
