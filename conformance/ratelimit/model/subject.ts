import type { Decision, Limit, LimitCounters, LimitRequest } from '@gatebook/ratelimit';

/** What a limiter is asked to do in these tests, wherever its buckets lie. */
export interface Subject {
  take(request: LimitRequest): Promise<Answer>;
  peek(request: LimitRequest): Promise<Decision>;
  counters(): readonly LimitCounters[];
  /** Lets time pass, for the limiter and for where its buckets lie. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface Answer {
  readonly decision: Decision;
  /** What was let in. */
  readonly held: Held | undefined;
}

export interface Held {
  release(): Promise<void>;
  refund(): Promise<void>;
}

/** Opens a limiter at 0 ms and at a time of the wall clock. */
export type Open = (limits: readonly Limit[], wall: number) => Promise<Subject>;
