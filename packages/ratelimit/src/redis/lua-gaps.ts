/**
 * Where debts of a bucket were given back, as `Gaps` has it in memory: what comes in pays the oldest debt first, so who took behind a gap
 * is paid sooner. They lie beside the bucket, in `g` and its key: for each gap five doubles, when it was made (µs), what the bucket lacked up
 * to it, how much it is, what the bucket lacked in all then, and the units in a token: when so much has come in, it matters to nobody. 32 at most; beyond, the two
 * oldest are joined so that less is given back, and never more. `movedBy` says what a debt's mark, noted at `at`, is by now.
 */
export const luaGaps = `
local function gapAt(gaps, i, per)
  local made, place, amount, lacking, before = struct.unpack('<ddddd', gaps, i)
  local by = per / before
  return made, place * by, amount * by, lacking * by
end
local function movedBy(gaps, mark, at, count, per)
  for i = 1, #gaps, 40 do
    local made, place, amount = gapAt(gaps, i, per)
    if made >= at and place < mark - (made - at) * count then mark = mark - amount end
  end
  return mark
end
local function addGap(key, gaps, place, amount, lacking, count, per)
  local kept, till = {}, now
  for i = 1, #gaps, 40 do
    local made, p, a, l = gapAt(gaps, i, per)
    if (now - made) * count < l then kept[#kept + 1] = {made, p, a, l} end
  end
  kept[#kept + 1] = {now, place, amount, lacking}
  if #kept > 32 then
    local one, two = kept[1], kept[2]
    table.remove(kept, 1)
    local passed = (two[1] - one[1]) * count
    kept[1] = {two[1], math.min(one[2] - passed, two[2]), one[3] + two[3], math.max(one[4] - passed, two[4])}
  end
  local packed = {}
  for i, gap in ipairs(kept) do
    packed[i] = struct.pack('<ddddd', gap[1], gap[2], gap[3], gap[4], per)
    if count > 0 then till = math.max(till, gap[1] + gap[4] / count) end
  end
  if count > 0 then
    redis.call('SET', 'g' .. key, table.concat(packed), 'PX', math.min(1e13, math.ceil((till - now) / 1000) + 1))
  else
    redis.call('SET', 'g' .. key, table.concat(packed))
  end
end
`;
