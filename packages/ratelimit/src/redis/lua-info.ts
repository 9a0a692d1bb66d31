/**
 * A section of the server's INFO. It is asked for by a script, as all else is: so it comes from the server that has KEYS[1], in a cluster as
 * well, and both clients know how to ask for it. Where it may not be had the answer is why.
 */
export const luaInfo = `
local info = redis.pcall('INFO', ARGV[1])
if type(info) == 'table' then
  return {'0', info.err or ''}
end
return {'1', info}
`;
