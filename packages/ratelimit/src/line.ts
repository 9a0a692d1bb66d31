import type { Clock } from './clock.js';
import type { Meter, Reason } from './meter.js';
import type { LimitRequest } from './request.js';
import type { Barrier, Survey } from './survey.js';

/** Somebody who waits. One of the three is called, once, right after the survey has looked at the request. */
export interface Waiter {
  readonly request: LimitRequest;
  /** It may take. */
  serve(now: number): void;
  /** It can never fit any more. */
  refuse(now: number): void;
  /** Its request is wrong. */
  fail(error: unknown): void;
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
  #isDirty = false;

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

  /** The claims are those of everybody before, so only the new one is looked at. */
  add(waiter: Waiter): void {
    this.settle();
    this.#waiters.add(waiter);
    if (this.#nobodyPasses()) return;
    const now = this.#clock.now();
    const ms = this.#try(waiter, now);
    if (now + ms < this.#wakeAt) this.#wake(now, ms);
  }

  /** What it claimed is free for those behind it. */
  remove(waiter: Waiter): void {
    if (this.#waiters.delete(waiter)) this.changed();
  }

  /** Something was given back: whoever may be served by it is, as soon as what runs now is done. */
  changed(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    queueMicrotask(() => this.settle());
  }

  /** What has changed counts from now on. */
  settle(): void {
    if (this.#isDirty) this.run();
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
    const met = this.#survey.costs.map((cost) => cost !== -1);
    const costs = this.#survey.costs.slice();
    let ms = this.#survey.waitMs;
    const ahead = meters.map(() => 0);
    for (const waiter of this.#waiters) {
      this.#survey.look(waiter.request, now, this.#others);
      const narrowest = this.#narrowest();
      for (let place = 0; place < meters.length; place++) {
        const isSame =
          met[place] &&
          this.#survey.costs[place] !== -1 &&
          this.#survey.keys[place] === keys[place];
        const isAhead = this.#survey.waits[place]! > 0 && meters[place]!.breadth >= narrowest;
        if (isSame && isAhead) ahead[place]! += this.#survey.costs[place]!;
      }
    }
    this.#survey.look(request, now, this.#others);
    for (let place = 0; place < meters.length; place++) {
      if (!met[place] || meters[place]!.shadow || ahead[place] === 0) continue;
      const behind = meters[place]!.msBehind(this.#survey.key, ahead[place]!, costs[place]!, now);
      ms = Math.max(ms, behind);
    }
    // Nobody can tell when a permit is given back.
    return ms === Number.POSITIVE_INFINITY ? 0 : ms;
  }

  /** Serves everybody who may be served now, and sets the timer for the next. */
  run(): void {
    this.#isDirty = false;
    for (const claims of this.#claims.values()) claims.clear();
    const now = this.#clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiters) {
      nextMs = Math.min(nextMs, this.#try(waiter, now));
      if (this.#nobodyPasses()) break;
    }
    this.#wake(now, nextMs);
  }

  /** Serves one of those who wait, or claims what it lacks; returns the ms after which that has to be looked at again. */
  #try(waiter: Waiter, now: number): number {
    try {
      this.#survey.look(waiter.request, now, this.#all);
    } catch (error) {
      this.#waiters.delete(waiter);
      waiter.fail(error);
      return Number.POSITIVE_INFINITY;
    }
    if (this.#survey.waitMs > 0 && this.#survey.reason !== 'never') return this.#claim(now);
    this.#waiters.delete(waiter);
    if (this.#survey.waitMs === 0) waiter.serve(now);
    else waiter.refuse(now);
    return Number.POSITIVE_INFINITY;
  }

  /** The most members in the scope of a limit that the surveyed request lacks something of; -1 if it lacks nothing. */
  #narrowest(): number {
    const { meters, costs, waits } = this.#survey;
    let breadth = -1;
    for (let place = 0; place < meters.length; place++) {
      if (costs[place] === -1 || waits[place] === 0 || meters[place]!.shadow) continue;
      breadth = Math.max(breadth, meters[place]!.breadth);
    }
    return breadth;
  }

  /** Returns the ms after which the first of what it claimed is there: the claim may end then. */
  #claim(now: number): number {
    const { meters, keys, costs, waits } = this.#survey;
    const narrowest = this.#narrowest();
    let ms = Number.POSITIVE_INFINITY;
    for (let place = 0; place < meters.length; place++) {
      const meter = meters[place]!;
      if (costs[place] === -1 || meter.shadow || meter.breadth < narrowest) continue;
      const wait = waits[place]!;
      if (wait > 0) ms = Math.min(ms, wait);
      else if (!this.#isNeeded(place, now)) continue;
      this.#claims.get(meter)!.add(keys[place]!);
    }
    return ms;
  }

  /** Whether somebody else who took as much of what is there now would keep it from being there in time. */
  #isNeeded(place: number, now: number): boolean {
    const { meters, key, costs, waitMs } = this.#survey;
    const cost = costs[place]!;
    return cost > 0 && meters[place]!.msBehind(key, cost, cost, now) > waitMs;
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
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.run();
    });
  }
}
