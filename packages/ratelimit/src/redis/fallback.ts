import type { Clock } from '../clock.js';
import type { Grant, Refusal } from '../decision.js';
import { burstOf, type Limit } from '../limit.js';
import { Limiter } from '../limiter.js';
import type { LimitRequest } from '../request.js';
import type { RedisLimit, Term } from './term.js';

/** Limits whose store is away. */
export interface Failing {
  readonly terms: readonly Pick<Term, 'name' | 'onStoreFailure' | 'shadow' | 'max'>[];
}

/** What decides while the store is away: limits that say `local` by this process's share of them, counted here. */
export class Fallback {
  readonly #local: Limiter;
  readonly #processes: number;

  constructor(limits: readonly RedisLimit[], expectedProcesses: number, clock: Clock) {
    this.#processes = expectedProcesses;
    this.#local = new Limiter({ limits: [], clock });
    this.setLimits(limits);
  }

  /** What was counted here goes on to count, as `Limiter.setLimits` says. */
  setLimits(limits: readonly RedisLimit[]): void {
    const local = limits.filter(({ onStoreFailure }) => onStoreFailure === 'local');
    this.#local.setLimits(local.map((limit) => shareOf(limit, this.#processes)));
  }

  /** The first limit that denies refuses; otherwise the local ones decide, and the rest let in. */
  take({ terms }: Failing, request: LimitRequest, retryAfterMs: number): Grant | Refusal {
    const denies = terms.find((term) => term.onStoreFailure === 'deny' && !term.shadow);
    if (denies === undefined) return this.#local.take(request);
    return {
      allowed: false,
      by: denies.name,
      reason: 'store',
      remaining: 0,
      limit: denies.max,
      retryAfterMs: Math.max(1, Math.ceil(retryAfterMs)),
      resetMs: Math.max(1, Math.ceil(retryAfterMs)),
    };
  }
}

/** Rounded down where it is counted in whole calls, so that all shares together are never more than the limit. */
function shareOf(limit: RedisLimit, processes: number): Limit {
  const { onStoreFailure: _, ...rest } = limit;
  if (rest.kind === 'concurrency' || rest.kind === 'quota') {
    return { ...rest, max: rest.max / processes };
  }
  const rate = { ...rest.rate, count: rest.rate.count / processes };
  return { ...rest, rate, burst: burstOf(rest) / processes };
}
