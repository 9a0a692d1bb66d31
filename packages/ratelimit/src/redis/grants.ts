import type { Decision, Refusal } from '../decision.js';

/** A request that was let in. */
export interface RedisGrant extends Decision {
  readonly allowed: true;
  /** Gives back the permits of concurrency limits. Only the first call does. Never fails: what the store does not take is tried again. */
  release(): Promise<void>;
  /** Gives back all that was taken and has not come back by itself. Only the first call does. Never fails. */
  refund(): Promise<void>;
}

export interface RedisSettled {
  /** As in memory: what went beyond the estimate and is in no budget. */
  readonly overspent: number;
  /** The store did not answer: it is corrected later, for 45 s, and `overspent` is not known. */
  readonly pending: boolean;
}

export interface RedisReservation extends Decision {
  readonly allowed: true;
  settle(actual: number): Promise<RedisSettled>;
  release(): Promise<void>;
}

export type RedisTaken = RedisGrant | Refusal;
export type RedisReserved = RedisReservation | Refusal;
