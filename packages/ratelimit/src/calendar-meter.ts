import { Calendar, type Period } from './calendar.js';
import { Column } from './column.js';
import type { KeyWords } from './key-words.js';
import { KeyedMeter } from './keyed-meter.js';
import type { CalendarPeriod, QuotaLimit } from './limit.js';
import type { Meter } from './meter.js';

/** So much of a key in a calendar period, as a wall clock has them. */
export class CalendarMeter extends KeyedMeter implements Meter {
  /** When the period began that a row was counted in. */
  readonly #began = new Column();
  readonly #calendar: Calendar;
  readonly #wallClock: () => number;
  #period: Period = { from: 0, to: 0 };
  max: number;

  constructor(limit: QuotaLimit & { readonly period: CalendarPeriod }, wallClock: () => number) {
    super(limit);
    this.max = limit.max;
    this.#calendar = new Calendar(limit.period);
    this.#wallClock = wallClock;
  }

  protected isIdle(row: number): boolean {
    return this.#began.get(row) !== this.#period.from;
  }

  look(key: KeyWords, cost: number): number {
    this.#go();
    const row = this.rows.find(key);
    this.row = row;
    const used = this.#usedIn(row);
    this.left = this.max - used;
    if (used + cost <= this.max) {
      if (cost === 0 || row !== -1 || this.rows.hasRoom()) return 0;
      this.reason = 'keys';
    } else {
      this.reason = cost > this.max ? 'never' : 'limit';
      if (cost > this.max) return Number.POSITIVE_INFINITY;
    }
    return this.#untilNext();
  }

  /** Marks what was taken with the period it was taken in: only to that can it be given back. */
  take(key: KeyWords, cost: number): number {
    if (cost > 0) this.#set(key, this.#usedIn(this.row) + cost);
    return this.#period.from;
  }

  giveBack(row: number, age: number, cost: number, mark: number): void {
    if (this.isOf(row, age) && this.#began.get(row) === mark)
      this.rows.setNumber(row, Math.max(0, this.rows.numberOf(row) - cost));
  }

  msFor(used: number): number {
    return used > 0 ? this.#untilNext() : 0;
  }

  exceed(key: KeyWords, cost: number, debtMost: number, mark: number): number {
    this.#go();
    if (mark !== this.#period.from) return 0;
    const used = this.#usedBy(key);
    const taken = Math.max(0, Math.min(cost, this.max + debtMost - used));
    if (taken > 0) this.#set(key, used + taken);
    return cost - taken;
  }

  msBehind(key: KeyWords, ahead: number, cost: number): number {
    this.#go();
    return this.#usedBy(key) + ahead + cost <= this.max ? 0 : this.#untilNext();
  }

  *used(): IterableIterator<readonly [string, number]> {
    for (const [key, row] of this.rows.entries()) {
      this.#go();
      const used = this.#usedIn(row);
      if (used > 0) yield [key, used];
    }
  }

  restore(key: KeyWords, used: number, _now: number, passedMs: number): void {
    this.#go();
    this.#usedBy(key);
    if (this.#wallClock() - passedMs >= this.#period.from && used > 0) this.#set(key, used);
  }

  change(limit: QuotaLimit): void {
    this.adopt(limit);
    this.max = limit.max;
  }

  /** The row is that of the key which was found last. */
  #set(key: KeyWords, used: number): void {
    if (this.row === -1) this.row = this.rows.add(key);
    this.rows.setNumber(this.row, used);
    this.#began.set(this.row, this.#period.from);
  }

  /**
   * A clock that is set back does not bring an ended period back. So after one that was far ahead for a moment, what was used of a quota
   * then stays used until that time has really come; `reset` ends that for a key.
   */
  #go(): void {
    const time = this.#wallClock();
    if (time >= this.#period.to) this.#period = this.#calendar.at(time);
  }

  #untilNext(): number {
    return Math.max(1, Math.ceil(this.#period.to - this.#wallClock()));
  }

  #usedBy(key: KeyWords): number {
    this.row = this.rows.find(key);
    return this.#usedIn(this.row);
  }

  #usedIn(row: number): number {
    return row === -1 || this.isIdle(row) ? 0 : this.rows.numberOf(row);
  }
}
