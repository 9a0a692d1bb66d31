import {
  type CalendarPeriod,
  checkLimits,
  type Limit,
  parseRate,
  type Rate,
  RateLimitError,
  type Scope,
} from '@gatebook/ratelimit';
import type { RateLimitingConfig } from './config/schema.js';

/** Limits as the options of a command give them: rates such as `60/min`, and `PATTERN=RATE` for tools. */
export interface LimitWords {
  /** Of all calls together. */
  readonly limit?: string | undefined;
  /** Of each user's. */
  readonly limitPerUser?: string | undefined;
  /** Of each tool whose name matches; `*` in a pattern stands for any characters. */
  readonly limitTool?: readonly string[] | undefined;
}

/** A limit as plain data, which can be sent to the process that holds its buckets: of a rate, of what is in flight, or a quota. */
export interface LimitSpec {
  readonly name: string;
  readonly rate?: Rate | undefined;
  /** The rate's count by default. */
  readonly burst?: number | undefined;
  /** So many calls may be under way at once. */
  readonly inFlight?: number | undefined;
  readonly quota?: Quota | undefined;
  /** What each has a bucket of its own; one bucket for all by default. */
  readonly scope?: Scope | undefined;
  /** Which tools meet it, `*` standing for any characters; without it every call does, also those that are of no tool. */
  readonly tool?: string | undefined;
  /** What a call costs: 1, or as much as it says. */
  readonly cost?: 'call' | 'cost' | undefined;
  readonly shadow?: boolean | undefined;
}

export interface Quota {
  readonly max: number;
  readonly period: CalendarPeriod | { readonly rollingMs: number };
}

/**
 * What these words mean; empty when there are none.
 *
 * @throws RateLimitError `bad_limit`, `duplicate_limit`, quoting the words
 */
export function limitsFrom({ limit, limitPerUser, limitTool = [] }: LimitWords): LimitSpec[] {
  const specs: LimitSpec[] = [];
  if (limit !== undefined) specs.push({ name: 'global', rate: parseRate(limit), cost: 'cost' });
  if (limitPerUser !== undefined)
    specs.push({ name: 'per-user', scope: ['actor'], rate: parseRate(limitPerUser) });
  for (const words of limitTool) specs.push(toolLimit(words));
  checkLimits(specs.map(limitOf));
  return specs;
}

/** The limits of a configuration; none where they are off. */
export function configuredLimits(config: RateLimitingConfig): LimitSpec[] {
  if (!config.enabled) return [];
  const scope = config.perUserLimit ? (['actor'] as const) : [];
  const own: LimitSpec[] = [
    { name: 'requests_per_minute', scope, rate: perMinute(config.requestsPerMinute), cost: 'call' },
    {
      name: 'tool_executions_per_minute',
      scope,
      rate: perMinute(config.toolExecutionsPerMinute),
      cost: 'call',
      tool: '*',
    },
  ];
  return [...own, ...Object.entries(config.limits).map(([name, words]) => named(name, words))];
}

function named(name: string, words: RateLimitingConfig['limits'][string]): LimitSpec {
  const { rate, burst, inFlight, quota, zone, rolling, ...common } = words;
  const own = { name, ...common };
  if (inFlight !== undefined) return { ...own, inFlight };
  if (quota !== undefined) return { ...own, quota: parseQuota(quota, zone) };
  if (rolling !== undefined) {
    const { count, perMs } = parseRate(rolling);
    return { ...own, quota: { max: count, period: { rollingMs: perMs } } };
  }
  return { ...own, rate: parseRate(rate ?? ''), burst };
}

const calendars = ['minute', 'hour', 'day', 'week', 'month'] as const;

/**
 * `1000/month`: so many in a calendar minute, hour, day, week or month of a time zone (an IANA name).
 *
 * @throws RateLimitError `bad_limit` that quotes the text
 */
export function parseQuota(text: string, zone?: string): Quota {
  const [count = '', unit, ...more] = text.split('/');
  const calendar = calendars.find((each) => each === unit);
  if (!/^\d{1,15}$/.test(count) || calendar === undefined || more.length > 0) {
    throw new RateLimitError(
      'bad_limit',
      `${JSON.stringify(text)} is no quota; write it like 1000/month (${calendars.join(', ')})`,
    );
  }
  return { max: Number(count), period: { calendar, ...(zone === undefined ? {} : { zone }) } };
}

/** The limit that a spec describes. */
export function limitOf({ tool, rate, burst, inFlight, quota, ...common }: LimitSpec): Limit {
  const matches = tool === undefined ? undefined : matcherOf(tool);
  const own =
    matches === undefined
      ? common
      : {
          ...common,
          match: ({ tool: called }: { readonly tool?: string | undefined }) =>
            called !== undefined && matches(called),
        };
  if (inFlight !== undefined) return { ...own, kind: 'concurrency', max: inFlight };
  if (quota !== undefined) return { ...own, ...quota, kind: 'quota' };
  return { ...own, rate: rate ?? { count: 0, perMs: 1 }, burst };
}

/** The most there can be in it: tokens, calls in flight, or what a quota counts. */
export function mostOf({ rate, burst, inFlight, quota }: LimitSpec): number {
  return inFlight ?? quota?.max ?? burst ?? Math.max(1, rate?.count ?? 0);
}

function perMinute(count: number): Rate {
  return { count, perMs: 60_000 };
}

function toolLimit(words: string): LimitSpec {
  const end = words.lastIndexOf('=');
  const tool = end === -1 ? '*' : words.slice(0, end);
  return { name: `tool:${tool}`, scope: ['tool'], rate: parseRate(words.slice(end + 1)), tool };
}

/** Whether a name is as a pattern says, whole; nothing but `*` is special. */
function matcherOf(pattern: string): (name: string) => boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (name) => name === first;
  return (name) => {
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    let at = first.length;
    const end = name.length - last.length;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at <= end;
  };
}
