import type { Decision, Limit, LimitCounters, LimitRequest } from '@gatebook/ratelimit';

/** What a limiter is asked to do in these tests, wherever its buckets lie. */
export interface Subject {
  take(request: LimitRequest): Promise<Answer>;
  reserve(request: LimitRequest, estimate: number): Promise<Answer>;
  /** Comes to wait; what becomes of it is told by `ended`. */
  wait(request: LimitRequest, timeoutMs: number | undefined): Promise<void>;
  /** One gives up, by the number that it came as. */
  abort(waiter: number): Promise<void>;
  /** Whose waits ended since this was last asked, in any order. */
  ended(): Promise<WaitEnded[]>;
  peek(request: LimitRequest): Promise<Decision>;
  block(name: string, request: LimitRequest, ms: number): Promise<number>;
  reset(name: string, request: LimitRequest): Promise<void>;
  setLimits(limits: readonly Limit[]): Promise<void>;
  counters(): readonly LimitCounters[];
  /** Lets time pass, for the limiter and for where its buckets lie. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** A limiter whose state is in its process. */
export interface LocalSubject extends Subject {
  /** A new one goes on from the old one's snapshot, `ms` later by the wall clock. */
  restart(limits: readonly Limit[], ms: number): void;
  /** Sets the wall clock; the other one goes on. */
  stepWall(ms: number): void;
}

/** A limiter whose state is in a store that outlives its process. */
export interface StoredSubject extends Subject {
  /** Another takes the place of this one, which gives nothing back. */
  die(limits: readonly Limit[]): Promise<void>;
  /** Time passes everywhere, and the limiter does nothing until it has. */
  stall(ms: number): Promise<void>;
}

export interface Answer {
  readonly decision: Decision;
  /** What was let in. */
  readonly held: Held | undefined;
}

export interface WaitEnded {
  readonly waiter: number;
  /** When, in ms since the limiter was opened. */
  readonly now: number;
  /** Undefined for one that gave up. */
  readonly answer: Answer | undefined;
}

/** A grant or a reservation. */
export interface Held {
  release(): Promise<void>;
  refund(): Promise<void>;
  /** Returns what is in no budget. */
  settle(actual: number): Promise<number>;
}
