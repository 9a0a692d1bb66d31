import { createHash } from 'node:crypto';
import { RateLimitError } from '../errors.js';
import { burstOf, type RateLimit } from '../limit.js';
import { MeterBase } from '../meter-base.js';
import { shapeOf } from '../meters.js';
import type { OnStoreFailure, RedisLimit } from './term.js';

/** How a limit is leased. */
export interface LeaseOptions {
  /**
   * Tokens that all processes together may have leased and not spent: so many more than the limit says may be let through in one window.
   * With 0 every request is decided in the store.
   */
  readonly overshoot: number;
  /** Tokens that one process leases at most: its share of `overshoot` among `expectedProcesses` by default. */
  readonly slice?: number | undefined;
}

/** How long a lease lasts that nobody renews. */
export const leaseMs = 5_000;
const weekMs = 7 * 86_400_000;
/** As far ahead as Redis can count. */
const keptMostMs = 1e13;

/** A leased limit: its keys, and its numbers in units of which `perToken` are a token and `count` come in per µs. */
export class LeaseTerm extends MeterBase {
  readonly limit: RedisLimit;
  readonly max: number;
  readonly onStoreFailure: OnStoreFailure;
  readonly count: number;
  readonly perToken: number;
  readonly burst: number;
  readonly slice: number;
  readonly overshoot: number;
  /** How much may lack at most: a settled reservation may have taken more than there is. */
  readonly lackMost: number;
  /** So long after it was last leased from a bucket is forgotten. */
  readonly keptMs: number;
  readonly #head: string;
  readonly #shape: string;

  /** @throws RateLimitError `bad_limit` where it cannot be leased */
  constructor(limit: RedisLimit, options: LeaseOptions, prefix: string, processes: number) {
    super(limit);
    this.limit = limit;
    if (!isBucket(limit)) throw bad(limit, 'only a rate can be leased; leave it out of `leases`');
    const { overshoot, slice = overshoot / processes } = options;
    if (!(overshoot >= 0 && overshoot < Number.POSITIVE_INFINITY))
      throw bad(limit, `its overshoot is ${overshoot}, not a number of 0 or more`);
    if (!(slice >= 0 && slice <= overshoot))
      throw bad(limit, `its slice is ${slice}, not a number from 0 to its overshoot`);
    if (limit.rate.count === 0)
      throw bad(limit, 'nothing comes in at a rate of 0, so nothing can be leased');
    this.onStoreFailure = limit.onStoreFailure ?? 'deny';
    this.max = burstOf(limit);
    this.count = limit.rate.count;
    this.perToken = limit.rate.perMs * 1_000;
    this.burst = this.max * this.perToken;
    this.lackMost = (this.max + (limit.maxDebt ?? this.max)) * this.perToken;
    this.slice = slice * this.perToken;
    this.overshoot = overshoot * this.perToken;
    if (this.lackMost + this.overshoot > 2 ** 53)
      throw bad(
        limit,
        'its numbers times its period in µs are over 2^53, too large to count with in Redis',
      );
    this.keptMs = Math.min(
      keptMostMs,
      Math.max(weekMs, Math.ceil((2 * this.lackMost) / this.count / 1_000)),
    );
    this.#shape = shapeOf(limit);
    this.#head = `${prefix}:lease:`;
  }

  /** Each key has a slot of its own. */
  storeKey(key: string): string {
    const digest = createHash('sha256').update(`${this.#shape}\n${key}`).digest('base64url');
    return `${this.#head}{${digest}}`;
  }

  get shape(): string {
    return this.#shape;
  }
}

function isBucket(limit: RedisLimit): limit is RateLimit & RedisLimit {
  return limit.kind === undefined || limit.kind === 'rate';
}

function bad({ name }: RedisLimit, what: string): RateLimitError {
  return new RateLimitError('bad_limit', `the limit ${JSON.stringify(name)}: ${what}`);
}
