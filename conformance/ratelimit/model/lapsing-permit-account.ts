import { type Account, exactly, type Instant, type Span } from './account.js';
import { Fraction, sum } from './fraction.js';

/** How long a permit lasts that nobody renews. */
const lapseMs = 30_000;

/**
 * Permits in flight in a store that outlives those who have them. One lapses when 30 s have passed since it was last renewed, and is gone
 * when somebody asks for one of this key then, or when all of the key have lapsed; until then it can be renewed late.
 */
export class LapsingPermitAccount implements Account {
  most: Fraction;
  readonly #held = new Map<number, { readonly cost: Fraction; readonly till: number }>();
  #keptUntil = 0;

  constructor(most: Fraction) {
    this.most = most;
  }

  used({ now }: Instant): Fraction {
    for (const [taker, { till }] of this.#held) if (till <= now) this.#held.delete(taker);
    return sum([...this.#held.values()].map(({ cost }) => cost));
  }

  /** When somebody gives one back is not known. */
  waitMs(cost: Fraction, at: Instant): number {
    return this.used(at).plus(cost).isAbove(this.most) ? Number.POSITIVE_INFINITY : 0;
  }

  resetMs(at: Instant): Span {
    return exactly(this.used(at).isAbove(Fraction.zero) ? Number.POSITIVE_INFINITY : 0);
  }

  take(taker: number, cost: Fraction, { now }: Instant): void {
    if (cost.isAbove(Fraction.zero)) this.#keep(taker, cost, now);
  }

  /** Returns whether it was still there. */
  renew(taker: number, now: number): boolean {
    if (now > this.#keptUntil) this.#held.clear();
    const permit = this.#held.get(taker);
    if (permit !== undefined) this.#keep(taker, permit.cost, now);
    return permit !== undefined;
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

  /** The store goes on by itself. */
  restore(): void {}

  copy(): LapsingPermitAccount {
    const other = new LapsingPermitAccount(this.most);
    for (const [taker, permit] of this.#held) other.#held.set(taker, permit);
    other.#keptUntil = this.#keptUntil;
    return other;
  }

  #keep(taker: number, cost: Fraction, now: number): void {
    this.#held.set(taker, { cost, till: now + lapseMs });
    this.#keptUntil = now + lapseMs;
  }
}
