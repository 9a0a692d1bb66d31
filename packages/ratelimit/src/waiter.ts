import { Heap } from './heap.js';
import type { LimitRequest } from './request.js';

/** How a wait ends: one of these is called, once. */
export interface Endings {
  /** It may take; the survey has just looked at the request. */
  serve(now: number): void;
  /** It can never fit any more; the survey has just looked at the request. */
  refuse(now: number): void;
  /** Its time is up. */
  late(now: number): void;
  /** Its request is wrong. */
  fail(error: unknown): void;
}

/** Somebody who waits, and where. */
export class Waiter {
  readonly request: LimitRequest;
  /** By the clock of the limiter; infinite without one. */
  readonly deadline: number;
  readonly endings: Endings;
  /** By arrival. */
  number = -1;
  /** When it is looked at again if nothing happens before. */
  wakeAt = Number.POSITIVE_INFINITY;
  /** Its places among those who are woken by time, and among those who are looked at now. */
  sleeping = -1;
  ready = -1;
  /** For each limit, the claim that it has there. */
  readonly claims: (Claim | undefined)[] = [];

  constructor(request: LimitRequest, deadline: number, endings: Endings) {
    this.request = request;
    this.deadline = deadline;
    this.endings = endings;
  }

  /** Forgets all places, of a line that is no more. */
  leaveAll(): void {
    this.wakeAt = Number.POSITIVE_INFINITY;
    this.sleeping = -1;
    this.ready = -1;
    this.claims.length = 0;
  }
}

/** Somebody's place in the queue for a key. */
export interface Claim {
  readonly waiter: Waiter;
  readonly queue: Queue;
  /** What it lacks there; 0 where it only must not be overtaken. */
  cost: number;
  place: number;
}

/** Who claims a key, by arrival. */
export class Queue {
  readonly key: string;
  /** Sum of what they lack. */
  ahead = 0;
  readonly #claims = new Heap<Claim>(
    (one, other) => one.waiter.number < other.waiter.number,
    (claim, place) => {
      claim.place = place;
    },
  );

  constructor(key: string) {
    this.key = key;
  }

  get first(): Waiter | undefined {
    return this.#claims.first?.waiter;
  }

  join(waiter: Waiter, cost: number): Claim {
    const claim = { waiter, queue: this, cost, place: -1 };
    this.#claims.push(claim);
    this.ahead += cost;
    return claim;
  }

  change(claim: Claim, cost: number): void {
    this.ahead += cost - claim.cost;
    claim.cost = cost;
  }

  leave(claim: Claim): void {
    this.#claims.remove(claim.place);
    // So that rounding does not add up.
    this.ahead = this.first === undefined ? 0 : this.ahead - claim.cost;
  }
}
