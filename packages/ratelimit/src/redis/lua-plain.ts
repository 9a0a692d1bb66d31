/** A bucket as its script knows it, in units. */
export interface PlainBucket {
  readonly burst: number;
  /** Units that come in per µs. */
  readonly count: number;
  readonly perToken: number;
  /** Whether all requests have the same key in it. */
  readonly isShared: boolean;
}

/** Beyond that a key is as good as for ever. */
const ttlMostMs = 1e13;

/**
 * A script that takes from these token buckets, all or none for each request, where nothing else is asked; made for them, so that it is
 * sent no number that does not change. One call decides one request or several, in their order, as if each had come alone.
 *
 * KEYS: the store's birth, the call's record, the buckets that all requests share, for each request its other buckets, then the ids that
 * callers gave. ARGV: how many requests there are, the place of the first in the call's record, for each request its costs in each limit
 * (unless `costs` is false: then all are one token), then the digests, or nothing where nobody gave an id; that of a request without is
 * empty. Answers for each request `{1, now, lacking …}` after it took, `{0, now, lacking …}` when it did not, `{2}` for an id that another
 * request had, `{3}` for a request that was given up, `{9}` when keys are blocked and the general script has to be asked. The call's record
 * has these answers, by place, of requests without an id that were granted or given up. `lua-start.ts` says what other values are.
 *
 * Everything is read and decided before anything is written, but for the store's birth: a value that is none of ours fails the call before
 * it has done anything.
 */
export function luaPlain(buckets: readonly PlainBucket[], costs: boolean): string {
  const count = buckets.length;
  const each = (line: (i: number, bucket: PlainBucket) => string, between = '\n'): string =>
    buckets.map((bucket, at) => line(at + 1, bucket)).join(between);
  const column = (value: (bucket: PlainBucket) => number): string =>
    `{${buckets.map(value).join(', ')}}`;
  const places = placesOf(buckets);
  const shared = buckets.filter(({ isShared }) => isShared).length;
  return `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local v = redis.call('MGET', unpack(KEYS))
local born, blocks = now, 0
if v[1] then born, blocks = struct.unpack('<dd', v[1]) end
if not v[1] or born > now then
  born = now
  redis.call('SET', KEYS[1], struct.pack('<dd', born, blocks))
end
local ceil, read, write = math.ceil, struct.unpack, struct.pack
local lacks, limits, changed = {}, {}, {}
local function change(key, limit)
  if limits[key] then return end
  limits[key] = limit
  changed[#changed + 1] = key
end
local function lackingOf(key, value, limit, burst, count, per)
  local lacking
  if value then
    local at, before
    lacking, at, before = read('<ddd', value)
    if before ~= per then lacking = lacking * per / before end
    -- Written by a clock that was ahead: it has to be written again.
    if at > now then change(key, limit) else lacking = lacking - (now - at) * count end
  else
    lacking = born == 0 and 0 or burst - (now - born) * count
  end
  if lacking < 0 then lacking = 0 end
  lacks[key] = lacking
  return lacking
end
local function answerOf(record, digest)
  local r = cmsgpack.unpack(record)
  if r[1] == 3 then return {3} end
  if r[2] ~= digest then return {2} end
  local step = (#r - 3) / ${count}
  local answer = {r[1], r[3]}
  for i = 0, ${count - 1} do answer[i + 3] = r[4 + i * step] end
  return answer
end
local n, first = ARGV[1] + 0, ARGV[2] - 1
local own, records, granted, answers = v[2] and cmsgpack.unpack(v[2]) or {}, {}, {}, {}
local ownGranted, told = false, ${2 + shared} + n * ${count - shared}
for i = 1, n do
  local at, digest = ${2 + shared} + (i - 1) * ${count - shared}, ARGV[${costs ? `2 + ${count} * n` : 2} + i] or ''
  local id, answer
  if digest == '' then
    answer = own[first + i]
  else
    told = told + 1
    id = KEYS[told]
    local record = records[id] or v[told]
    answer = record and answerOf(record, digest)
  end
  if not answer and blocks > now then answer = {9} end
  if not answer then
${each((j, { burst, count, perToken }) => `    local k${j} = KEYS[${places[j - 1]}]\n    local l${j} = lacks[k${j}] or lackingOf(k${j}, v[${places[j - 1]}], ${j}, ${burst}, ${count}, ${perToken})`)}
${each((j, { perToken }) => `    local c${j} = ${costs ? `ARGV[2 + ${count} * (i - 1) + ${j}] + 0` : perToken}`)}
    if ${each((j, { burst }) => `l${j} + c${j} > ${burst}`, ' or ')} then
      answer = {0, now, ${each((j) => `ceil(l${j})`, ', ')}}
    else
${each((j) => luaTake(j, costs))}
      answer = {1, now, ${each((j) => `ceil(l${j} + c${j})`, ', ')}}
      if id then
        records[id] = cmsgpack.pack({1, digest, now, ${each((j) => `answer[${j + 2}]`, ', ')}})
        granted[#granted + 1] = id
      else
        own[first + i] = answer
        ownGranted = true
      end
    end
  end
  answers[i] = answer
end
local counts, pers = ${column(({ count }) => count)}, ${column(({ perToken }) => perToken)}
for i = 1, #changed do
  local key = changed[i]
  local limit, lacking = limits[key], lacks[key]
  local value, count = write('<ddd', lacking, now, pers[limit]), counts[limit]
  if count > 0 then
    -- Only until it is full. Redis is slow to write numbers.
    local ms = math.min(${ttlMostMs}, ceil(lacking / count / 1000) + 1)
    redis.call('SET', key, value, 'PX', string.format('%d', ms))
  else
    redis.call('SET', key, value)
  end
end
for i = 1, #granted do redis.call('SET', granted[i], records[granted[i]], 'PX', '30000') end
if ownGranted then
  for i = 1, first + n do own[i] = own[i] or false end
  redis.call('SET', KEYS[2], cmsgpack.pack(own), 'PX', '30000')
end
return answers
`;
}

/** Where each bucket's key is among KEYS: the shared ones at the beginning, the others behind those of the requests before. */
function placesOf(buckets: readonly PlainBucket[]): string[] {
  let [shared, own] = [2, 0];
  return buckets.map(({ isShared }) => (isShared ? String(++shared) : `at + ${++own}`));
}

function luaTake(i: number, costs: boolean): string {
  const take = `lacks[k${i}] = l${i} + c${i} change(k${i}, ${i})`;
  return `      ${costs ? `if c${i} > 0 then ${take} end` : take}`;
}
