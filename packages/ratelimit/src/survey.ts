import { heldStride, noRow, notMet } from './decision.js';
import type { KeyWords } from './key-words.js';
import type { Meter, Reason } from './meter.js';
import type { Order } from './order.js';
import type { LimitRequest } from './request.js';

/** Keys of limits that nobody may take from for now. */
export interface Barrier {
  /** The ms for which a key is barred: 0 when it is not, infinite when nobody can tell. */
  barredMs(meter: Meter, key: string, now: number): number;
  readonly reason: Reason;
}

/**
 * What a request would meet: its cost and its wait in each limit, in columns that are written anew for each request, so that a decision
 * makes nothing but its answer.
 */
export class Survey {
  readonly meters: readonly Meter[];
  /** What was read of the request. */
  readonly key: KeyWords;
  /** The key in each limit as a string; only where there were barriers. */
  readonly keys: string[];
  /** -1 where the request does not meet the limit. */
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
  readonly #bits: number;
  readonly #order: Order;
  readonly #held: number[];

  constructor(meters: readonly Meter[], key: KeyWords, order: Order) {
    this.#order = order;
    this.meters = meters;
    this.key = key;
    this.keys = meters.map(() => '');
    this.costs = meters.map(() => -1);
    this.waits = meters.map(() => 0);
    this.#bits = meters.reduce((bits, meter) => bits | meter.bits, 0);
    // Doubles from the start, so that a copy is one of doubles.
    this.#held = Array.from({ length: meters.length * heldStride + 1 }, () => 0.5);
  }

  /** Looks at every limit; takes nothing. */
  look(request: LimitRequest, now: number, barriers: readonly Barrier[]): void {
    this.waitMs = 0;
    this.by = -1;
    this.reason = 'limit';
    if (this.shadowed.length > 0) this.shadowed = [];
    const { meters, key } = this;
    key.readRequest(request, this.#bits);
    let least = Number.POSITIVE_INFINITY;
    for (let place = 0; place < meters.length; place++) {
      const meter = meters[place]!;
      if (meter.match !== undefined && !meter.match(request)) {
        this.costs[place] = -1;
        continue;
      }
      const cost = meter.costOf(request);
      let wait = meter.look(key, cost, now);
      let { reason } = meter;
      if (barriers.length > 0) {
        const text = meter.keyOf(request);
        this.keys[place] = text;
        for (const barrier of barriers) {
          const barred = barrier.barredMs(meter, text, now);
          if (barred <= wait) continue;
          wait = barred;
          reason = barrier.reason;
        }
      }
      this.costs[place] = cost;
      this.waits[place] = wait;
      if (meter.shadow) {
        if (wait > 0) this.shadowed.push(place);
      } else if (wait > 0) {
        // What can never be outweighs what nobody can tell the end of.
        if (wait > this.waitMs || (reason === 'never' && this.reason !== 'never')) {
          this.waitMs = wait;
          this.by = place;
          this.reason = reason;
          this.left = meter.left;
        }
      } else if (this.waitMs === 0) {
        const left = meter.left - cost;
        if (left >= least && this.by !== -1) continue;
        least = left;
        this.by = place;
        this.left = meter.left;
      }
    }
  }

  /** Has the next `take` take nothing but permits. */
  keepPermits(): void {
    for (let place = 0; place < this.meters.length; place++)
      if (!this.meters[place]!.isReleased) this.costs[place] = -1;
  }

  /** Takes from every limit what was looked at, right after it was. Returns what is held now, as `Taken` has it. */
  take(now: number): readonly number[] {
    const held = this.#held;
    for (let place = 0, at = 0; place < this.meters.length; place++, at += heldStride) {
      const cost = this.costs[place]!;
      held[at] = notMet;
      if (cost === -1) continue;
      const meter = this.meters[place]!;
      meter.allowed++;
      // What the shadow would have refused costs nothing there.
      if (this.shadowed.length > 0 && this.shadowed.includes(place)) {
        meter.shadowRefused++;
        continue;
      }
      const mark = meter.take(this.key, cost, now);
      const { row } = meter;
      held[at] = row === -1 ? noRow : row;
      held[at + 1] = row === -1 ? 0 : meter.ageOf(row);
      held[at + 2] = cost;
      held[at + 3] = mark;
    }
    held[held.length - 1] = this.#order.made;
    return held.slice();
  }
}
