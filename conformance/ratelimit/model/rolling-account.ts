import type { Account, Instant, Span } from './account.js';
import { Fraction, sum } from './fraction.js';

const parts = 60;

interface Use {
  readonly taker: number;
  readonly part: number;
  amount: Fraction;
}

/**
 * What was used of one key in each sixtieth of a window, by whom. The part that the window begins in is counted whole, so a use counts
 * until its own part and sixty more have passed.
 */
export class RollingAccount implements Account {
  most: Fraction;
  readonly #partMs: number;
  readonly #takenIn = new Map<number, number>();
  #uses: Use[] = [];

  constructor(most: Fraction, rollingMs: number) {
    this.most = most;
    this.#partMs = rollingMs / parts;
  }

  used(at: Instant): Fraction {
    return sum(this.#counted(at).map(({ amount }) => amount));
  }

  waitMs(cost: Fraction, at: Instant): number {
    let over = this.used(at).plus(cost).minus(this.most);
    if (!over.isAbove(Fraction.zero)) return 0;
    for (const { part, amount } of this.#counted(at).sort((a, b) => a.part - b.part)) {
      over = over.minus(amount);
      if (!over.isAbove(Fraction.zero)) return this.#msUntilOver(part, at);
    }
    throw new Error('what costs more than there can be never fits');
  }

  /** Over Redis a refusal tells only when enough is free again, and in memory it is told as if all were used now. */
  resetMs(at: Instant): Span {
    const used = this.#counted(at).filter(({ amount }) => amount.isAbove(Fraction.zero));
    if (used.length === 0) return { least: 0, most: 0 };
    const oldest = Math.min(...used.map(({ part }) => part));
    return {
      least: this.#msUntilOver(oldest, at),
      most: Math.ceil((parts + 1) * this.#partMs),
    };
  }

  take(taker: number, amount: Fraction, at: Instant): void {
    this.#takenIn.set(taker, this.#part(at));
    this.#uses.push({ taker, part: this.#part(at), amount });
  }

  giveBack(taker: number, amount: Fraction): void {
    const use = this.#uses.find((one) => one.taker === taker);
    if (use !== undefined) use.amount = use.amount.minus(amount.min(use.amount));
  }

  /** Counted when it is known, while what was taken still counts. */
  exceed(taker: number, amount: Fraction, debtMost: Fraction, at: Instant): Fraction {
    const part = this.#part(at);
    const takenIn = this.#takenIn.get(taker);
    if (takenIn === undefined || takenIn < part - parts) return Fraction.zero;
    const room = this.most.plus(debtMost).minus(this.used(at)).max(Fraction.zero);
    const taken = amount.min(room);
    this.#uses.push({ taker, part, amount: taken });
    return amount.minus(taken);
  }

  reset(): void {
    this.#uses = [];
  }

  /** What an earlier limiter had counted, as if it were used now, if any of it may still count. */
  restore(used: Fraction, then: Instant, at: Instant): void {
    if (Math.max(0, at.wall - then.wall) < (parts + 1) * this.#partMs) this.take(-1, used, at);
  }

  copy(): RollingAccount {
    const other = new RollingAccount(this.most, this.#partMs * parts);
    other.#uses = this.#uses.map((use) => ({ ...use }));
    return other;
  }

  #counted(at: Instant): Use[] {
    return this.#uses.filter(({ part }) => part >= this.#part(at) - parts);
  }

  #part({ now }: Instant): number {
    return Math.floor(now / this.#partMs);
  }

  #msUntilOver(part: number, { now }: Instant): number {
    return Math.ceil((part + parts + 1) * this.#partMs - now);
  }
}
