import type { Clock } from './clock.js';
import type { Meter, Reason } from './meter.js';
import type { LimitRequest } from './request.js';
import type { Barrier, Survey } from './survey.js';

export interface Waiter {
  readonly request: LimitRequest;
  /** Called when it may take, right after the survey has looked at its request. */
  serve(now: number): void;
}

/**
 * Who waits, by arrival. Whoever lacks something claims it, in the narrowest limits that it lacks: nobody behind is served from that
 * key, so heavy costs add up. What is lacking in broader limits besides is not claimed, so that who is held up by an own key is
 * passed. One timer wakes for all, and everybody who may be served then is.
 */
export class Line implements Barrier {
  readonly reason: Reason = 'queue';
  readonly #waiters = new Set<Waiter>();
  readonly #survey: Survey;
  readonly #clock: Clock;
  readonly #others: readonly Barrier[];
  readonly #all: readonly Barrier[];
  readonly #claims = new Map<Meter, Set<string>>();
  #stop: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(survey: Survey, clock: Clock, other: Barrier) {
    this.#survey = survey;
    this.#clock = clock;
    this.#others = [other];
    this.#all = [other, this];
    for (const meter of survey.meters) this.#claims.set(meter, new Set());
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** When it will be free of its claims depends on who claims it. */
  barredMs(meter: Meter, key: string): number {
    return this.#claims.get(meter)!.has(key) ? Number.POSITIVE_INFINITY : 0;
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.run();
  }

  /** What it claimed is free for those behind it. */
  remove(waiter: Waiter): void {
    if (this.#waiters.delete(waiter)) this.run();
  }

  /** Those who wait in another line wait in this one from now on, in their order. */
  takeOver(other: Line): void {
    other.#stop?.();
    other.#stop = undefined;
    for (const waiter of other.#waiters) this.#waiters.add(waiter);
    other.#waiters.clear();
    this.run();
  }

  /** The ms after which a request that came now could be served at the earliest, if all who wait and could go before it do. */
  msFor(request: LimitRequest, now: number): number {
    this.#survey.look(request, now, this.#others);
    const { meters } = this.#survey;
    const keys = this.#survey.keys.slice();
    const costs = this.#survey.costs.slice();
    let ms = this.#survey.waitMs;
    const ahead = meters.map(() => 0);
    for (const waiter of this.#waiters) {
      this.#survey.look(waiter.request, now, this.#others);
      const narrowest = this.#narrowest();
      for (let place = 0; place < meters.length; place++) {
        const same = keys[place] !== undefined && this.#survey.keys[place] === keys[place];
        if (same && meters[place]!.breadth >= narrowest)
          ahead[place]! += this.#survey.costs[place]!;
      }
    }
    for (let place = 0; place < meters.length; place++) {
      const key = keys[place];
      if (key === undefined || meters[place]!.shadow) continue;
      if (ahead[place]! > 0)
        ms = Math.max(ms, meters[place]!.msBehind(key, ahead[place]!, costs[place]!, now));
    }
    // Nobody can tell when a permit is given back.
    return ms === Number.POSITIVE_INFINITY ? 0 : ms;
  }

  /** Serves everybody who may be served now, and sets the timer for the next. */
  run(): void {
    if (this.#waiters.size === 0 && this.#stop === undefined) return;
    for (const claims of this.#claims.values()) claims.clear();
    const now = this.#clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiters) {
      this.#survey.look(waiter.request, now, this.#all);
      if (this.#survey.waitMs === 0) {
        this.#waiters.delete(waiter);
        waiter.serve(now);
        continue;
      }
      nextMs = Math.min(nextMs, this.#survey.waitMs);
      this.#claim();
      if (this.#nobodyPasses()) break;
    }
    this.#wake(now, nextMs);
  }

  /** The most members in the scope of a limit that the surveyed request lacks something of; -1 if it lacks nothing. */
  #narrowest(): number {
    const { meters, keys, waits } = this.#survey;
    let breadth = -1;
    for (let place = 0; place < meters.length; place++) {
      if (keys[place] === undefined || waits[place] === 0 || meters[place]!.shadow) continue;
      breadth = Math.max(breadth, meters[place]!.breadth);
    }
    return breadth;
  }

  #claim(): void {
    const { meters, keys, waits } = this.#survey;
    const narrowest = this.#narrowest();
    for (let place = 0; place < meters.length; place++) {
      const key = keys[place];
      const meter = meters[place]!;
      if (key === undefined || waits[place] === 0 || meter.shadow || meter.breadth < narrowest)
        continue;
      this.#claims.get(meter)!.add(key);
    }
  }

  /** Whether a limit that every request meets, under one key, is claimed. */
  #nobodyPasses(): boolean {
    for (const [{ breadth, match }, claims] of this.#claims)
      if (breadth === 0 && match === undefined && claims.size > 0) return true;
    return false;
  }

  #wake(now: number, ms: number): void {
    if (now + ms === this.#wakeAt && this.#stop !== undefined) return;
    this.#stop?.();
    this.#stop = undefined;
    this.#wakeAt = now + ms;
    if (ms === Number.POSITIVE_INFINITY) return;
    this.#stop = this.#clock.wake(ms, () => {
      this.#stop = undefined;
      this.run();
    });
  }
}
