import type { Meter, Reason } from './meter.js';
import type { Barrier } from './survey.js';

interface Block {
  readonly until: number;
  /** Times it was blocked without having been forgotten between. */
  readonly times: number;
  readonly forgotten: number;
}

/** Keys that were blocked for a while. One is forgotten when as long again has passed as it was blocked for. */
export class Blocks implements Barrier {
  readonly reason: Reason = 'blocked';
  /** Keys that are blocked or were not long ago. */
  count = 0;
  readonly #byMeter = new Map<
    Meter,
    { blocks: Map<string, Block>; sweep: MapIterator<[string, Block]> }
  >();

  /** Each time doubles the last, while it is not forgotten, up to a day or `ms`. Returns the ms it is blocked for. */
  block(meter: Meter, key: string, ms: number, now: number): number {
    const { blocks } = this.#of(meter);
    this.#forgetSome(meter, now);
    const before = blocks.get(key);
    const times = before === undefined || before.forgotten <= now ? 0 : before.times;
    const blockedMs = Math.min(ms * 2 ** times, Math.max(ms, dayMs));
    const until = Math.max(now + blockedMs, before?.until ?? 0);
    if (before === undefined) this.count++;
    blocks.set(key, { until, times: times + 1, forgotten: until + (until - now) });
    return until - now;
  }

  unblock(meter: Meter, key: string): void {
    if (this.#byMeter.get(meter)?.blocks.delete(key) === true) this.count--;
  }

  barredMs(meter: Meter, key: string, now: number): number {
    const block = this.#byMeter.get(meter)?.blocks.get(key);
    if (block !== undefined && block.forgotten <= now) this.unblock(meter, key);
    return block === undefined || block.until <= now ? 0 : Math.ceil(block.until - now);
  }

  /** Forgets those of limits that are no more. */
  keepOnly(meters: readonly Meter[]): void {
    for (const [meter, { blocks }] of this.#byMeter) {
      if (meters.includes(meter)) continue;
      this.count -= blocks.size;
      this.#byMeter.delete(meter);
    }
  }

  #of(meter: Meter): { blocks: Map<string, Block>; sweep: MapIterator<[string, Block]> } {
    let of = this.#byMeter.get(meter);
    if (of === undefined) {
      const blocks = new Map<string, Block>();
      of = { blocks, sweep: blocks.entries() };
      this.#byMeter.set(meter, of);
    }
    return of;
  }

  /** A few at each new block, going round: so there are at most a few more than are not forgotten. */
  #forgetSome(meter: Meter, now: number): void {
    const of = this.#of(meter);
    for (let left = Math.min(8, of.blocks.size); left > 0; left--) {
      let next = of.sweep.next();
      if (next.done === true) {
        of.sweep = of.blocks.entries();
        next = of.sweep.next();
        if (next.done === true) return;
      }
      const [key, { forgotten }] = next.value;
      if (forgotten <= now) this.unblock(meter, key);
    }
  }
}

const dayMs = 86_400_000;
