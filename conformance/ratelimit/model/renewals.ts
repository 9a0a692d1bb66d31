import type { Meeting } from './exact-limiter.js';
import { Fraction } from './fraction.js';
import { LapsingPermitAccount } from './lapsing-permit-account.js';

/** Three times in the life of a permit, and a little sooner. */
const everyMs = 9_500;

/** What one process renews in the store: all permits that it has, at one time. */
export class Renewals {
  readonly #held = new Map<number, readonly LapsingPermitAccount[]>();
  #dueAt = Number.POSITIVE_INFINITY;

  add(taker: number, taken: readonly Meeting[], now: number): void {
    const permits = taken
      .filter(({ cost }) => cost.isAbove(Fraction.zero))
      .map(({ account }) => account)
      .filter((account) => account instanceof LapsingPermitAccount);
    if (permits.length === 0) return;
    this.#held.set(taker, permits);
    this.#dueAt = Math.min(this.#dueAt, now + everyMs);
  }

  remove(taker: number): void {
    this.#held.delete(taker);
    if (this.#held.size === 0) this.#dueAt = Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.#held.clear();
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** Up to a time; or only then, where it should have been before. */
  run(till: number, isStalled: boolean): void {
    while (this.#dueAt <= till) {
      const now = isStalled ? till : this.#dueAt;
      this.#dueAt = now + everyMs;
      for (const [taker, permits] of [...this.#held]) {
        const left = permits.filter((account) => account.renew(taker, now));
        if (left.length === 0) this.remove(taker);
      }
    }
  }
}
