import type { KeyWords } from './key-words.js';
import { KeyedMeter } from './keyed-meter.js';
import type { ConcurrencyLimit } from './limit.js';
import type { Meter } from './meter.js';

/** Fractions of a permit do not add up to nothing exactly. */
const nothing = 1e-9;

/** How many of a key are in flight. A key with none is not kept. */
export class ConcurrencyMeter extends KeyedMeter implements Meter {
  max: number;

  constructor(limit: ConcurrencyLimit) {
    super(limit);
    this.max = limit.max;
  }

  protected isIdle(): boolean {
    return false;
  }

  /** When a permit will be given back is not known, so what does not fit now has no time at which it will. */
  look(key: KeyWords, cost: number): number {
    const row = this.rows.find(key);
    this.row = row;
    const count = row === -1 ? 0 : this.rows.numberOf(row);
    this.left = this.max - count;
    if (count + cost <= this.max) {
      if (row !== -1 || cost === 0 || this.rows.hasRoom()) return 0;
      this.reason = 'keys';
      return Number.POSITIVE_INFINITY;
    }
    this.reason = cost > this.max ? 'never' : 'limit';
    return Number.POSITIVE_INFINITY;
  }

  take(key: KeyWords, cost: number): number {
    if (cost === 0) return 0;
    if (this.row === -1) {
      this.row = this.rows.add(key);
      this.rows.setNumber(this.row, 0);
    }
    this.rows.setNumber(this.row, this.rows.numberOf(this.row) + cost);
    return 0;
  }

  giveBack(row: number, age: number, cost: number): void {
    if (!this.isOf(row, age)) return;
    const count = this.rows.numberOf(row) - cost;
    if (count > nothing) this.rows.setNumber(row, count);
    else this.rows.remove(row);
  }

  msFor(used: number): number {
    return used > 0 ? Number.POSITIVE_INFINITY : 0;
  }

  /** Permits are given back by who has them, not by this. */
  override reset(): void {}

  /** A permit is a permit: there is nothing to exceed. */
  exceed(): number {
    return 0;
  }

  msBehind(): number {
    return 0;
  }

  /** How many permits each key has. */
  *held(): IterableIterator<readonly [string, number]> {
    for (const [key, row] of this.rows.entries()) yield [key, this.rows.numberOf(row)];
  }

  /** Permits do not outlive the process whose calls have them. */
  *used(): IterableIterator<readonly [string, number]> {}

  restore(): void {}

  change(limit: ConcurrencyLimit): void {
    this.adopt(limit);
    this.max = limit.max;
  }
}
