import { Column } from './column.js';
import type { KeyWords } from './key-words.js';
import { KeyedMeter } from './keyed-meter.js';
import type { QuotaLimit } from './limit.js';
import type { Meter } from './meter.js';

const parts = 60;
/** The part that a window begins in is counted whole, so one more is kept. */
const kept = parts + 1;
/** Of each row: what was used in each kept part, and, behind them, the newest part that was counted in. */
const newest = kept;
const stride = 64;

/** So much of a key in any window of a length, counted in sixtieths of it: never more, and what is free again is so at most a sixtieth late. */
export class RollingMeter extends KeyedMeter implements Meter {
  readonly #cells = new Column();
  readonly #partMs: number;
  #part = 0;
  max: number;

  constructor(limit: QuotaLimit & { readonly period: { readonly rollingMs: number } }) {
    super(limit);
    this.max = limit.max;
    this.#partMs = limit.period.rollingMs / parts;
  }

  protected isIdle(row: number): boolean {
    return this.#newestOf(row) <= this.#part - kept;
  }

  look(key: KeyWords, cost: number, now: number): number {
    this.#go(now);
    const row = this.rows.find(key);
    this.row = row;
    const used = this.#used(row);
    this.left = this.max - used;
    if (row === -1 && cost > 0 && cost <= this.max && !this.rows.hasRoom()) {
      this.reason = 'keys';
      return Math.ceil(this.#partMs * kept);
    }
    let over = used + cost - this.max;
    if (over <= 0) return 0;
    this.reason = cost > this.max ? 'never' : 'limit';
    if (cost > this.max) return Number.POSITIVE_INFINITY;
    // Oldest first: how many parts must have ended before enough is free.
    for (let part = this.#part - parts; part <= this.#part; part++) {
      over -= this.#usedIn(row, part);
      if (over <= 0) return Math.max(1, Math.ceil((part + kept) * this.#partMs - now));
    }
    return Math.ceil(this.#partMs * kept);
  }

  /** Marks what was taken with the part it was taken in. */
  take(key: KeyWords, cost: number, now: number): number {
    this.#go(now);
    if (cost === 0) return this.#part;
    if (this.row === -1) {
      this.row = this.rows.add(key);
      this.#clear(this.row);
    }
    const { row } = this;
    for (
      let part = Math.max(this.#newestOf(row) + 1, this.#part - parts);
      part <= this.#part;
      part++
    )
      this.#cells.set(this.#cell(row, part), 0);
    const cell = this.#cell(row, this.#part);
    this.#cells.set(cell, this.#cells.get(cell) + cost);
    this.#cells.set(row * stride + newest, this.#part);
    return this.#part;
  }

  giveBack(row: number, age: number, cost: number, mark: number): void {
    if (!this.isOf(row, age)) return;
    if (mark <= this.#newestOf(row) - kept || mark > this.#newestOf(row)) return;
    const cell = this.#cell(row, mark);
    this.#cells.set(cell, Math.max(0, this.#cells.get(cell) - cost));
  }

  /** At the latest: what was used may be older. */
  msFor(used: number): number {
    return used > 0 ? Math.ceil(this.#partMs * kept) : 0;
  }

  /** Counted when it is known, while what was taken still counts. */
  exceed(key: KeyWords, cost: number, debtMost: number, mark: number, now: number): number {
    this.#go(now);
    if (mark <= this.#part - kept) return 0;
    this.row = this.rows.find(key);
    const taken = Math.max(0, Math.min(cost, this.max + debtMost - this.#used(this.row)));
    if (taken > 0) this.take(key, taken, now);
    return cost - taken;
  }

  /** Which parts end when would have to be known of those ahead. */
  msBehind(): number {
    return 0;
  }

  /** All of it as if it were used now: what is restored is never more than is left. */
  *used(now: number): IterableIterator<readonly [string, number]> {
    this.#go(now);
    for (const [key, row] of this.rows.entries()) {
      const used = this.#used(row);
      if (used > 0) yield [key, used];
    }
  }

  restore(key: KeyWords, used: number, now: number, passedMs: number): void {
    this.reset(key);
    this.row = -1;
    if (passedMs < this.#partMs * kept) this.take(key, used, now);
  }

  change(limit: QuotaLimit): void {
    this.adopt(limit);
    this.max = limit.max;
  }

  #go(now: number): void {
    this.#part = Math.max(this.#part, Math.floor(now / this.#partMs));
  }

  #cell(row: number, part: number): number {
    return row * stride + (((part % kept) + kept) % kept);
  }

  #newestOf(row: number): number {
    return this.#cells.get(row * stride + newest);
  }

  #clear(row: number): void {
    for (let i = 0; i < kept; i++) this.#cells.set(row * stride + i, 0);
    this.#cells.set(row * stride + newest, this.#part);
  }

  #usedIn(row: number, part: number): number {
    const last = this.#newestOf(row);
    return part > last || part <= last - kept ? 0 : this.#cells.get(this.#cell(row, part));
  }

  #used(row: number): number {
    if (row === -1) return 0;
    let used = 0;
    for (let part = this.#part - parts; part <= this.#part; part++) used += this.#usedIn(row, part);
    return used;
  }
}
