import type { Meter, Reason } from './meter.js';
import type { LimitRequest } from './request.js';

/** Keys of limits that nobody may take from for now. */
export interface Barrier {
  /** The ms for which a key is barred: 0 when it is not, infinite when nobody can tell. */
  barredMs(meter: Meter, key: string, now: number): number;
  readonly reason: Reason;
}

/**
 * What a request would meet: its key, its cost and its wait in each limit, in columns that are written anew for each request, so that
 * a decision makes nothing but its answer.
 */
export class Survey {
  readonly meters: readonly Meter[];
  /** The key in each limit; undefined where the request does not meet it. */
  readonly keys: (string | undefined)[];
  readonly costs: number[];
  readonly waits: number[];
  /** Ms until all let it in: 0 when they do. */
  waitMs = 0;
  /** The place of the limit that refuses longest, or of the one with least left; -1 when it meets none. */
  by = -1;
  reason: Reason = 'limit';
  /** What there is in that limit. */
  left = 0;
  /** Limits in the shadow that would have refused. */
  shadowed: number[] = [];

  constructor(meters: readonly Meter[]) {
    this.meters = meters;
    this.keys = meters.map(() => undefined);
    this.costs = meters.map(() => 0);
    this.waits = meters.map(() => 0);
  }

  /** Looks at every limit; takes nothing. */
  look(request: LimitRequest, now: number, barriers: readonly Barrier[]): void {
    this.waitMs = 0;
    this.by = -1;
    this.reason = 'limit';
    if (this.shadowed.length > 0) this.shadowed = [];
    let least = Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.meters.length; place++) {
      const meter = this.meters[place]!;
      if (meter.match !== undefined && !meter.match(request)) {
        this.keys[place] = undefined;
        continue;
      }
      const key = meter.keyOf(request);
      const cost = meter.costOf(request);
      let wait = meter.look(key, cost, now);
      let { reason } = meter;
      for (const barrier of barriers) {
        const barred = barrier.barredMs(meter, key, now);
        if (barred <= wait) continue;
        wait = barred;
        reason = barrier.reason;
      }
      this.keys[place] = key;
      this.costs[place] = cost;
      this.waits[place] = wait;
      if (wait > 0 && meter.shadow) {
        this.shadowed.push(place);
        continue;
      }
      // What can never be outweighs what nobody can tell the end of.
      const isWorse = reason === 'never' && this.reason !== 'never';
      if (wait > this.waitMs || (wait > 0 && isWorse)) {
        this.waitMs = wait;
        this.by = place;
        this.reason = reason;
        this.left = meter.left;
      }
      if (this.waitMs === 0 && !meter.shadow) {
        const left = meter.left - cost;
        if (left >= least && this.by !== -1) continue;
        least = left;
        this.by = place;
        this.left = meter.left;
      }
    }
  }

  /** Takes from every limit what was looked at, right after it was. Returns the marks to give it back by. */
  take(now: number): readonly number[] | undefined {
    let marks: number[] | undefined;
    for (let place = 0; place < this.meters.length; place++) {
      const key = this.keys[place];
      // What the shadow would have refused costs nothing there.
      if (key === undefined || (this.shadowed.length > 0 && this.shadowed.includes(place)))
        continue;
      const mark = this.meters[place]!.take(key, this.costs[place]!, now);
      if (mark === 0) continue;
      marks ??= this.meters.map(() => 0);
      marks[place] = mark;
    }
    return marks;
  }
}
