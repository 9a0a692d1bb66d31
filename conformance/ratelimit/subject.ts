import type { Limit, LimitRequest } from '@gatebook/ratelimit';

/** What the suites need of an answer. */
export interface Answer {
  readonly allowed: boolean;
  readonly retryAfterMs: number;
}

/** A limiter under test, whatever lies behind it. */
export interface Subject {
  take(request: LimitRequest): Promise<Answer>;
  wait(
    request: LimitRequest,
    options?: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
  ): Promise<Answer>;
  /** Sets the wall clock that it goes by this far ahead, or back. */
  stepWall(ms: number): Promise<void>;
  /** How many keys it keeps, those included that nobody needs any more. */
  keys(): Promise<number>;
  close(): Promise<void>;
}

/** Makes one in which nothing has been used yet. */
export type Open = (limits: readonly Limit[]) => Promise<Subject>;
