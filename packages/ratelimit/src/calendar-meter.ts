import { Calendar, type Period } from './calendar.js';
import { Column } from './column.js';
import { KeyedRows } from './keyed-rows.js';
import type { CalendarPeriod, QuotaLimit } from './limit.js';
import type { Meter } from './meter.js';
import { MeterBase } from './meter-base.js';
import type { Order } from './order.js';
import { Resets } from './resets.js';

/** So much of a key in a calendar period, as a wall clock has them. */
export class CalendarMeter extends MeterBase implements Meter {
  readonly #used = new Column();
  /** When the period began that a row was counted in. */
  readonly #began = new Column();
  readonly #rows: KeyedRows;
  readonly #resets: Resets;
  readonly #calendar: Calendar;
  readonly #wallClock: () => number;
  #period: Period = { from: 0, to: 0 };
  max: number;

  constructor(
    limit: QuotaLimit & { readonly period: CalendarPeriod },
    wallClock: () => number,
    order: Order,
  ) {
    super(limit);
    this.#resets = new Resets(order);
    this.max = limit.max;
    this.#calendar = new Calendar(limit.period);
    this.#wallClock = wallClock;
    this.#rows = new KeyedRows(this.maxKeys, (row) => this.#began.get(row) < this.#period.from);
  }

  get keys(): number {
    return this.#rows.size;
  }

  look(key: string, cost: number): number {
    const used = this.#usedBy(key);
    this.left = this.max - used;
    if (used + cost <= this.max) {
      if (cost === 0 || this.#rows.find(key) !== -1 || this.#rows.hasRoom()) return 0;
      this.reason = 'keys';
    } else {
      this.reason = cost > this.max ? 'never' : 'limit';
      if (cost > this.max) return Number.POSITIVE_INFINITY;
    }
    return this.#untilNext();
  }

  /** Marks what was taken with the period it was taken in: only to that can it be given back. */
  take(key: string, cost: number): number {
    if (cost === 0) return this.#period.from;
    this.#set(key, this.#usedBy(key) + cost);
    return this.#period.from;
  }

  giveBack(key: string, cost: number, mark: number, _now: number, since: number): void {
    const row = this.#rows.find(key);
    if (row !== -1 && this.#began.get(row) === mark && !this.#resets.isSince(key, since))
      this.#used.set(row, Math.max(0, this.#used.get(row) - cost));
  }

  msFor(used: number): number {
    return used > 0 ? this.#untilNext() : 0;
  }

  reset(key: string): void {
    this.#resets.note(key);
    this.#rows.remove(key);
  }

  exceed(key: string, cost: number, debtMost: number, mark: number): number {
    const used = this.#usedBy(key);
    if (mark !== this.#period.from) return 0;
    const taken = Math.max(0, Math.min(cost, this.max + debtMost - used));
    if (taken > 0) this.#set(key, used + taken);
    return cost - taken;
  }

  msBehind(key: string, ahead: number, cost: number): number {
    return this.#usedBy(key) + ahead + cost <= this.max ? 0 : this.#untilNext();
  }

  *used(): IterableIterator<readonly [string, number]> {
    for (const [key] of this.#rows.entries()) {
      const used = this.#usedBy(key);
      if (used > 0) yield [key, used];
    }
  }

  restore(key: string, used: number, _now: number, passedMs: number): void {
    this.#usedBy(key);
    if (this.#wallClock() - passedMs >= this.#period.from && used > 0) this.#set(key, used);
  }

  change(limit: QuotaLimit): void {
    this.adopt(limit);
    this.#rows.most = this.maxKeys;
    this.max = limit.max;
  }

  #set(key: string, used: number): void {
    const found = this.#rows.find(key);
    const row = found === -1 ? this.#rows.add(key) : found;
    this.#used.set(row, used);
    this.#began.set(row, this.#period.from);
  }

  #untilNext(): number {
    return Math.max(1, Math.ceil(this.#period.to - this.#wallClock()));
  }

  /** A clock that is set back does not bring an ended period back. */
  #usedBy(key: string): number {
    const time = this.#wallClock();
    if (time >= this.#period.to) this.#period = this.#calendar.at(time);
    const row = this.#rows.find(key);
    return row === -1 || this.#began.get(row) !== this.#period.from ? 0 : this.#used.get(row);
  }
}
