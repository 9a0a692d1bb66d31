import type { Decision } from '@gatebook/ratelimit';
import type { LimitSpec } from '../limits.js';
import type { LimitAnswer, SharedRequest } from './state/message.js';

/** Where the limits of a gate are counted: by the process that writes the log (`StateClient`), or in a store of the operator's. */
export interface Buckets {
  readonly hasLimits: boolean;
  /** Takes from all limits or from none. `approval`: the one by which the call passes, used up where it was for one call. */
  take(request: SharedRequest, approval?: string): Promise<LimitAnswer>;
  /** What `take` would say. */
  peek(request: SharedRequest): Promise<LimitAnswer>;
  /** The call was not made: what was taken for it is given back, the approval it used too. */
  refund(grant: string): Promise<unknown>;
  /** The call has ended, and what was taken stays taken. Returns the grant that the holder of the state knows it by. */
  spent(grant: string): string | undefined;
  /** Other limits from now on; those of the same name go on with what was used. */
  change(specs: readonly LimitSpec[]): void | Promise<void>;
  close(): Promise<void>;
}

/** A decision as it is told: `by` is the operator's name of the limit. */
export function limitAnswer(
  { allowed, remaining, limit, retryAfterMs, reason }: Decision,
  by: string,
): LimitAnswer {
  return {
    allowed,
    by,
    remaining: finite(remaining),
    limit: finite(limit),
    retryAfterMs: finite(retryAfterMs),
    ...(reason === undefined ? {} : { reason }),
  };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
