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
  readonly #byMeter = new Map<Meter, Map<string, Block>>();

  /** Each time doubles the last, while it is not forgotten, up to a day or `ms`. Returns the ms it is blocked for. */
  block(meter: Meter, key: string, ms: number, now: number): number {
    let blocks = this.#byMeter.get(meter);
    if (blocks === undefined) {
      blocks = new Map();
      this.#byMeter.set(meter, blocks);
    }
    this.#forgetSome(blocks, now);
    const before = blocks.get(key);
    const times = before === undefined || before.forgotten <= now ? 0 : before.times;
    const blockedMs = Math.min(ms * 2 ** times, Math.max(ms, dayMs));
    const until = Math.max(now + blockedMs, before?.until ?? 0);
    blocks.set(key, { until, times: times + 1, forgotten: until + (until - now) });
    return until - now;
  }

  unblock(meter: Meter, key: string): void {
    this.#byMeter.get(meter)?.delete(key);
  }

  barredMs(meter: Meter, key: string, now: number): number {
    const block = this.#byMeter.get(meter)?.get(key);
    return block === undefined || block.until <= now ? 0 : Math.ceil(block.until - now);
  }

  /** The oldest come first; what is forgotten among them goes. */
  #forgetSome(blocks: Map<string, Block>, now: number): void {
    let looked = 0;
    for (const [key, { forgotten }] of blocks) {
      if (forgotten <= now) blocks.delete(key);
      if (++looked === 8) return;
    }
  }
}

const dayMs = 86_400_000;
