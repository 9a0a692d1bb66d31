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

/** Gives back, of what a request took, the permits or the rest. */
export type GiveBack = (taken: Taken, permits: boolean) => void;

export interface Taken {
  readonly meters: readonly Meter[];
  readonly keys: readonly (string | undefined)[];
  readonly costs: readonly number[];
  readonly marks: readonly number[] | undefined;
  /** What the limiter's order of giving back had come to. */
  readonly since: number;
}

/** A grant that remembers what it took. */
export class HeldGrant implements Grant {
  readonly allowed = true;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs = 0;
  readonly resetMs: number;
  readonly #giveBack: GiveBack;
  #permits: Taken | undefined;
  #rest: Taken | undefined;
  readonly #all: Taken;

  constructor(answer: Decision, taken: Taken, giveBack: GiveBack) {
    this.by = answer.by;
    this.remaining = answer.remaining;
    this.limit = answer.limit;
    this.resetMs = answer.resetMs;
    this.#permits = taken;
    this.#rest = taken;
    this.#all = taken;
    this.#giveBack = giveBack;
  }

  release(): void {
    const taken = this.#permits;
    this.#permits = undefined;
    if (taken !== undefined) this.#giveBack(taken, true);
  }

  /** What it took, and what it says: for a reservation, that corrects it later. */
  parts(): Decision & { readonly taken: Taken } {
    const { by, remaining, limit, resetMs } = this;
    return { allowed: true, by, remaining, limit, retryAfterMs: 0, resetMs, taken: this.#all };
  }

  refund(): void {
    this.release();
    const taken = this.#rest;
    this.#rest = undefined;
    if (taken !== undefined) this.#giveBack(taken, false);
  }
}
