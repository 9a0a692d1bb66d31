import type { KeyWords } from './key-words.js';
import type { Limit } from './limit.js';
import type { LimitRequest } from './request.js';

/** Why a limit refuses. */
export type Reason =
  | 'limit' // it is used up
  | 'blocked' // the key was blocked
  | 'never' // the cost is more than there can ever be
  | 'keys' // the key is new, and there is no room for one
  | 'queue' // somebody who came before is waiting for it
  | 'deadline' // it would not be ready in time
  | 'waiting' // too many wait already
  | 'ids' // too many ids were given in the last 30 s, and this is another
  | 'store'; // what counts it does not answer

/**
 * One limit at work. `look` finds what a request would meet and changes nothing but what it says afterwards, and what the next `take`
 * is about; so all limits are looked at first, and taken from only if each lets the request in. A key is what was read of a request,
 * and is found in a row; the row's age tells that key from those that had the row before or have it later.
 */
export interface Meter {
  readonly name: string;
  readonly shadow: boolean;
  readonly maxDebt: number | undefined;
  /** Whether what was taken is given back when the call has ended. */
  readonly isReleased: boolean;
  /** Members in its scope. */
  readonly breadth: number;
  /** A bit for each of them. */
  readonly bits: number;
  readonly max: number;
  /** Keys it remembers. */
  readonly keys: number;
  /** All requests by default. */
  readonly match: ((request: LimitRequest) => boolean) | undefined;
  readonly keyOf: (request: LimitRequest) => string;
  costOf(request: LimitRequest): number;
  /** 0 when `cost` may be taken now; else the ms after which it may, if nobody else takes: infinite when that is never or unknown. */
  look(key: KeyWords, cost: number, now: number): number;
  /** Of what was looked at last: why it was refused, and what there is now. */
  readonly reason: Reason;
  readonly left: number;
  /** The row of the key that was looked at or taken from last; -1 when it has none. */
  readonly row: number;
  /** Requests that met it and were let in, that it is named for refusing, and that it would have refused but for its shadow. */
  allowed: number;
  refused: number;
  shadowRefused: number;
  /** Takes what was looked at last; returns a mark to give it back by. */
  take(key: KeyWords, cost: number, now: number): number;
  ageOf(row: number): number;
  keyOfRow(row: number): string;
  /**
   * Gives back what was taken, but never beyond full, nor to another key or period than it was taken from. `since` is what the limiter's
   * `Order` had come to when it was taken.
   */
  giveBack(row: number, age: number, cost: number, mark: number, now: number, since: number): void;
  /** The ms until `used` of the most there can be has come back. */
  msFor(used: number, now: number): number;
  reset(key: KeyWords): void;
  /** Takes more of what was taken, although it may not be there, until `debtMost` beyond all there can be; returns what it did not take. */
  exceed(key: KeyWords, cost: number, debtMost: number, mark: number, now: number): number;
  /** The ms until `cost` is there behind others who want `ahead` of it; 0 where that cannot be told. */
  msBehind(key: KeyWords, ahead: number, cost: number, now: number): number;
  /** What each key has used, to be restored later; a key that is as good as new is left out. */
  used(now: number): IterableIterator<readonly [key: string, used: number]>;
  /** As if so much had been used `passedMs` ago. */
  restore(key: KeyWords, used: number, now: number, passedMs: number): void;
  /** Goes on as another limit with the same name, scope and kind: what was used stays used. */
  change(limit: Limit, now: number): void;
}
