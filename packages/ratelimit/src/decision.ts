import type { Meter, Reason } from './meter.js';

/** What a limiter says to a request. A refusal is an answer as well, and has cost nothing in any limit. */
export interface Decision {
  readonly allowed: boolean;
  /** The limit that decided: of those that refuse the one that takes longest, of those that allow the one with least left. Empty without any limit. */
  readonly by: string;
  /** What is left in it: tokens, permits or what its quota counts, rounded down. Infinite without any limit. */
  readonly remaining: number;
  /** The most there can be in it. */
  readonly limit: number;
  /** The ms after which the same request would be let in if nobody else came: 0 if it was; infinite if never, or when nobody can tell. */
  readonly retryAfterMs: number;
  /** The ms until it is as if it had never been used, if it is not used meanwhile. */
  readonly resetMs: number;
  /** Why it was refused. */
  readonly reason?: Reason | undefined;
}

/** A request that was let in. */
export interface Grant extends Decision {
  readonly allowed: true;
  /** Gives back the permits of concurrency limits. Only the first call does. */
  release(): void;
  /** Gives back all that was taken, the permits included, but never beyond full. Only the first call does. */
  refund(): void;
}

export interface Refusal extends Decision {
  readonly allowed: false;
  readonly reason: Reason;
}

/** What a request took. */
export interface Taken {
  readonly meters: readonly Meter[];
  /**
   * For each limit: the row of its key or one of those below, that row's age, the cost and the mark. Behind them, what the limiter's
   * `Order` had come to.
   */
  readonly held: readonly number[];
}

/** In place of a row: the request did not meet the limit, or it cost nothing there and the key has none. */
export const notMet = -1;
export const noRow = -2;

/** Numbers in `held` for each limit. */
export const heldStride = 4;

/** Gives back, of what a request took, the permits or the rest. */
export type GiveBack = (taken: Taken, permits: boolean) => void;

const permitsOut = 1;
const restOut = 2;

/** A grant that remembers what it took. */
export class HeldGrant implements Grant, Taken {
  readonly allowed = true;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs = 0;
  readonly resetMs: number;
  readonly #meters: readonly Meter[];
  readonly #held: readonly number[];
  readonly #giveBack: GiveBack;
  #out = permitsOut | restOut;

  constructor(
    by: string,
    remaining: number,
    limit: number,
    resetMs: number,
    meters: readonly Meter[],
    held: readonly number[],
    giveBack: GiveBack,
  ) {
    this.by = by;
    this.remaining = remaining;
    this.limit = limit;
    this.resetMs = resetMs;
    this.#meters = meters;
    this.#held = held;
    this.#giveBack = giveBack;
  }

  get meters(): readonly Meter[] {
    return this.#meters;
  }

  get held(): readonly number[] {
    return this.#held;
  }

  release(): void {
    if ((this.#out & permitsOut) === 0) return;
    this.#out &= ~permitsOut;
    this.#giveBack(this, true);
  }

  refund(): void {
    this.release();
    if ((this.#out & restOut) === 0) return;
    this.#out &= ~restOut;
    this.#giveBack(this, false);
  }
}
