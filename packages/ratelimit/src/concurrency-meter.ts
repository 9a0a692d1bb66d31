import type { ConcurrencyLimit } from './limit.js';
import type { Meter } from './meter.js';
import { MeterBase } from './meter-base.js';

/** How many of a key are in flight. A key with none is not kept. */
export class ConcurrencyMeter extends MeterBase implements Meter {
  readonly #inFlight = new Map<string, number>();
  max: number;

  constructor(limit: ConcurrencyLimit) {
    super(limit);
    this.max = limit.max;
  }

  get keys(): number {
    return this.#inFlight.size;
  }

  /** When a permit will be given back is not known, so what does not fit now has no time at which it will. */
  look(key: string, cost: number): number {
    const count = this.#inFlight.get(key);
    this.left = this.max - (count ?? 0);
    if ((count ?? 0) + cost <= this.max) {
      if (count !== undefined || cost === 0 || this.#inFlight.size < this.maxKeys) return 0;
      this.reason = 'keys';
      return Number.POSITIVE_INFINITY;
    }
    this.reason = cost > this.max ? 'never' : 'limit';
    return Number.POSITIVE_INFINITY;
  }

  take(key: string, cost: number): number {
    if (cost > 0) this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + cost);
    return 0;
  }

  giveBack(key: string, cost: number): void {
    const count = (this.#inFlight.get(key) ?? 0) - cost;
    // Fractions of a permit do not add up to nothing exactly.
    if (count > 1e-9) this.#inFlight.set(key, count);
    else this.#inFlight.delete(key);
  }

  msFor(used: number): number {
    return used > 0 ? Number.POSITIVE_INFINITY : 0;
  }

  /** Permits are given back by who has them, not by this. */
  reset(): void {}

  /** A permit is a permit: there is nothing to exceed. */
  exceed(): number {
    return 0;
  }

  msBehind(): number {
    return 0;
  }

  /** Permits do not outlive the process whose calls have them. */
  *used(): IterableIterator<readonly [string, number]> {}

  restore(): void {}

  change(limit: ConcurrencyLimit): void {
    this.adopt(limit);
    this.max = limit.max;
  }
}
