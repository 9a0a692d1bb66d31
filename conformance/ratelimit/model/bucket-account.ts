import type { Account, Instant, Span } from './account.js';
import { Fraction, sum } from './fraction.js';

/**
 * A token bucket as a queue of debts: whoever takes tokens owes them, and what comes in pays the oldest debt first. What lies ready is
 * the burst less all debts, so nothing comes in while there are none.
 */
export class BucketAccount implements Account {
  most: Fraction;
  protected perMs: Fraction;
  protected debts: { readonly taker: number; owed: Fraction }[] = [];
  protected paidUntil: number;

  constructor(burst: Fraction, perMs: Fraction, at: Instant) {
    this.most = burst;
    this.perMs = perMs;
    this.paidUntil = at.now;
  }

  used(at: Instant): Fraction {
    this.pay(at);
    return sum(this.debts.map(({ owed }) => owed));
  }

  waitMs(cost: Fraction, at: Instant): number {
    const lacking = this.used(at).plus(cost).minus(this.most);
    return this.msFor(lacking);
  }

  /** Nobody decides anything by it, so it may be told rounded once more. */
  resetMs(at: Instant): Span {
    const ms = this.msFor(this.used(at));
    return { least: ms, most: ms + 1 };
  }

  take(taker: number, cost: Fraction, at: Instant): void {
    this.pay(at);
    this.debts.push({ taker, owed: cost });
  }

  giveBack(taker: number, amount: Fraction, at: Instant): void {
    this.pay(at);
    let left = amount;
    for (const debt of this.debts) {
      if (debt.taker !== taker) continue;
      const back = debt.owed.min(left);
      debt.owed = debt.owed.minus(back);
      left = left.minus(back);
    }
  }

  exceed(taker: number, amount: Fraction, debtMost: Fraction, at: Instant): Fraction {
    const room = this.most.plus(debtMost).minus(this.used(at)).max(Fraction.zero);
    const taken = amount.min(room);
    this.take(taker, taken, at);
    return amount.minus(taken);
  }

  reset(): void {
    this.debts = [];
  }

  /** What came in between has paid some of it; nothing, if the wall clock went back. */
  restore(used: Fraction, then: Instant, at: Instant): void {
    const come = Fraction.of(Math.max(0, at.wall - then.wall)).times(this.perMs);
    this.take(-1, used.minus(come).max(Fraction.zero), at);
  }

  /** Debts stay; from now on they are paid at another rate. */
  changeRate(perMs: Fraction, at: Instant): void {
    this.pay(at);
    this.perMs = perMs;
  }

  copy(): BucketAccount {
    const other = new BucketAccount(this.most, this.perMs, { now: this.paidUntil, wall: 0 });
    other.debts = this.debts.map((debt) => ({ ...debt }));
    return other;
  }

  protected msFor(tokens: Fraction): number {
    if (!tokens.isAbove(Fraction.zero)) return 0;
    if (!this.perMs.isAbove(Fraction.zero)) return Number.POSITIVE_INFINITY;
    return tokens.dividedBy(this.perMs).ceil();
  }

  protected pay({ now }: Instant): void {
    let come = Fraction.of(now - this.paidUntil).times(this.perMs);
    this.paidUntil = now;
    for (const debt of this.debts) {
      const paid = debt.owed.min(come);
      debt.owed = debt.owed.minus(paid);
      come = come.minus(paid);
    }
    this.debts = this.debts.filter(({ owed }) => owed.isAbove(Fraction.zero));
  }
}
