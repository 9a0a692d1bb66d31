/**
 * Grants what was booked and is ready. KEYS: the requests' records. Answers 1 for each that the store knows of: one that lost its data does
 * not, and nor does one to which the booking was never replicated.
 */
export const luaBooked = `
local known = {}
for i = 1, #KEYS do
  local value = redis.call('GET', KEYS[i])
  local record = value and cmsgpack.unpack(value) or {0}
  if record[1] == 4 then
    record[1] = 1
    redis.call('SET', KEYS[i], cmsgpack.pack(record), 'KEEPTTL')
  end
  known[i] = record[1] == 1 and 1 or 0
end
return known
`;
