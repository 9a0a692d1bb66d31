import { type Account, exactly, type Instant, type Span } from './account.js';
import { Fraction, sum } from './fraction.js';

/** Permits in flight, by who has them. */
export class PermitAccount implements Account {
  most: Fraction;
  readonly #held = new Map<number, Fraction>();

  constructor(most: Fraction) {
    this.most = most;
  }

  used(): Fraction {
    return sum(this.#held.values());
  }

  /** When somebody gives one back is not known. */
  waitMs(cost: Fraction): number {
    return this.used().plus(cost).isAbove(this.most) ? Number.POSITIVE_INFINITY : 0;
  }

  resetMs(): Span {
    return exactly(this.used().isAbove(Fraction.zero) ? Number.POSITIVE_INFINITY : 0);
  }

  take(taker: number, cost: Fraction, _at: Instant): void {
    this.#held.set(taker, cost);
  }

  giveBack(taker: number): void {
    this.#held.delete(taker);
  }

  /** A call has as many as it has. */
  exceed(): Fraction {
    return Fraction.zero;
  }

  /** Only who has a permit gives it back. */
  reset(): void {}

  /** Permits do not outlive the calls that have them. */
  restore(): void {}

  copy(): PermitAccount {
    const other = new PermitAccount(this.most);
    for (const [taker, cost] of this.#held) other.#held.set(taker, cost);
    return other;
  }
}
