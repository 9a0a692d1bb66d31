import { Calendar } from './calendar.js';
import { RateLimitError } from './errors.js';
import { type LimitRequest, type Member, members, type Scope } from './request.js';

/** What a request costs in a limit: 1 for every call, the request's own cost (1 unless given), or what a function says. */
export type Cost = 'call' | 'cost' | ((request: LimitRequest) => number);

interface Common {
  /** Names the limit in decisions, events and records; one limiter has no two of one name. */
  readonly name: string;
  /** Which members of a request form its key; none by default: one bucket for all. */
  readonly scope?: Scope | undefined;
  /** Which requests meet it; all by default. */
  readonly match?: ((request: LimitRequest) => boolean) | undefined;
  /** `cost` by default. */
  readonly cost?: Cost | undefined;
  /** Counts what it would have refused, and refuses nothing. */
  readonly shadow?: boolean | undefined;
  /** How far beyond all there can be a settled reservation may go: as much again as there can be, by default. */
  readonly maxDebt?: number | undefined;
  /** How many keys it keeps at most: 1,000,000 by default. A new key beyond, when none can be forgotten, is refused. */
  readonly maxKeys?: number | undefined;
}

/** A token bucket: `count` tokens come back every `perMs`, and at most `burst` lie ready. It starts full. */
export interface RateLimit extends Common {
  readonly kind?: 'rate' | undefined;
  readonly rate: Rate;
  /** `rate.count` by default, but 1 where that is less than 1. */
  readonly burst?: number | undefined;
}

/** At most `max` in flight; a decision that lets one in carries its `release`. */
export interface ConcurrencyLimit extends Common {
  readonly kind: 'concurrency';
  readonly max: number;
}

/** At most `max` in a calendar period of a zone, or in any `rollingMs` (counted in 60 parts, the oldest of them whole). */
export interface QuotaLimit extends Common {
  readonly kind: 'quota';
  readonly max: number;
  readonly period: CalendarPeriod | { readonly rollingMs: number };
}

export interface CalendarPeriod {
  readonly calendar: 'minute' | 'hour' | 'day' | 'week' | 'month';
  /** An IANA name such as `Europe/Berlin`; UTC by default. A week begins on Monday. */
  readonly zone?: string | undefined;
}

export type Limit = RateLimit | ConcurrencyLimit | QuotaLimit;

export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

export function burstOf({ rate, burst }: RateLimit): number {
  return burst ?? (rate.count > 0 ? Math.max(1, rate.count) : 0);
}

const units: ReadonlyMap<string, number> = new Map([
  ...['ms', 'millisecond'].map((unit) => [unit, 1] as const),
  ...['s', 'sec', 'second'].map((unit) => [unit, 1_000] as const),
  ...['m', 'min', 'minute'].map((unit) => [unit, 60_000] as const),
  ...['h', 'hour'].map((unit) => [unit, 3_600_000] as const),
  ...['d', 'day'].map((unit) => [unit, 86_400_000] as const),
]);

/**
 * `60/min`: 60 per minute. Units are `s`, `min`, `h`, `day` (and their long forms), with a number before for a longer time:
 * `100/15min`. The count may be a fraction, and 0: nothing passes then.
 *
 * @throws RateLimitError `bad_limit` that quotes the text
 */
export function parseRate(text: string): Rate {
  const found = /^(\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)?([a-z]+)$/.exec(text);
  const unit = found === null ? undefined : units.get(found[3]!);
  if (found === null || unit === undefined) {
    throw new RateLimitError(
      'bad_limit',
      `${JSON.stringify(text)} is no rate; write it like 60/min (units: s, min, h, day)`,
    );
  }
  return { count: Number(found[1]), perMs: unit * Number(found[2] ?? 1) };
}

/** Throws unless the limit can work, naming what is wrong with it. */
export function checkLimit(limit: Limit): void {
  const refuse = (what: string): never => {
    throw new RateLimitError('bad_limit', `the limit ${JSON.stringify(limit.name)}: ${what}`);
  };
  const notNegative = (value: number, what: string): void => {
    if (!Number.isFinite(value) || value < 0)
      refuse(`${what} is ${value}, not a number of 0 or more`);
  };
  if (typeof limit.name !== 'string' || limit.name === '') {
    throw new RateLimitError('bad_limit', 'a limit has no name');
  }
  for (const member of limit.scope ?? []) {
    if (!members.includes(member as Member))
      refuse(`its scope names ${JSON.stringify(member)}; there is ${members.join(', ')}`);
  }
  if (new Set(limit.scope).size !== (limit.scope ?? []).length)
    refuse('its scope names a member twice');
  notNegative(limit.maxDebt ?? 0, 'maxDebt');
  const { maxKeys = 1 } = limit;
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 1)
    refuse(`maxKeys is ${maxKeys}, not a whole number of 1 or more`);
  if (limit.kind === 'concurrency') {
    notNegative(limit.max, 'max');
  } else if (limit.kind === 'quota') {
    notNegative(limit.max, 'max');
    checkPeriod(limit, refuse);
  } else if (limit.kind === undefined || limit.kind === 'rate') {
    const { rate } = limit;
    if (typeof rate !== 'object' || rate === null) refuse('it has no rate');
    notNegative(rate.count, 'the rate’s count');
    if (!(rate.perMs > 0 && rate.perMs < Number.POSITIVE_INFINITY))
      refuse(`perMs is ${rate.perMs}, not a number above 0`);
    notNegative(limit.burst ?? 0, 'burst');
    if (burstOf(limit) * rate.perMs > 2 ** 53 || rate.count > 2 ** 53)
      refuse('its numbers are too large to count with');
  } else {
    refuse(
      `its kind is ${JSON.stringify((limit as { kind: unknown }).kind)}; there is rate, concurrency, quota`,
    );
  }
}

const calendars = ['minute', 'hour', 'day', 'week', 'month'];
/** A part of a rolling window lasts a millisecond at least. */
const rollingMostShort = 60;

function checkPeriod({ period }: QuotaLimit, refuse: (what: string) => never): void {
  if (typeof period !== 'object' || period === null) refuse('it has no period');
  if ('rollingMs' in period) {
    const { rollingMs } = period;
    if (!(rollingMs >= rollingMostShort && rollingMs < Number.POSITIVE_INFINITY))
      refuse(`rollingMs is ${rollingMs}, not a number of ${rollingMostShort} or more`);
    return;
  }
  if (!calendars.includes(period.calendar))
    refuse(
      `its calendar period is ${JSON.stringify(period.calendar)}; there is ${calendars.join(', ')}`,
    );
  // Throws for a zone that is not known.
  new Calendar(period);
}
