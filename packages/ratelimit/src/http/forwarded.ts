/** Hops that are looked at: who has more trusted proxies in a row than these is not told apart by what is further away. */
const mostHops = 32;

/** What one field line or several say of whom the request came from, the nearest last. */
export function forwardedFor(value: string | readonly string[]): string[] {
  const all = typeof value === 'string' ? value : value.join(',');
  return all.split(',').slice(-mostHops);
}

/** `token=token` or `token="quoted"`, with what ends it: RFC 7239, section 4. */
const pair = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([^\s",;]*)|"((?:[^"\\]|\\.)*)")\s*([,;]|$)/sy;

/**
 * The `for` of each element of `Forwarded`, the nearest last; empty where an element has none. What is not well-formed to its end says
 * nothing at all: a client that opens a quote could otherwise hide in it what the proxy adds.
 */
export function forwardedElements(value: string | readonly string[]): string[] {
  const all = typeof value === 'string' ? value : value.join(',');
  const hops: string[] = [];
  let hop = '';
  pair.lastIndex = 0;
  while (pair.lastIndex < all.length) {
    const found = pair.exec(all);
    if (found === null) return [];
    const [, name = '', token, quoted, end] = found;
    if (name.toLowerCase() === 'for') hop = token ?? quoted!.replace(/\\(.)/gs, '$1');
    if (end === ';') continue;
    hops.push(hop);
    hop = '';
    if (end === '') break;
  }
  return hops.slice(-mostHops);
}
