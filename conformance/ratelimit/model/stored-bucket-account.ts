import type { Instant, Span } from './account.js';
import { BucketAccount } from './bucket-account.js';
import { Fraction, sum } from './fraction.js';

/**
 * A token bucket in a store, which keeps what it lacks as it was when it was last written. What has come in since is reckoned by the rate
 * of whoever looks; and the store forgets a bucket when it would be full at the rate that it was written by, a ms or two after that, or as
 * late as an empty one would be. None of this can be told from a bucket in memory unless its rate is changed.
 */
export class StoredBucketAccount extends BucketAccount {
  readonly #takers = new Set<number>();
  readonly #stale = new Set<number>();
  #writtenBy = Fraction.zero;
  #forgotten: Span = { least: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY };

  override used(at: Instant): Fraction {
    if (at.now > this.#forgotten.most && this.#isSlower()) this.debts = [];
    const come = Fraction.of(at.now - this.paidUntil).times(this.perMs);
    return sum(this.debts.map(({ owed }) => owed))
      .minus(come)
      .max(Fraction.zero);
  }

  override take(taker: number, cost: Fraction, at: Instant): void {
    if (!cost.isAbove(Fraction.zero)) return;
    this.used(at);
    super.take(taker, cost, at);
    this.#takers.add(taker);
    this.#write(at);
  }

  override giveBack(taker: number, amount: Fraction, at: Instant): void {
    if (!this.#takers.has(taker)) return;
    this.used(at);
    super.giveBack(taker, amount, at);
    this.#write(at);
  }

  override changeRate(perMs: Fraction): void {
    if (perMs.isAbove(this.perMs) || this.perMs.isAbove(perMs))
      for (const taker of this.#takers) this.#stale.add(taker);
    this.perMs = perMs;
  }

  /** When all that was taken beyond empty has come in; undefined where nothing was. */
  readyAt(at: Instant): Fraction | undefined {
    const over = this.used(at).minus(this.most);
    if (!over.isAbove(Fraction.zero)) return undefined;
    return Fraction.of(at.now).plus(this.comingMs(over));
  }

  /** In how many ms so much comes in. */
  comingMs(amount: Fraction): Fraction {
    return amount.dividedBy(this.perMs);
  }

  /** Whether it took at another rate. */
  isStale(taker: number): boolean {
    return this.#stale.has(taker);
  }

  /** When it may be forgotten or not. */
  unsure(at: Instant): Span[] {
    return this.#isSlower() && this.used(at).isAbove(Fraction.zero) ? [this.#forgotten] : [];
  }

  override copy(): StoredBucketAccount {
    const other = new StoredBucketAccount(this.most, this.perMs, { now: this.paidUntil, wall: 0 });
    other.debts = this.debts.map((debt) => ({ ...debt }));
    other.#writtenBy = this.#writtenBy;
    other.#forgotten = this.#forgotten;
    return other;
  }

  #isSlower(): boolean {
    return this.#writtenBy.isAbove(this.perMs);
  }

  #write(at: Instant): void {
    const lacking = sum(this.debts.map(({ owed }) => owed));
    this.#writtenBy = this.perMs;
    this.#forgotten = {
      least: at.now + this.msFor(lacking),
      most: at.now + this.msFor(lacking.max(this.most)) + 2,
    };
  }
}
