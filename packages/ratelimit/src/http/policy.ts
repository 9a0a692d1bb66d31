import { serializeString } from 'structured-headers';
import { burstOf, type Limit, type QuotaLimit } from '../limit.js';

/** A limit as `RateLimit-Policy` tells it: draft-ietf-httpapi-ratelimit-headers-11, section 3. */
export interface Policy {
  readonly name: string;
  /** How many at most: in `windowS`, or at once where the unit says so. */
  readonly quota: number;
  /** Whole seconds; undefined where there is no window. */
  readonly windowS: number | undefined;
  /** Undefined for requests. */
  readonly unit: 'concurrent-requests' | undefined;
}

/** The most an Integer can be: RFC 9651, section 3.3.1. */
const mostInteger = 999_999_999_999_999;

const periodS = { minute: 60, hour: 3_600, day: 86_400, week: 604_800, month: 2_678_400 } as const;

/**
 * What clients may be told of the limits: those in the shadow are not told, since they refuse nothing.
 *
 * Of a token bucket, its burst and the time in which that comes back, not the count and time of its rate: whoever takes no more than
 * the one in the other is never refused, nor slower than the rate allows. With the burst that a rate has by default, that is the rate.
 * A window is rounded up to whole seconds, since the draft has no shorter ones, so a bucket that fills within one is told slower than
 * it is. A month is told as 31 days.
 */
export function policiesOf(limits: readonly Limit[]): Policy[] {
  return limits.filter(({ shadow }) => shadow !== true).map(policyOf);
}

function policyOf(limit: Limit): Policy {
  const { name } = limit;
  if (limit.kind === 'concurrency')
    return { name, quota: limit.max, windowS: undefined, unit: 'concurrent-requests' };
  if (limit.kind === 'quota')
    return { name, quota: limit.max, windowS: quotaWindowS(limit), unit: undefined };
  const { count, perMs } = limit.rate;
  const burst = burstOf(limit);
  const windowS = (burst * perMs) / count / 1_000;
  return { name, quota: burst, windowS: count > 0 ? windowS : undefined, unit: undefined };
}

function quotaWindowS({ period }: QuotaLimit): number {
  return 'rollingMs' in period ? period.rollingMs / 1_000 : periodS[period.calendar];
}

/** The value of `RateLimit-Policy`; undefined for no policies, since the list must not be empty. */
export function policyField(policies: readonly Policy[]): string | undefined {
  if (policies.length === 0) return undefined;
  return policies
    .map(({ name, quota, windowS, unit }) => {
      const window = windowS === undefined ? '' : `;w=${Math.max(1, integer(Math.ceil(windowS)))}`;
      const units = unit === undefined ? '' : `;qu=${serializeString(unit)}`;
      return `${nameItem(name)};q=${integer(quota)}${units}${window}`;
    })
    .join(', ');
}

/** A number of 0 or more as an Integer has room for it. */
export function integer(value: number): number {
  return Math.min(mostInteger, Math.max(0, Math.floor(value)));
}

/**
 * The name of a limit in fields and problems. Strings of RFC 9651 are printable ASCII, so what is not, and `%`, is written as the
 * percent-encoded bytes of its UTF-8, in small letters as in its Display Strings: `täglich` is `t%c3%a4glich`.
 */
export function policyName(name: string): string {
  return name
    .toWellFormed()
    .replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    );
}

export function nameItem(name: string): string {
  return serializeString(policyName(name));
}
