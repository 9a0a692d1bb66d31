import { Gaps } from './gaps.js';
import type { KeyWords } from './key-words.js';
import { KeyedMeter } from './keyed-meter.js';
import { burstOf, type RateLimit } from './limit.js';
import type { Meter } from './meter.js';
import type { Order } from './order.js';
import { Refill } from './refill.js';

/**
 * Token buckets, one number for each key: the `level`, what must have come in since the start for the bucket to be full. With `T` what
 * has come in, `level - T` is lacking (nothing if that is below 0), `burst` less that lies ready, and taking `cost` makes the level
 * `max(level, T) + cost`. That is the generic cell rate algorithm (ITU-T I.371, annex A: the level is its theoretical arrival time),
 * counted in what comes in and not in time, and decides as a bucket that is filled all the time. So costs add up exactly, and a
 * changed rate leaves what is lacking as it is. Counted in the units of `Refill`, which says how exact that is.
 */
export class BucketMeter extends KeyedMeter implements Meter {
  readonly #refill: Refill;
  readonly #gaps: Gaps;
  max: number;
  #burst: number;
  #now: number;

  constructor(limit: RateLimit, now: number, order: Order) {
    super(limit);
    this.#gaps = new Gaps(order);
    this.#now = now;
    this.#refill = new Refill(limit.rate, now);
    this.max = burstOf(limit);
    this.#burst = this.max * this.#refill.perToken;
  }

  protected isIdle(row: number): boolean {
    return this.rows.numberOf(row) <= this.#refill.at(this.#now);
  }

  look(key: KeyWords, cost: number, now: number): number {
    this.#now = now;
    const row = this.rows.find(key);
    this.row = row;
    const { perToken } = this.#refill;
    const come = this.#refill.at(now);
    const lacking = row === -1 ? 0 : Math.max(0, this.rows.numberOf(row) - come);
    const wanted = lacking + cost * perToken;
    this.left = this.max - lacking / perToken;
    if (wanted <= this.#burst) {
      if (row !== -1 || cost === 0 || this.rows.hasRoom()) return 0;
      this.reason = 'keys';
      return Math.max(1, this.#refill.msFor(this.#burst));
    }
    this.reason = cost > this.max ? 'never' : 'limit';
    if (cost > this.max) return Number.POSITIVE_INFINITY;
    return this.#msUntil(wanted, lacking, come, now);
  }

  /** The whole ms after which so much fits; rounding may be in the way by one. */
  #msUntil(wanted: number, lacking: number, come: number, now: number): number {
    const ms = this.#refill.msFor(wanted - this.#burst);
    const cost = wanted - lacking;
    const level = come + lacking;
    if (ms > 1 && this.#fits(cost, level, now + ms - 1)) return ms - 1;
    return this.#fits(cost, level, now + ms) ? ms : ms + 1;
  }

  #fits(cost: number, level: number, at: number): boolean {
    return cost + Math.max(0, level - this.#refill.at(at)) <= this.#burst;
  }

  take(key: KeyWords, cost: number, now: number): number {
    if (cost === 0) return 0;
    const come = this.#refill.at(now);
    const found = this.row;
    if (found === -1) this.row = this.rows.add(key);
    const level = found === -1 ? come : Math.max(this.rows.numberOf(found), come);
    const taken = level + cost * this.#refill.perToken;
    this.rows.setNumber(this.row, taken);
    return taken;
  }

  /** `mark` is the level right after it was taken: what has come in up to there since then has come back already. */
  giveBack(row: number, age: number, cost: number, mark: number, now: number, since: number): void {
    // A bucket that was forgotten is full.
    if (!this.isOf(row, age)) return;
    const come = this.#refill.at(now);
    const end = this.#gaps.move(row, mark, since);
    const back = Math.min(cost * this.#refill.perToken, end - come);
    if (back <= 0) return;
    const level = this.rows.numberOf(row);
    if (end < level) {
      this.#gaps.forgetSome(come);
      // Without room to remember it nothing can be given back safely.
      if (!this.#gaps.hasRoom(row, this.maxKeys)) return;
      this.#gaps.add(row, { place: end, amount: back, until: level });
    }
    this.rows.setNumber(row, level - back);
  }

  override reset(key: KeyWords): void {
    this.#gaps.forget(this.rows.find(key));
    super.reset(key);
  }

  msFor(used: number): number {
    return this.#refill.msFor(used * this.#refill.perToken);
  }

  exceed(key: KeyWords, cost: number, debtMost: number, _mark: number, now: number): number {
    const { perToken } = this.#refill;
    const lacking = this.#lackingOf(key, now);
    const more = cost * perToken;
    const taken = Math.max(0, Math.min(more, this.#burst + debtMost * perToken - lacking));
    if (taken > 0) this.#setLacking(key, lacking + taken, now);
    return (more - taken) / perToken;
  }

  msBehind(key: KeyWords, ahead: number, cost: number, now: number): number {
    const wanted = (ahead + cost - this.max) * this.#refill.perToken;
    return this.#refill.msFor(this.#lackingOf(key, now) + wanted);
  }

  *used(now: number): IterableIterator<readonly [string, number]> {
    const come = this.#refill.at(now);
    for (const [key, row] of this.rows.entries()) {
      const lacking = this.rows.numberOf(row) - come;
      if (lacking > 0) yield [key, lacking / this.#refill.perToken];
    }
  }

  restore(key: KeyWords, used: number, now: number, passedMs: number): void {
    const lacking = used * this.#refill.perToken - this.#refill.in(passedMs);
    if (lacking > this.#lackingOf(key, now)) this.#setLacking(key, lacking, now);
  }

  /** Tokens that were used stay used; so a smaller burst may leave less than none, until they have come back. */
  change(limit: RateLimit, now: number): void {
    this.adopt(limit);
    this.#refill.change(limit.rate, now);
    this.max = burstOf(limit);
    this.#burst = this.max * this.#refill.perToken;
  }

  #setLacking(key: KeyWords, lacking: number, now: number): void {
    const found = this.rows.find(key);
    this.rows.setNumber(found === -1 ? this.rows.add(key) : found, this.#refill.at(now) + lacking);
  }

  #lackingOf(key: KeyWords, now: number): number {
    const row = this.rows.find(key);
    return row === -1 ? 0 : Math.max(0, this.rows.numberOf(row) - this.#refill.at(now));
  }
}
