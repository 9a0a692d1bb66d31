import type { Clock } from './clock.js';
import { Heap } from './heap.js';
import type { Meter, Reason } from './meter.js';
import type { LimitRequest } from './request.js';
import type { Barrier, Survey } from './survey.js';
import { Queue, type Waiter } from './waiter.js';

/** Whoever is no waiter comes after all of them. */
const last = Number.POSITIVE_INFINITY;

/**
 * Who waits, by arrival. Whoever lacks something claims it, in the narrowest limits that it lacks: nobody behind is served from that
 * key, so heavy costs add up. What is lacking in broader limits besides is not claimed, so that who is held up by an own key is
 * passed.
 *
 * Each key that is claimed has a queue, and only the first in it can be served from it. So somebody is looked at when it comes to be
 * first somewhere, when something is given back of a key where it is first, and when what it lacks has come in: never all, however many
 * wait. One timer wakes for all, at deadlines too.
 */
export class Line implements Barrier {
  readonly reason: Reason = 'queue';
  readonly #waiters = new Set<Waiter>();
  readonly #survey: Survey;
  readonly #clock: Clock;
  readonly #others: readonly Barrier[];
  readonly #all: readonly Barrier[];
  readonly #queues = new Map<Meter, Map<string, Queue>>();
  readonly #sleeping = new Heap<Waiter>(
    (one, other) => one.wakeAt < other.wakeAt,
    (waiter, place) => {
      waiter.sleeping = place;
    },
  );
  readonly #ready = new Heap<Waiter>(
    (one, other) => one.number < other.number,
    (waiter, place) => {
      waiter.ready = place;
    },
  );
  /** Whose time is up. They are told when those behind them have been served, and so how things stand then. */
  #late: Waiter[] = [];
  #arrivals = 0;
  /** Who is looked at: those behind it bar it from nothing. */
  #number = last;
  #stop: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #isDirty = false;
  #isRunning = false;

  constructor(survey: Survey, clock: Clock, other: Barrier) {
    this.#survey = survey;
    this.#clock = clock;
    this.#others = [other];
    this.#all = [other, this];
    for (const meter of survey.meters) this.#queues.set(meter, new Map());
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** When it will be free of its claims depends on who claims it. */
  barredMs(meter: Meter, key: string): number {
    const first = this.#queues.get(meter)!.get(key)?.first;
    return first !== undefined && first.number < this.#number ? Number.POSITIVE_INFINITY : 0;
  }

  add(waiter: Waiter): void {
    this.settle();
    waiter.number = this.#arrivals++;
    this.#waiters.add(waiter);
    const now = this.#clock.now();
    this.#try(waiter, now);
    this.#tellLate(now);
    this.#setTimer(now);
    if (this.#ready.first !== undefined) this.#beDirty();
  }

  /** What it claimed is free for those behind it. */
  remove(waiter: Waiter): void {
    if (!this.#waiters.has(waiter)) return;
    this.#end(waiter);
    if (this.#ready.first === undefined) this.#setTimer(this.#clock.now());
    else this.#beDirty();
  }

  /** Something of a key was given back, or of any: whoever may be served by it is, as soon as what runs now is done. */
  changed(meter?: Meter, key?: string): void {
    if (this.#waiters.size === 0) return;
    if (meter !== undefined && key !== undefined) {
      const first = this.#queues.get(meter)?.get(key)?.first;
      if (first !== undefined) this.#wake(first);
    } else {
      for (const queues of this.#queues.values())
        for (const { first } of queues.values()) if (first !== undefined) this.#wake(first);
    }
    this.#beDirty();
  }

  /** What has changed counts from now on. */
  settle(): void {
    if (this.#isDirty) this.#run(this.#clock.now());
  }

  /** Those who wait in another line wait in this one from now on, in their order. */
  takeOver(other: Line): void {
    other.#stop?.();
    other.#stop = undefined;
    other.#isDirty = false;
    for (const waiter of other.#waiters) {
      waiter.leaveAll();
      waiter.number = this.#arrivals++;
      this.#waiters.add(waiter);
      this.#wake(waiter);
    }
    other.#waiters.clear();
    this.#run(this.#clock.now());
  }

  /** The ms after which a request that came now could be served at the earliest, if all who wait and could go before it do. */
  msFor(request: LimitRequest, now: number): number {
    const survey = this.#survey;
    survey.look(request, now, this.#others);
    let ms = survey.waitMs;
    for (const [place, meter] of survey.meters.entries()) {
      const cost = survey.costs[place]!;
      if (cost === -1 || meter.shadow) continue;
      const ahead = this.#queues.get(meter)!.get(survey.keys[place]!)?.ahead ?? 0;
      if (ahead > 0) ms = Math.max(ms, meter.msBehind(survey.key, ahead, cost, now));
    }
    // Nobody can tell when a permit is given back.
    return ms === Number.POSITIVE_INFINITY ? 0 : ms;
  }

  /** Serves everybody who may be served at this time, and sets the timer for the next. */
  #run(now: number, until = now): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#isDirty = false;
    try {
      for (let next = this.#sleeping.first; next !== undefined && next.wakeAt <= until; ) {
        this.#wake(next);
        next = this.#sleeping.first;
      }
      for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift())
        this.#try(next, now);
    } finally {
      this.#isRunning = false;
    }
    this.#tellLate(now);
    this.#setTimer(now);
  }

  /** Serves one of those who wait, or claims what it lacks. */
  #try(waiter: Waiter, now: number): void {
    this.#number = waiter.number;
    try {
      this.#survey.look(waiter.request, now, this.#all);
    } catch (error) {
      this.#end(waiter);
      waiter.endings.fail(error);
      return;
    } finally {
      this.#number = last;
    }
    const { waitMs, reason } = this.#survey;
    if (waitMs > 0 && reason !== 'never' && now < waiter.deadline) {
      waiter.wakeAt = Math.min(now + this.#claim(waiter, now), waiter.deadline);
      if (waiter.wakeAt !== Number.POSITIVE_INFINITY) this.#sleeping.push(waiter);
      return;
    }
    this.#end(waiter);
    if (waitMs === 0) waiter.endings.serve(now);
    else if (reason === 'never') waiter.endings.refuse(now);
    else this.#late.push(waiter);
  }

  /** Claims what the surveyed request lacks; returns the ms after which that has to be looked at again. */
  #claim(waiter: Waiter, now: number): number {
    const { meters, keys, costs, waits, waitMs } = this.#survey;
    const narrowest = this.#narrowest();
    let ms = Number.POSITIVE_INFINITY;
    for (let place = 0; place < meters.length; place++) {
      const meter = meters[place]!;
      const cost = costs[place]!;
      const wait = waits[place]!;
      let isClaimed = cost !== -1 && !meter.shadow && meter.breadth >= narrowest;
      if (isClaimed && wait > 0) ms = Math.min(ms, wait);
      else if (isClaimed) {
        // Whether somebody else who took as much of what is there now would keep it from being there in time; else, when that will be.
        const behindMs = cost > 0 ? meter.msBehind(this.#survey.key, cost, cost, now) : 0;
        isClaimed = behindMs > waitMs;
        if (behindMs > 0 && !isClaimed && waitMs !== Number.POSITIVE_INFINITY)
          ms = Math.min(ms, Math.max(1, waitMs - behindMs));
      }
      if (isClaimed) this.#join(waiter, place, meter, keys[place]!, wait > 0 ? cost : 0);
      else this.#leave(waiter, place);
    }
    return ms;
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

  #join(waiter: Waiter, place: number, meter: Meter, key: string, cost: number): void {
    const before = waiter.claims[place];
    if (before?.queue.key === key) {
      before.queue.change(before, cost);
      return;
    }
    this.#leave(waiter, place);
    const queues = this.#queues.get(meter)!;
    let queue = queues.get(key);
    if (queue === undefined) {
      queue = new Queue(key);
      queues.set(key, queue);
    }
    waiter.claims[place] = queue.join(waiter, cost);
  }

  /** Whoever is first there then is looked at. */
  #leave(waiter: Waiter, place: number): void {
    const claim = waiter.claims[place];
    if (claim === undefined) return;
    waiter.claims[place] = undefined;
    const { queue } = claim;
    const wasFirst = queue.first === waiter;
    queue.leave(claim);
    if (queue.first === undefined) this.#queues.get(this.#survey.meters[place]!)!.delete(queue.key);
    else if (wasFirst) this.#wake(queue.first);
  }

  #tellLate(now: number): void {
    if (this.#late.length === 0) return;
    const late = this.#late;
    this.#late = [];
    for (const { endings } of late) endings.late(now);
  }

  #wake(waiter: Waiter): void {
    if (waiter.sleeping !== -1) this.#sleeping.remove(waiter.sleeping);
    if (waiter.ready === -1) this.#ready.push(waiter);
  }

  #end(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (waiter.sleeping !== -1) this.#sleeping.remove(waiter.sleeping);
    if (waiter.ready !== -1) this.#ready.remove(waiter.ready);
    for (let place = 0; place < waiter.claims.length; place++) this.#leave(waiter, place);
  }

  #beDirty(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    queueMicrotask(() => this.settle());
  }

  #setTimer(now: number): void {
    const wakeAt = this.#sleeping.first?.wakeAt ?? Number.POSITIVE_INFINITY;
    if (wakeAt === this.#wakeAt) return;
    this.#stop?.();
    this.#stop = undefined;
    this.#wakeAt = wakeAt;
    if (wakeAt === Number.POSITIVE_INFINITY) return;
    this.#stop = this.#clock.wake(wakeAt - now, () => {
      this.#stop = undefined;
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#run(this.#clock.now(), wakeAt);
    });
  }
}
