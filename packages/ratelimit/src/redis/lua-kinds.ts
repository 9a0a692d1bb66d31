/**
 * Permits of a key are a hash: each request's id with what it costs and when it lapses (two doubles), `u` all of it and `e` when the first
 * may lapse. In a store that is younger than a permit's life nobody knows who has one, so none is given out.
 */
export const luaPermits = `
local function settlePermits(key, lapse)
  local used, first = 0, 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local id = all[i]
    if #id > 1 then
      local cost, till = struct.unpack('<dd', all[i + 1])
      if till > now + lapse then
        till = now + lapse
        redis.call('HSET', key, id, struct.pack('<dd', cost, till))
      end
      if till <= now then
        redis.call('HDEL', key, id)
      else
        used = used + cost
        if first == 0 or till < first then first = till end
      end
    end
  end
  if first == 0 then
    redis.call('DEL', key)
  else
    redis.call('HSET', key, 'u', string.format('%.17g', used), 'e', string.format('%.0f', first))
  end
  return used, first
end
local function permits(key, cost, most, lapse)
  local got = redis.call('HMGET', key, 'u', 'e')
  local used, first = (got[1] or 0) + 0, (got[2] or 0) + 0
  if got[1] and (first <= now or first > now + lapse) then
    used, first = settlePermits(key, lapse)
  end
  local good, wait = used + cost <= most + 1e-9, -1
  if now - born < lapse then
    good = false
    if cost <= most then wait = math.ceil(born + lapse - now) end
  end
  return good, math.floor(used * 1000000 + 0.5), wait, function()
    if cost > 0 then
      local till = now + lapse
      if first == 0 or till < first then first = till end
      redis.call('HSET', key, KEYS[2], struct.pack('<dd', cost, till),
        'u', string.format('%.17g', used + cost), 'e', string.format('%.0f', first))
      redis.call('PEXPIRE', key, math.ceil(lapse / 1000))
    end
    return math.floor((used + cost) * 1000000 + 0.5)
  end
end
`;

/**
 * A calendar quota's value is two doubles: what was used, and when the period began (µs). A rolling one's is a hash: what was used in each
 * part by its number. What is missing in a store that was born in the period counts as used up.
 */
export const luaQuota = `
local function calendar(key, cost, most, from, to)
  local got = redis.call('GET', key)
  local used = 0
  if got then
    local began
    used, began = struct.unpack('<dd', got)
    -- A period that has not begun yet was written by a clock that was ahead.
    if began < from then used = 0 end
  elseif born > from then
    used = most
  end
  return used + cost <= most, math.floor(used * 1000000 + 0.5), math.ceil(to - now), function()
    if cost > 0 then
      redis.call('SET', key, struct.pack('<dd', used + cost, from), 'PX', math.ceil((to - now) / 1000) + 1)
    end
    return math.floor((used + cost) * 1000000 + 0.5)
  end
end
local function rolling(key, cost, most, span)
  local part = math.floor(now / span)
  local all = redis.call('HGETALL', key)
  local used, byPart = 0, {}
  for i = 1, #all, 2 do
    local p, u = all[i] + 0, all[i + 1] + 0
    if p > part then
      redis.call('HDEL', key, all[i])
      redis.call('HINCRBYFLOAT', key, string.format('%.0f', part), all[i + 1])
      p = part
    end
    if p >= part - 60 then
      used = used + u
      byPart[p] = (byPart[p] or 0) + u
    else
      redis.call('HDEL', key, all[i])
    end
  end
  if #all == 0 and now - born < 61 * span then
    local p = math.floor(born / span)
    if p >= part - 60 then
      used = most
      byPart[p] = most
    end
  end
  local good, wait = used + cost <= most, math.ceil(61 * span)
  if not good then
    local over = used + cost - most
    for p = part - 60, part do
      over = over - (byPart[p] or 0)
      if over <= 0 then
        wait = math.max(1, math.ceil((p + 61) * span - now))
        break
      end
    end
  end
  return good, math.floor(used * 1000000 + 0.5), wait, function()
    if cost > 0 then
      redis.call('HINCRBYFLOAT', key, string.format('%.0f', part), string.format('%.17g', cost))
      redis.call('PEXPIRE', key, math.ceil(61 * span / 1000) + 1)
    end
    return math.floor((used + cost) * 1000000 + 0.5)
  end
end
`;
