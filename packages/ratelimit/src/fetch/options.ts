import { type Clock, systemClock } from '../clock.js';
import { RateLimitError } from '../errors.js';
import { burstOf, type Rate } from '../limit.js';
import { checkLimits } from '../meters.js';

export interface LimitedFetchOptions {
  /** How fast each origin is asked, as long as it does not object. */
  readonly rate: Rate;
  /** `rate.count` by default, but at least 1. */
  readonly burst?: number | undefined;
  /** What has a bucket of its own: by default the origin; with several accounts at one, the account too. */
  readonly keyOf?: ((url: URL) => string) | undefined;
  /** How long a call waits in all, for its turn and between retries, in ms: 60,000 by default. */
  readonly maxWaitMs?: number | undefined;
  /** How often a refused request is sent again: 2 by default. */
  readonly maxRetries?: number | undefined;
  /** Whether a refused request may be sent again: by default where the method is idempotent. What has a stream as its body never is. */
  readonly mayRetry?: ((method: string, url: URL) => boolean) | undefined;
  /** For how long an origin is believed to want silence, in ms: 3,600,000 by default. */
  readonly maxPauseMs?: number | undefined;
  /** After how long without refusals the rate rises again by a tenth of the whole, in ms: 10,000 by default. */
  readonly recoverMs?: number | undefined;
  /** How many keys are remembered: 1,000 by default. */
  readonly maxKeys?: number | undefined;
  /** How many calls may wait at once: 10,000 by default. */
  readonly maxWaiting?: number | undefined;
  /** The system's by default. */
  readonly clock?: Clock | undefined;
  /** From 0 to less than 1, for waits that nobody has said: `Math.random` by default. */
  readonly random?: (() => number) | undefined;
}

export type FetchPlan = {
  readonly [Name in keyof LimitedFetchOptions]-?: NonNullable<LimitedFetchOptions[Name]>;
};

/** RFC 9110, section 9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** @throws RateLimitError `bad_option`; `bad_limit` for a rate or burst that no limit can have */
export function planOf(options: LimitedFetchOptions): FetchPlan {
  checkLimits([{ name: 'own', rate: options.rate, burst: options.burst }]);
  const plan: FetchPlan = {
    rate: options.rate,
    burst: options.burst ?? Math.max(1, burstOf({ name: 'own', rate: options.rate })),
    keyOf: options.keyOf ?? (({ origin }) => origin),
    maxWaitMs: options.maxWaitMs ?? 60_000,
    maxRetries: options.maxRetries ?? 2,
    mayRetry: options.mayRetry ?? ((method) => idempotent.has(method)),
    maxPauseMs: options.maxPauseMs ?? 3_600_000,
    recoverMs: options.recoverMs ?? 10_000,
    maxKeys: options.maxKeys ?? 1_000,
    maxWaiting: options.maxWaiting ?? 10_000,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
  const { rate, burst } = plan;
  if (!(rate.count > 0)) throw badOption('rate.count', rate.count, 'a number above 0');
  if (!(burst >= 1)) throw badOption('burst', burst, 'a number of 1 or more');
  for (const name of ['maxWaitMs', 'maxPauseMs', 'recoverMs', 'maxRetries'] as const) {
    if (!(plan[name] >= 0)) throw badOption(name, plan[name], 'a number of 0 or more');
  }
  for (const name of ['maxKeys', 'maxWaiting'] as const) {
    if (!(plan[name] >= 1)) throw badOption(name, plan[name], 'a number of 1 or more');
  }
  return plan;
}

function badOption(name: string, value: number, wanted: string): RateLimitError {
  return new RateLimitError('bad_option', `${name} is ${value}, not ${wanted}`);
}
