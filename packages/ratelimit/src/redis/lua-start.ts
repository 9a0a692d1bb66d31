/**
 * The beginning of every script: the server's time in µs, and since when the store has been there. A store that has lost its data has no
 * `born`; from then on what is missing in it counts as used up at that time, since nobody can tell that it was not. A `born` ahead of the
 * clock is pulled back to now, and written, or every later look would start from it again. The value is two doubles: `born`, and until
 * when some key may be blocked.
 */
export const luaStart = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
`;

/** Reads `born` and `blocks` from the value `meta` of KEYS[1], or makes them. */
export const luaBorn = `
local born, blocks = now, 0
if meta then
  born, blocks = struct.unpack('<dd', meta)
end
if not meta or born > now then
  born = now
  redis.call('SET', KEYS[1], struct.pack('<dd', born, blocks))
end
`;

/**
 * A bucket's value is three doubles: the units that it lacks to be full, the time in µs at which that was so, and the units in a token
 * then. `lackingOf` says what it lacks now, and whether it was written by a clock that was ahead, and has to be written again.
 */
export const luaBucket = `
local function lackingOf(value, burst, count, per, born)
  if not value then
    -- Born at 0: it is known that what is missing was never used, whatever the rate.
    if born == 0 then return 0, false end
    return math.max(0, burst - (now - born) * count), false
  end
  local lacking, at, before = struct.unpack('<ddd', value)
  if before ~= per then
    lacking = lacking * per / before
  end
  if at > now then
    return lacking, true
  end
  return math.max(0, lacking - (now - at) * count), false
end
local function writeBucket(key, lacking, count, per)
  local value = struct.pack('<ddd', lacking, now, per)
  if count > 0 then
    redis.call('SET', key, value, 'PX', math.min(1e13, math.ceil(lacking / count / 1000) + 1))
  else
    redis.call('SET', key, value)
  end
end
`;
