import { RateLimitError } from './errors.js';

/** What a limit's key can be made of. */
export const members = ['actor', 'channel', 'session', 'tool'] as const;
export type Member = (typeof members)[number];

/** One call that wants to be let through. What it does not name is absent: all requests without an actor share one bucket. */
export interface LimitRequest {
  readonly actor?: string | undefined;
  readonly channel?: string | undefined;
  readonly session?: string | undefined;
  readonly tool?: string | undefined;
  /** What it costs in limits that weigh: tokens, cents, bytes. 1 unless given; may be a fraction, or 0. */
  readonly cost?: number | undefined;
}

/** The members that form a limit's key; none of them for one bucket that all share. */
export type Scope = readonly Member[];

/**
 * A function from a request to its key. Members are joined with their lengths, and an absent one differs from every string, so that
 * no two requests share a key unless all members of the scope are the same: a user called `tool:x` is only that.
 */
export function keyMaker(scope: Scope): (request: LimitRequest) => string {
  const [first, ...rest] = scope;
  if (first === undefined) return () => '';
  if (rest.length === 0) return ofOne[first];
  return (request) => {
    let key = '';
    for (const member of scope) {
      const value = request[member];
      if (value === undefined) key += '-';
      else key += `${checked(value, member).length}:${value}`;
    }
    return key;
  };
}

/** One function for each member, since reading a member by a computed name is slower. */
const ofOne: Readonly<Record<Member, (request: LimitRequest) => string>> = {
  actor: ({ actor }) => keyOfOne(actor, 'actor'),
  channel: ({ channel }) => keyOfOne(channel, 'channel'),
  session: ({ session }) => keyOfOne(session, 'session'),
  tool: ({ tool }) => keyOfOne(tool, 'tool'),
};

/** The value itself; what is no value starts with a character that is put before values that start with it. */
function keyOfOne(value: string | undefined, member: Member): string {
  if (value === undefined) return absent;
  const first = checked(value, member).charCodeAt(0);
  return first === 0 ? `\0${value}` : value;
}

/** Doubled at the beginning of a value, so no value is the same. */
const absent = '\0-';

/** @throws RateLimitError `bad_request` */
export function checked(value: string, member: Member): string {
  if (typeof value === 'string') return value;
  throw new RateLimitError('bad_request', `${member} is no string`);
}

/** The request whose key this is: what `keyMaker` makes of it is the key. Undefined when it is the key of none. */
export function requestOf(scope: Scope, key: string): LimitRequest | undefined {
  const request: { [member in Member]?: string } = {};
  const [only] = scope;
  if (scope.length === 1) {
    if (key !== absent) request[only!] = key.startsWith('\0') ? key.slice(1) : key;
  } else {
    let rest = key;
    for (const member of scope) {
      if (rest.startsWith('-')) {
        rest = rest.slice(1);
        continue;
      }
      const length = /^(\d+):/.exec(rest);
      if (length === null) return undefined;
      const from = length[0].length;
      const to = from + Number(length[1]);
      request[member] = rest.slice(from, to);
      rest = rest.slice(to);
    }
  }
  return keyMaker(scope)(request) === key ? request : undefined;
}
