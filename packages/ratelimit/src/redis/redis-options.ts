import { type Clock, systemClock } from '../clock.js';
import { RateLimitError } from '../errors.js';
import type { RedisClient } from './client.js';
import { checkEvictionOptions, type EvictionOptions } from './eviction-guard.js';
import type { RedisLimit } from './term.js';

export interface RedisLimiterOptions extends EvictionOptions {
  /** As in memory; each may say besides what becomes of its requests while the store is away. */
  readonly limits: readonly RedisLimit[];
  /** Of `ioredis` or of `redis`; it is yours to connect and to close. */
  readonly client: RedisClient;
  /** All keys begin with it, in braces, so that a cluster keeps them in one slot: `gatebook` by default. */
  readonly prefix?: string | undefined;
  /** After so long the store counts as away for a call: 250 ms by default. */
  readonly timeoutMs?: number | undefined;
  /** How many may wait at once: 10,000 by default. One more is refused. */
  readonly maxWaiting?: number | undefined;
  /** Calls to the store that may be under way: 10,000 by default. One more is treated as if the store were away. */
  readonly maxInFlight?: number | undefined;
  /** Among how many processes a limit that counts locally while the store is away is shared: 1 by default. */
  readonly expectedProcesses?: number | undefined;
  /** Time-outs and waits; what is counted goes by the store's clock. */
  readonly clock?: Clock | undefined;
  /** Told when the store is found to be away (false), and when it is back (true). */
  readonly onStoreChange?: ((isUp: boolean) => void) | undefined;
}

export interface RequestOptions {
  /** The same id within 30 s is the same request, and gets the same grant until that is given back; for those who try again. */
  readonly id?: string | undefined;
}

/** What was said, and for the rest what holds by default. @throws RateLimitError `bad_option` */
export function withDefaults(options: RedisLimiterOptions) {
  const { prefix = 'gatebook', clock = systemClock } = options;
  const { timeoutMs = 250, maxWaiting = 10_000, maxInFlight = 10_000 } = options;
  const { expectedProcesses = 1 } = options;
  checkOption('timeoutMs', timeoutMs, timeoutMs > 0);
  checkOption('maxWaiting', maxWaiting, maxWaiting >= 0);
  checkOption('maxInFlight', maxInFlight, maxInFlight >= 1);
  checkOption('expectedProcesses', expectedProcesses, expectedProcesses >= 1);
  checkEvictionOptions(options);
  if (prefix === '' || /[{}]/.test(prefix))
    throw new RateLimitError(
      'bad_option',
      `prefix is ${JSON.stringify(prefix)}; it must be text without braces`,
    );
  return { prefix, clock, timeoutMs, maxWaiting, maxInFlight, expectedProcesses };
}

function checkOption(name: string, value: number, isGood: boolean): void {
  if (Number.isFinite(value) && isGood) return;
  throw new RateLimitError(
    'bad_option',
    `${name} is ${value}; see RedisLimiterOptions for what it may be`,
  );
}
