/** A bucket as its script knows it, in units. */
export interface PlainBucket {
  readonly burst: number;
  /** Units that come in per µs. */
  readonly count: number;
  readonly perToken: number;
}

/** Beyond that a key is as good as for ever. */
const ttlMostMs = 1e13;

/**
 * A script that takes from these token buckets, all or none, where nothing else is asked; made for them, so that it is sent no number that
 * does not change. KEYS: the store's birth, the request's id, then a bucket for each limit. ARGV: the digest of the request, then, unless
 * every request costs one token (`costs` is false), its cost in each limit. Answers `{1, now, lacking …}` after it took, `{0, now,
 * lacking …}` when it did not, `{2}` for an id that another request had, `{3}` for a request that was given up, `{9}` when keys are blocked
 * and the general script has to be asked. `lua-start.ts` says what the values are; what stands behind a bucket's three numbers is kept.
 */
export function luaPlain(buckets: readonly PlainBucket[], costs: boolean): string {
  const each = (line: (i: number, bucket: PlainBucket) => string, between = '\n'): string =>
    buckets.map((bucket, at) => line(at + 1, bucket)).join(between);
  const names = each((i) => `KEYS[${i + 2}]`, ', ');
  return `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local v = redis.call('MGET', KEYS[1], KEYS[2], ${names})
if v[2] then
  local r = cmsgpack.unpack(v[2])
  if r[1] == 3 then return {3} end
  if r[2] ~= ARGV[1] then return {2} end
  local n = (#r - 3) / ${buckets.length}
  local known = {r[1], r[3]}
  for i = 0, ${buckets.length - 1} do known[i + 3] = r[4 + i * n] end
  return known
end
local born, blocks = now, 0
if v[1] then born, blocks = struct.unpack('<dd', v[1]) end
if not v[1] or born > now then
  born = now
  redis.call('SET', KEYS[1], struct.pack('<dd', born, blocks))
end
if blocks > now then return {9} end
local unpack, ahead, at, per = struct.unpack, false, 0, 0
${each(luaLook)}
${each((i, { perToken }) => `local c${i} = ${costs ? `ARGV[${i + 1}] + 0` : perToken}`)}
if ${each((i, { burst }) => `l${i} + c${i} > ${burst}`, ' or ')} then
  if ahead then
${each((i, bucket) => `    if v[${i + 2}] then\n${luaWrite(i, bucket)}\n    end`)}
  end
  return {0, now, ${each((i) => `math.ceil(l${i})`, ', ')}}
end
${each((i) => `local tail${i} = v[${i + 2}] and l${i} > 0 and #v[${i + 2}] > 24 and string.sub(v[${i + 2}], 25) or ''\nl${i} = l${i} + c${i}`)}
${each((i, bucket) => (costs ? `if c${i} > 0 or ahead then\n${luaWrite(i, bucket, `tail${i}`)}\nend` : luaWrite(i, bucket, `tail${i}`)))}
local r = {1, now, ${each((i) => `math.ceil(l${i})`, ', ')}}
redis.call('SET', KEYS[2], cmsgpack.pack({1, ARGV[1], now, ${each((i) => `r[${i + 2}]`, ', ')}}), 'PX', '30000')
return r
`;
}

/** What a bucket lacks now; as `lackingOf` in `lua-start.ts`. */
function luaLook(i: number, { burst, count, perToken }: PlainBucket): string {
  return `local l${i}
if v[${i + 2}] then
  l${i}, at, per = unpack('<ddd', v[${i + 2}])
  if per ~= ${perToken} then l${i} = l${i} * ${perToken} / per end
  if at > now then
    ahead = true
  else
    l${i} = l${i} - (now - at) * ${count}
    if l${i} < 0 then l${i} = 0 end
  end
else
  l${i} = ${burst} - (now - born) * ${count}
  if l${i} < 0 or born == 0 then l${i} = 0 end
end`;
}

function luaWrite(i: number, { burst, count, perToken }: PlainBucket, tail?: string): string {
  const kept = tail ?? `string.sub(v[${i + 2}], 25)`;
  const value = `struct.pack('<ddd', l${i}, now, ${perToken}) .. ${kept}`;
  if (count === 0) return `redis.call('SET', KEYS[${i + 2}], ${value})`;
  // Who takes leaves no more lacking than the burst. Redis is slow to write numbers, so that one is written already.
  const ttl =
    tail === undefined
      ? `math.min(${ttlMostMs}, math.ceil(l${i} / ${count * 1_000}) + 1)`
      : `'${Math.min(ttlMostMs, Math.ceil(burst / (count * 1_000)) + 1)}'`;
  return `redis.call('SET', KEYS[${i + 2}], ${value}, 'PX', ${ttl})`;
}
