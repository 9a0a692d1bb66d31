/**
 * Leases of one bucket that many processes spend from. KEYS[1] is a hash, all in one slot: `b` the bucket (three doubles: units that it
 * lacks, the time in µs at which it did, units in a token then), and for each process its lease (four doubles: the call that it is of, the
 * units it may still spend at most, when it lapses, units in a token; then what was answered to that call). A bucket that is not there
 * starts empty: nobody can tell what was spent from it. What a lapsed lease had left counts as spent.
 *
 * ARGV: what to do (`l` lease, `p` look, `x` make the bucket full), the process, the number of its call, then in units: burst, units per
 * µs, units per token, what the process has left, how much it wants to have, how much all processes may have at most; µs that a lease
 * lasts; ms that the hash is kept; units that are taken although they may not be there, and how much may lack then; the number of needs
 * and each of them, below 0 where it stays until it is served and nobody may go before it; then, for what goes back, the amount, the mark
 * and the time in threes. A call that comes again gets the same answer; one that is older than the last does nothing.
 *
 * Answers, as text: the time in µs, units that the process gets (what its served needs take included), a digit for each need (1: served),
 * µs until each that was not can be, as far as they were looked at, so up to the first that stays, with commas; units that the bucket
 * lacks, units that it may have at most now, units owed that were not taken.
 */
export const luaLease = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local key, op, id, seq = KEYS[1], ARGV[1], ARGV[2], ARGV[3] + 0
local burst, count, per = ARGV[4] + 0, ARGV[5] + 0, ARGV[6] + 0
local rest, want, most, life = ARGV[7] + 0, ARGV[8] + 0, ARGV[9] + 0, ARGV[10] + 0
local function text(number) return string.format('%.17g', number) end
local all = redis.call('HGETALL', key)
local bucket, own, others = nil, nil, 0
for i = 1, #all, 2 do
  local field, value = all[i], all[i + 1]
  if field == 'b' then
    bucket = value
  else
    local call, units, till, before = struct.unpack('<dddd', value)
    if till > now + life then
      -- The clock was set back: a lease lasts no longer for it.
      till = now + life
      value = struct.pack('<dddd', call, units, till, before) .. string.sub(value, 33)
      redis.call('HSET', key, field, value)
    end
    if till <= now then
      redis.call('HDEL', key, field)
    elseif field == id then
      own = value
    else
      others = others + units * per / before
    end
  end
end
if own and op == 'l' then
  local call = struct.unpack('<d', own)
  if call == seq then return cmsgpack.unpack(string.sub(own, 33)) end
  if call > seq then return {text(now)} end
end
local lacking, at = burst, now
if op == 'x' then
  lacking = 0
elseif bucket then
  local before
  lacking, at, before = struct.unpack('<ddd', bucket)
  lacking = lacking * per / before
  if at < now then lacking = math.max(0, lacking - (now - at) * count) end
end
if op ~= 'l' then
  -- What does not change is not written, but for a time that was ahead and the beginning of a bucket.
  if op == 'x' or not bucket or at > now then
    redis.call('HSET', key, 'b', struct.pack('<ddd', lacking, now, per))
    redis.call('PEXPIRE', key, ARGV[11])
  end
  return {text(now), '0', '', '', text(lacking), '0', '0'}
end
local owed, owedMost, needs = ARGV[12] + 0, ARGV[13] + 0, ARGV[14] + 0
for i = 15 + needs, #ARGV, 3 do
  -- What has come in since it was taken has come back by itself.
  local back = math.min(ARGV[i] + 0, ARGV[i + 1] - math.max(0, now - ARGV[i + 2]) * count)
  if back > 0 then lacking = math.max(0, lacking - back) end
end
if owed > 0 then
  local taken = math.max(0, math.min(owed, owedMost - lacking))
  lacking = lacking + taken
  owed = owed - taken
end
local there = math.max(0, burst - lacking)
local left, used, served, waits = rest + there, 0, {}, {}
for i = 1, needs do
  local need = ARGV[14 + i] + 0
  local stays = need < 0
  if stays then need = -need end
  if need <= left then
    left = left - need
    used = used + need
    served[i] = '1'
  else
    served[i] = '0'
    waits[#waits + 1] = text(math.max(1, math.ceil((need - left + math.max(0, lacking - burst)) / count)))
    if stays then
      for j = i + 1, needs do served[j] = '0' end
      break
    end
  end
end
local more = math.max(0, used - rest)
local kept = rest + more - used
more = more + math.max(0, math.min(want - kept, there - more, most - others - kept))
lacking = lacking + more
local units = rest + more - used
local answer = {text(now), text(more), table.concat(served), table.concat(waits, ','), text(lacking), text(units), text(owed)}
redis.call('HSET', key, 'b', struct.pack('<ddd', lacking, now, per),
  id, struct.pack('<dddd', seq, units, now + life, per) .. cmsgpack.pack(answer))
redis.call('PEXPIRE', key, ARGV[11])
return answer
`;
