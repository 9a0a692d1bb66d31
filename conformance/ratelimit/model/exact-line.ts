import type { LimitRequest } from '@gatebook/ratelimit';
import { type ExactLimiter, type Expected, type Meeting, worstOf } from './exact-limiter.js';

/** How somebody's wait ended, and when. */
export interface Ended {
  readonly waiter: number;
  readonly now: number;
  readonly expected: Expected;
  /** A refusal for lateness tells of a time behind others, of which only the least is known here. */
  readonly isLate: boolean;
  /** What is told is of an earlier time, so that only whether and why counts. */
  readonly isOld?: boolean;
  /** The number of the one that was let in. */
  readonly taker: number | undefined;
}

/** Who waits, and what becomes of it. */
export interface Line {
  readonly ended: Ended[];
  /** Those who wait. */
  readonly open: number[];
  /** Those of them of whom it can be told what they give back. */
  readonly mayGiveUp: number[];
  /** How many came so far. */
  readonly made: number;
  /**
   * Somebody comes. `isRefusedLate`: whether he was told at once that it will not be in time. Returns whether he should be: undefined where
   * he may be, or where nobody can tell.
   */
  add(
    request: LimitRequest,
    timeoutMs: number | undefined,
    isRefusedLate: boolean,
  ): boolean | undefined;
  abort(waiter: number): void;
  /** Serves whom it can. */
  run(): void;
  pass(ms: number): void;
  /** The limits, by name, that nobody takes from at once since others wait for them, where that is known without asking. */
  claimed(request: LimitRequest): string[];
}

interface Waiter {
  readonly number: number;
  readonly request: LimitRequest;
  readonly deadline: number;
}

/**
 * Who waits, by arrival, where the scopes of the limits lie one in another. Whoever lacks something of an own key, which is the one with
 * the most members, has that key, and nobody behind gets anything of it; what is lacking in broader limits besides is left to others.
 */
export class ExactLine implements Line {
  readonly ended: Ended[] = [];
  readonly #exact: ExactLimiter;
  readonly #most: number;
  #waiters: Waiter[] = [];
  #made = 0;

  constructor(exact: ExactLimiter, most: number) {
    this.#exact = exact;
    this.#most = most;
  }

  get open(): number[] {
    return this.#waiters.map(({ number }) => number);
  }

  get mayGiveUp(): number[] {
    return this.open;
  }

  get made(): number {
    return this.#made;
  }

  /** Nobody can tell where something that he or somebody before him lacks comes back only when it is given back. */
  add(
    request: LimitRequest,
    timeoutMs: number | undefined,
    isRefusedLate: boolean,
  ): boolean | undefined {
    const waiter = {
      number: this.#made++,
      request,
      deadline: this.#at + (timeoutMs ?? Number.POSITIVE_INFINITY),
    };
    const met = this.#exact.meet(request);
    const worst = worstOf(met);
    if (worst === undefined) this.#serve(waiter, met);
    else if (worst.reason === 'never') this.#end(waiter, this.#exact.refuse(met));
    else if (this.#waiters.length >= this.#most)
      this.#end(waiter, this.#exact.refuse(met, 'waiting'));
    else {
      const readyAt = this.#readyAt(waiter);
      if (isRefusedLate) this.#end(waiter, this.#exact.refuse(met, 'deadline'), true);
      else this.#waiters.push(waiter);
      this.run();
      if (readyAt === undefined) return undefined;
      if (readyAt <= waiter.deadline) return false;
      return this.#isPlainlyLate(waiter) ? true : undefined;
    }
    return false;
  }

  claimed(): string[] {
    return [];
  }

  abort(number: number): void {
    this.#waiters = this.#waiters.filter((waiter) => waiter.number !== number);
    this.run();
  }

  /** Serves whom it can; the others have what they lack. */
  run(): void {
    const claims = new Set<string>();
    this.#exact.claims = claims;
    for (const waiter of [...this.#waiters]) {
      const met = this.#exact.meet(waiter.request);
      const worst = worstOf(met);
      if (worst !== undefined && worst.reason !== 'never') {
        const own = ownPlaces(met);
        for (const { place } of own) claims.add(place);
        // Everybody meets it, so nobody behind is served, and has nothing for himself either.
        if (own.some(({ limit }) => limit.breadth === 0)) return;
        continue;
      }
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      if (worst === undefined) this.#serve(waiter, met);
      else this.#end(waiter, this.#exact.refuse(met));
    }
  }

  /** Lets time pass, stopping wherever somebody may be served or is too late. */
  pass(ms: number): void {
    const end = this.#at + ms;
    this.#refuseLate();
    for (;;) {
      const next = Math.min(end, this.#nextAt());
      this.#exact.pass(next - this.#at);
      this.run();
      this.#refuseLate();
      if (next === end) return;
    }
  }

  get #at(): number {
    return this.#exact.at.now;
  }

  /** When anything that somebody lacks is there by itself, or somebody is too late. */
  #nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { request, deadline } of this.#waiters) {
      if (deadline > this.#at) next = Math.min(next, deadline);
      for (const { waitMs } of this.#exact.meet(request, new Set()))
        if (waitMs > 0) next = Math.min(next, this.#at + waitMs);
    }
    return next;
  }

  #refuseLate(): void {
    for (;;) {
      const late = this.#waiters.find(({ deadline }) => deadline <= this.#at);
      if (late === undefined) return;
      this.abort(late.number);
      const met = this.#exact.meet(late.request);
      this.#end(late, this.#exact.refuse(met, 'deadline'), true);
    }
  }

  /**
   * When somebody who came now would be served, if all who wait stay, nobody else comes, and nothing is given back; if it is after his
   * deadline, some time after it. Undefined where that depends on what is given back.
   */
  #readyAt(waiter: Waiter): number | undefined {
    const tried = new ExactLine(this.#exact.copy(), Number.POSITIVE_INFINITY);
    for (const other of [...this.#waiters, waiter])
      tried.#waiters.push({ ...other, deadline: Number.POSITIVE_INFINITY });
    tried.run();
    while (tried.#waiters.some(({ number }) => number === waiter.number)) {
      if (tried.#waiters.some(({ request }) => tried.#waitsForOthers(request))) return undefined;
      const next = tried.#nextAt();
      if (next > waiter.deadline) return next;
      tried.#exact.pass(next - tried.#at);
      tried.run();
    }
    return tried.#at;
  }

  /** By what he lacks himself, where all of it comes back by itself; behind others it is judged roughly. */
  #isPlainlyLate({ request, deadline }: Waiter): boolean {
    const met = this.#exact.meet(request, new Set()).filter(({ limit }) => !limit.isShadow);
    const comesBack = met.every(
      ({ limit: { limit } }) => !('rate' in limit) || limit.rate.count > 0,
    );
    return comesBack && met.some(({ waitMs }) => this.#at + waitMs > deadline);
  }

  #waitsForOthers(request: LimitRequest): boolean {
    return this.#exact
      .meet(request, new Set())
      .some(({ limit, waitMs }) => !limit.isShadow && waitMs === Number.POSITIVE_INFINITY);
  }

  #serve(waiter: Waiter, met: readonly Meeting[]): void {
    const taker = this.#exact.takers;
    this.#end(waiter, this.#exact.grant(waiter.request, met), false, taker);
  }

  #end({ number }: Waiter, expected: Expected, isLate = false, taker?: number): void {
    this.ended.push({ waiter: number, now: this.#at, expected, isLate, taker });
  }
}

/** Where the narrowest limits are of which something is lacking. */
function ownPlaces(met: readonly Meeting[]): Meeting[] {
  const lacking = met.filter(({ limit, waitMs }) => !limit.isShadow && waitMs > 0);
  const narrowest = Math.max(...lacking.map(({ limit }) => limit.breadth));
  return lacking.filter(({ limit }) => limit.breadth === narrowest);
}
