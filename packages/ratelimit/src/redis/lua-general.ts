import { luaPermits, luaQuota } from './lua-kinds.js';
import { luaBorn, luaBucket, luaStart } from './lua-start.js';

/**
 * Takes from limits of every kind, all or none. KEYS as in `luaPlain`. ARGV: the mode, the digest, the kinds, for each limit four numbers,
 * and last how long a booking may take (µs). A mode is `t` (take), `p` (peek) or `b`: take, or book: what lacks only bookable buckets is
 * taken although it is not there yet, to be used when it is. A kind is one letter: `r` a bucket (cost, burst, units per µs, units per
 * token), `k` the same, bookable, `c` permits (cost, most, µs until one lapses, 0), `q` a calendar quota (cost, most, period from and to in
 * µs), `w` a rolling one (cost, most, µs of a part, 0); a capital is in the shadow. Answers the code, the time, and for each limit three
 * numbers: what it lacks or has used (in units, or millionths), µs until it fits (-1: nobody can tell; buckets: 0; -2: in the shadow, and
 * nothing was taken), µs that it is blocked.
 * Codes as in `luaPlain`, and 4: booked; 8: the calendar's period is not the server's.
 */
export const luaGeneral = `${luaStart}
local mode, digest, kinds = ARGV[1], ARGV[2], ARGV[3]
local n = #KEYS - 2
local meta = redis.call('GET', KEYS[1])
local known = mode ~= 'p' and redis.call('GET', KEYS[2])
if known then
  local r = cmsgpack.unpack(known)
  if r[1] == 3 then return {3} end
  if r[2] ~= digest then return {2} end
  if #r == 3 + 3 * n then
    r[2] = r[3]
    for i = 3, #r do r[i] = r[i + 1] end
    return r
  end
  local full = {r[1], r[3]}
  for i = 1, n do
    full[3 * i], full[3 * i + 1], full[3 * i + 2] = r[3 + i], 0, 0
  end
  return full
end
${luaBorn}
${luaBucket}
${luaPermits}
${luaQuota}
local r = {0, now}
local fits, bookable, bookWait = true, mode == 'b', 0
local writes = {}
for i = 1, n do
  local key, a, k = KEYS[i + 2], 4 * i, string.byte(kinds, i)
  local shadow = k < 97
  if shadow then k = k + 32 end
  local cost, most, c, d = ARGV[a] + 0, ARGV[a + 1] + 0, ARGV[a + 2] + 0, ARGV[a + 3] + 0
  local good, value, wait, write
  if k == 114 or k == 107 then
    local got = redis.call('GET', key)
    local l, ahead = lackingOf(got, most, c, d, born)
    good, value, wait = l + cost <= most, math.ceil(l), 0
    if ahead then writeBucket(key, l, c, d) end
    write = function()
      if cost > 0 then writeBucket(key, l + cost, c, d) end
      return math.ceil(l + cost)
    end
    if not good and not shadow then
      if k == 107 and cost <= most and c > 0 then
        bookWait = math.max(bookWait, (l + cost - most) / c)
      else
        bookable = false
      end
    end
  else
    if k == 99 then
      good, value, wait, write = permits(key, cost, most, c)
    elseif k == 113 then
      if now < c or now >= d then return {8, now} end
      good, value, wait, write = calendar(key, cost, most, c, d)
    else
      good, value, wait, write = rolling(key, cost, most, c)
    end
    if not good and not shadow then bookable = false end
  end
  local blocked = 0
  if blocks > now then
    local b = redis.call('GET', 'b' .. key)
    if b then
      local till, times, forgotten, ms = struct.unpack('<dddd', b)
      -- A clock that was set back does not make a block longer.
      blocked = math.max(0, math.min(till - now, ms * 1000))
    end
    if blocked > 0 then
      good = false
      if not shadow then bookable = false end
    end
  end
  r[3 * i], r[3 * i + 1], r[3 * i + 2] = value, wait, math.ceil(blocked)
  if good then
    writes[i] = write
  elseif shadow then
    r[3 * i + 1] = -2
  else
    fits = false
    -- Only for a booking; then all that lacks something can be booked.
    writes[i] = write
  end
end
if mode == 'p' then
  r[1] = fits and 1 or 0
  return r
end
local book = not fits and bookable and bookWait <= ARGV[#ARGV] + 0
if not fits and not book then return r end
for i = 1, n do
  if writes[i] then r[3 * i] = writes[i]() end
end
r[1] = book and 4 or 1
-- A booking is known until it is ready, and as long after as any.
local keptMs = 30000
if book then keptMs = math.min(1e13, keptMs + math.ceil(bookWait / 1000)) end
redis.call('SET', KEYS[2], cmsgpack.pack({r[1], digest, unpack(r, 2)}), 'PX', keptMs)
return r
`;
