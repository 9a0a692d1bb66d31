import { type Item, parseList } from 'structured-headers';

/** What a response says about the requests to come. All of it comes from somebody else, so all of it may be wrong. */
export interface Advice {
  /** Whether the server was asked too much: 429, or 503 with `Retry-After`. */
  readonly isRefusal: boolean;
  /** For how long nothing more should be sent; undefined if it does not say. */
  readonly pauseMs: number | undefined;
  /** How many more should be sent within how long, at most; undefined if it does not say. */
  readonly allowance: Allowance | undefined;
}

export interface Allowance {
  readonly left: number;
  readonly withinMs: number;
}

/** Longer fields are not parsed, since nobody has so many policies. */
const longestField = 4_096;
const mostItems = 32;

/**
 * Reads `Retry-After` (RFC 9110, section 10.2.3), which takes precedence, then `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11),
 * then the older `RateLimit-Remaining` and `RateLimit-Reset` and their `X-` forms. What is malformed is as if it were not there.
 */
export function readAdvice({ status, headers }: Response, wallMs: number): Advice {
  const serverMs = dateOf(headers.get('date')) ?? wallMs;
  const isPushback = status === 429 || status === 503;
  const retryMs = isPushback ? retryAfterMs(headers.get('retry-after'), serverMs) : undefined;
  const isRefusal = status === 429 || (status === 503 && retryMs !== undefined);
  if (retryMs !== undefined) return { isRefusal, pauseMs: retryMs, allowance: undefined };
  // A response from a cache says what was so when it was made.
  if (Number(headers.get('age') ?? 0) > 0)
    return { isRefusal, pauseMs: undefined, allowance: undefined };
  const told = tightest(current(headers)) ?? older(headers, serverMs);
  if (told === undefined) return { isRefusal, pauseMs: undefined, allowance: undefined };
  return told.left === 0
    ? { isRefusal, pauseMs: told.withinMs, allowance: undefined }
    : { isRefusal, pauseMs: undefined, allowance: told };
}

function retryAfterMs(field: string | null, serverMs: number): number | undefined {
  if (field === null || field.length > 100) return undefined;
  if (/^\d+$/.test(field)) return Number(field) * 1_000;
  const date = dateOf(field);
  return date === undefined ? undefined : Math.max(0, date - serverMs);
}

/** An HTTP date, RFC 9110, section 5.6.7, except in the form of `asctime`, which no longer anybody sends. */
function dateOf(field: string | null): number | undefined {
  if (field === null || !/^[A-Z][a-z]{2,8}, [\w -]{9,11} \d\d:\d\d:\d\d GMT$/.test(field))
    return undefined;
  const ms = Date.parse(field);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Whatever is used up counts, in any unit; of what is left, only what is counted in requests. */
function current(headers: Headers): Allowance[] {
  const units = new Map(
    itemsOf(headers.get('ratelimit-policy')).map(([name, parameters]) => [
      name,
      parameters.get('qu') ?? 'requests',
    ]),
  );
  return itemsOf(headers.get('ratelimit')).flatMap(([name, parameters]) => {
    const left = parameters.get('r');
    const seconds = parameters.get('t');
    if (!isCount(left) || !isCount(seconds)) return [];
    const isCounted = left === 0 || (units.get(name) ?? 'requests') === 'requests';
    return isCounted ? [{ left, withinMs: seconds * 1_000 }] : [];
  });
}

function itemsOf(field: string | null): Item[] {
  if (field === null || field.length > longestField) return [];
  try {
    const items = parseList(field).filter((each): each is Item => typeof each[0] === 'string');
    return items.length > mostItems ? [] : items;
  } catch {
    return [];
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function tightest(all: readonly Allowance[]): Allowance | undefined {
  return all.toSorted((a, b) => a.left - b.left || b.withinMs - a.withinMs)[0];
}

function older(headers: Headers, serverMs: number): Allowance | undefined {
  for (const prefix of ['ratelimit', 'x-ratelimit']) {
    const remaining = headers.get(`${prefix}-remaining`) ?? '';
    const withinMs = resetMs(headers.get(`${prefix}-reset`) ?? '', serverMs);
    if (/^\d{1,15}$/.test(remaining) && withinMs !== undefined)
      return { left: Number(remaining), withinMs };
  }
  return undefined;
}

const monthS = 31 * 86_400;

/** Some send seconds from now, others the seconds or the ms since 1970; what could be neither is not guessed at. */
function resetMs(field: string, serverMs: number): number | undefined {
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(field)) return undefined;
  const value = Number(field);
  if (value <= monthS) return value * 1_000;
  if (value >= 1e9 && value < 1e11) return Math.max(0, value * 1_000 - serverMs);
  return value >= 1e12 && value < 1e14 ? Math.max(0, value - serverMs) : undefined;
}
