import type { Fraction } from './fraction.js';

/** A moment: ms of a clock that never goes back, and ms since 1970 by one that may be set. Whole numbers. */
export interface Instant {
  readonly now: number;
  readonly wall: number;
}

/** Ms, of which only the bounds may be known. */
export interface Span {
  readonly least: number;
  readonly most: number;
}

export const exactly = (ms: number): Span => ({ least: ms, most: ms });

/** What one key has used of one limit, kept as who took how much. */
export interface Account {
  /** The most there can be. */
  most: Fraction;
  used(at: Instant): Fraction;
  /** Ms after which so much more fits, though nobody gives anything back: 0 for now, infinite for never. */
  waitMs(cost: Fraction, at: Instant): number;
  /** Ms until nothing is used any more. */
  resetMs(at: Instant): Span;
  take(taker: number, cost: Fraction, at: Instant): void;
  /** Gives back so much of what a taker took, as far as it has not come back by itself. */
  giveBack(taker: number, amount: Fraction, at: Instant): void;
  /** Takes so much more although it may not be there, until `debtMost` beyond all there can be; returns what was not taken. */
  exceed(taker: number, amount: Fraction, debtMost: Fraction, at: Instant): Fraction;
  reset(): void;
  /** Goes on from what an earlier limiter had counted at another time; nobody can give that back. */
  restore(used: Fraction, then: Instant, at: Instant): void;
  /** One of its own that has the same, to try with what would come. */
  copy(): Account;
}
