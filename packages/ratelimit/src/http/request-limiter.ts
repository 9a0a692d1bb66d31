import type { Decision, Refusal } from '../decision.js';
import type { WaitOptions } from '../limiter.js';
import type { LimitRequest } from '../request.js';

/** A request that was let in; whatever `release` returns, a promise too, is waited for by nobody. */
export interface Admission extends Decision {
  readonly allowed: true;
  /** Gives back the permits of concurrency limits. */
  release(): unknown;
}

export type Answer = Admission | Refusal;

/** What a middleware needs of a limiter: `Limiter` is one, and so is one that asks a store. */
export interface RequestLimiter {
  take(request: LimitRequest): Answer | Promise<Answer>;
  /** Needed only where requests are to wait. */
  wait?(request: LimitRequest, options?: WaitOptions): Promise<Answer>;
}
