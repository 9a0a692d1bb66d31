import type { Rate } from './limit.js';

/**
 * How much came in since the start, at a rate that may change, counted in units of which `perToken` are a token: as many as the first
 * rate has ms, so that each ms brings a whole number of them where the rate's count is one. Whole ms and whole costs are then exact
 * while all numbers stay below 2^53 units (at 1,000 tokens an hour for 285 years); otherwise the error is 2^-52 of what came in.
 */
export class Refill {
  readonly perToken: number;
  #rate: Rate;
  #since: number;
  #before = 0;

  constructor(rate: Rate, now: number) {
    this.perToken = rate.perMs;
    this.#rate = rate;
    this.#since = now;
  }

  get rate(): Rate {
    return this.#rate;
  }

  /** Units come in by this time (ms). */
  at(now: number): number {
    return this.#before + this.in(now - this.#since);
  }

  /** Units that come in over so many ms. */
  in(ms: number): number {
    const { count, perMs } = this.#rate;
    const units = ms * count;
    return perMs === this.perToken ? units : (units * this.perToken) / perMs;
  }

  /** The whole ms after which so many units more have come in, but for what rounding does; infinite at a rate of 0. */
  msFor(units: number): number {
    if (units <= 0) return 0;
    const { count, perMs } = this.#rate;
    return Math.ceil(
      perMs === this.perToken ? units / count : (units * perMs) / (count * this.perToken),
    );
  }

  /** What came in until now stays; what comes later comes at the new rate. */
  change(rate: Rate, now: number): void {
    this.#before = this.at(now);
    this.#since = now;
    this.#rate = rate;
  }
}
