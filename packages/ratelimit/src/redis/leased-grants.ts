import type { Decision } from '../decision.js';
import { RateLimitError } from '../errors.js';
import type { LimitRequest } from '../request.js';
import type { RedisGrant, RedisReservation, RedisSettled } from './grants.js';
import type { Lease } from './lease.js';
import type { Batch } from './lease-returns.js';
import type { LeaseTerm } from './lease-term.js';
import type { Leases } from './leases.js';

/** What was spent of a lease. */
export interface Spent {
  readonly term: LeaseTerm;
  readonly key: string;
  readonly cost: number;
  readonly batch: Batch;
  /** That it was spent of; another may be in its place when it is given back. */
  readonly lease: Lease;
}

/** A grant of leased limits and, where there are others, of those. */
export class LeasedGrant implements RedisGrant {
  readonly allowed = true;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs = 0;
  readonly resetMs: number;
  readonly #leases: Leases;
  readonly #spent: readonly Spent[];
  readonly #inner: RedisGrant | undefined;
  #isOpen = true;

  constructor(
    { by, remaining, limit, resetMs }: Decision,
    leases: Leases,
    spent: readonly Spent[],
    inner?: RedisGrant,
  ) {
    this.by = by;
    this.remaining = remaining;
    this.limit = limit;
    this.resetMs = resetMs;
    this.#leases = leases;
    this.#spent = spent;
    this.#inner = inner;
  }

  async release(): Promise<void> {
    await this.#inner?.release();
  }

  async refund(): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false;
      for (const { term, key, cost, batch } of this.#spent)
        this.#leases.of(term, key)?.giveBack(cost, batch);
    }
    await this.#inner?.refund();
  }

  /** What leased limits took is corrected to what it did cost. */
  async correct(request: LimitRequest, actual: number): Promise<RedisSettled> {
    this.#isOpen = false;
    const asked = this.#spent.map(async ({ term, key, cost, batch }) => {
      const more = costIn(term, request, actual, cost) - cost;
      const lease = this.#leases.of(term, key);
      if (more < 0) lease?.giveBack(-more, batch);
      return more > 0 && lease !== undefined ? await lease.owe(more) : 0;
    });
    const left = await Promise.all(asked);
    return {
      overspent: Math.max(0, ...left.map((one) => one ?? 0)),
      pending: left.includes(undefined),
    };
  }
}

/** A reservation of leased limits and of those that are not. */
export function leasedReservation(
  grant: LeasedGrant,
  inner: RedisReservation | undefined,
  request: LimitRequest,
): RedisReservation {
  const { by, remaining, limit, resetMs } = grant;
  let isOpen = true;
  return {
    ...{ allowed: true, by, remaining, limit, retryAfterMs: 0, resetMs },
    settle: async (actual) => {
      if (!(actual >= 0 && actual < Number.POSITIVE_INFINITY)) {
        throw new RateLimitError(
          'bad_request',
          `what it cost is ${actual}, not a number of 0 or more`,
        );
      }
      if (!isOpen) return { overspent: 0, pending: false };
      isOpen = false;
      const none = { overspent: 0, pending: false };
      const [leased, stored] = await Promise.all([
        grant.correct(request, actual),
        inner === undefined ? none : inner.settle(actual),
      ]);
      return {
        overspent: Math.max(leased.overspent, stored.overspent),
        pending: leased.pending || stored.pending,
      };
    },
    release: async () => {
      if (!isOpen) return;
      isOpen = false;
      await Promise.all([grant.refund(), inner?.release()]);
    },
  };
}

/** Where nobody can say what it did cost, the estimate stands. */
function costIn(term: LeaseTerm, request: LimitRequest, actual: number, estimate: number): number {
  try {
    return term.costOf({ ...request, cost: actual });
  } catch {
    return estimate;
  }
}
