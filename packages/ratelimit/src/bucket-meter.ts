import { Column } from './column.js';
import { Gaps } from './gaps.js';
import { KeyedRows } from './keyed-rows.js';
import { burstOf, type RateLimit } from './limit.js';
import type { Meter } from './meter.js';
import { MeterBase } from './meter-base.js';
import type { Order } from './order.js';
import { Refill } from './refill.js';

/**
 * Token buckets, one number for each key: the `level`, what must have come in since the start for the bucket to be full. With `T` what
 * has come in, `level - T` is lacking (nothing if that is below 0), `burst` less that lies ready, and taking `cost` makes the level
 * `max(level, T) + cost`. That is the generic cell rate algorithm (ITU-T I.371, annex A: the level is its theoretical arrival time),
 * counted in what comes in and not in time, and decides as a bucket that is filled all the time. So costs add up exactly, and a
 * changed rate leaves what is lacking as it is. Counted in the units of `Refill`, which says how exact that is.
 */
export class BucketMeter extends MeterBase implements Meter {
  readonly #levels = new Column();
  readonly #rows: KeyedRows;
  readonly #refill: Refill;
  readonly #gaps: Gaps;
  max: number;
  #burst: number;
  #now: number;
  /** The row that was looked at last; -1 for a key that has none. */
  #row = -1;

  constructor(limit: RateLimit, now: number, order: Order) {
    super(limit);
    this.#gaps = new Gaps(order);
    this.#now = now;
    this.#refill = new Refill(limit.rate, now);
    this.max = burstOf(limit);
    this.#burst = this.max * this.#refill.perToken;
    this.#rows = new KeyedRows(
      this.maxKeys,
      (row) => this.#levels.get(row) <= this.#refill.at(this.#now),
    );
  }

  get keys(): number {
    return this.#rows.size;
  }

  look(key: string, cost: number, now: number): number {
    this.#now = now;
    const row = this.#rows.find(key);
    this.#row = row;
    const come = this.#refill.at(now);
    const lacking = row === -1 ? 0 : Math.max(0, this.#levels.get(row) - come);
    const wanted = lacking + cost * this.#refill.perToken;
    this.left = this.max - lacking / this.#refill.perToken;
    if (wanted <= this.#burst) {
      if (row !== -1 || cost === 0 || this.#rows.hasRoom()) return 0;
      this.reason = 'keys';
      return Math.max(1, this.#refill.msFor(this.#burst));
    }
    this.reason = cost > this.max ? 'never' : 'limit';
    if (cost > this.max) return Number.POSITIVE_INFINITY;
    const ms = this.#refill.msFor(wanted - this.#burst);
    // Rounding may be in the way by one.
    const fits = (after: number): boolean =>
      wanted - lacking + Math.max(0, come + lacking - this.#refill.at(now + after)) <= this.#burst;
    if (ms > 1 && fits(ms - 1)) return ms - 1;
    return fits(ms) ? ms : ms + 1;
  }

  take(key: string, cost: number, now: number): number {
    if (cost === 0) return 0;
    const come = this.#refill.at(now);
    const found = this.#row;
    const row = found === -1 ? this.#rows.add(key) : found;
    const level = found === -1 ? come : Math.max(this.#levels.get(row), come);
    const taken = level + cost * this.#refill.perToken;
    this.#levels.set(row, taken);
    return taken;
  }

  /** `mark` is the level right after it was taken: what has come in up to there since then has come back already. */
  giveBack(key: string, cost: number, mark: number, now: number, since: number): void {
    const row = this.#rows.find(key);
    // A bucket that was forgotten is full.
    if (row === -1) return;
    const come = this.#refill.at(now);
    const end = this.#gaps.move(key, mark, since);
    const back = Math.min(cost * this.#refill.perToken, end - come);
    if (back <= 0) return;
    const level = this.#levels.get(row);
    if (end < level) {
      this.#gaps.forgetSome(come);
      // Without room to remember it nothing can be given back safely.
      if (!this.#gaps.hasRoom(key, this.maxKeys)) return;
      this.#gaps.add(key, { place: end, amount: back, until: level });
    }
    this.#levels.set(row, level - back);
  }

  msFor(used: number): number {
    return this.#refill.msFor(used * this.#refill.perToken);
  }

  reset(key: string): void {
    const row = this.#rows.find(key);
    if (row === -1) return;
    this.#gaps.clear(key, this.#levels.get(row));
    this.#rows.remove(key);
  }

  exceed(key: string, cost: number, debtMost: number, _mark: number, now: number): number {
    const lacking = this.#lackingOf(key, now) / this.#refill.perToken;
    const taken = Math.max(0, Math.min(cost, this.max + debtMost - lacking));
    if (taken > 0) this.#setLacking(key, (lacking + taken) * this.#refill.perToken, now);
    return cost - taken;
  }

  msBehind(key: string, ahead: number, cost: number, now: number): number {
    const wanted = (ahead + cost - this.max) * this.#refill.perToken;
    return this.#refill.msFor(this.#lackingOf(key, now) + wanted);
  }

  *used(now: number): IterableIterator<readonly [string, number]> {
    const come = this.#refill.at(now);
    for (const [key, row] of this.#rows.entries()) {
      const lacking = this.#levels.get(row) - come;
      if (lacking > 0) yield [key, lacking / this.#refill.perToken];
    }
  }

  restore(key: string, used: number, now: number, passedMs: number): void {
    const lacking = used * this.#refill.perToken - this.#refill.in(passedMs);
    if (lacking > this.#lackingOf(key, now)) this.#setLacking(key, lacking, now);
  }

  /** Tokens that were used stay used; so a smaller burst may leave less than none, until they have come back. */
  change(limit: RateLimit, now: number): void {
    this.adopt(limit);
    this.#refill.change(limit.rate, now);
    this.max = burstOf(limit);
    this.#burst = this.max * this.#refill.perToken;
    this.#rows.most = this.maxKeys;
  }

  #setLacking(key: string, lacking: number, now: number): void {
    const found = this.#rows.find(key);
    this.#levels.set(found === -1 ? this.#rows.add(key) : found, this.#refill.at(now) + lacking);
  }

  #lackingOf(key: string, now: number): number {
    const row = this.#rows.find(key);
    return row === -1 ? 0 : Math.max(0, this.#levels.get(row) - this.#refill.at(now));
  }
}
