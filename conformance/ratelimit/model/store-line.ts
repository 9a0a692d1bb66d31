import type { LimitRequest } from '@gatebook/ratelimit';
import { type ExactLimiter, type Expected, type Meeting, worstOf } from './exact-limiter.js';
import type { Ended, Line } from './exact-line.js';
import { Fraction } from './fraction.js';
import { StoredBucketAccount } from './stored-bucket-account.js';

/** What was taken for somebody before it had come in: when each bucket has it, which may move forward. */
interface Booking {
  readonly taker: number;
  readonly buckets: readonly { readonly meeting: Meeting; at: Fraction }[];
}

interface Waiter {
  readonly number: number;
  readonly request: LimitRequest;
  readonly deadline: number;
  /** The limit and key that he stands in line for. */
  place: string | undefined;
  booking: Booking | undefined;
  /** Whether he took in the same ms in which something was given back, so that the store cannot tell what came first. */
  isTied: boolean;
}

/**
 * Who waits in one process whose limits are counted in a store. Whoever lacks something of an own key stands in line for the narrowest;
 * only who is first there is served or booked, and who comes later stands behind him without asking. Whoever lacks but the broadest
 * buckets is booked: all he takes is gone at once, and he goes when it has come in. When a booking is given up those behind it move
 * forward; what others give back does not move them.
 */
export class StoreLine implements Line {
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
    return this.#waiters.filter(({ isTied }) => !isTied).map(({ number }) => number);
  }

  get made(): number {
    return this.#made;
  }

  /** Behind others it is judged roughly, by what comes in for those before him. */
  add(
    request: LimitRequest,
    timeoutMs: number | undefined,
    isRefusedLate: boolean,
  ): boolean | undefined {
    const waiter: Waiter = {
      ...{ number: this.#made++, request, place: undefined, booking: undefined },
      isTied: false,
      deadline: this.#now + (timeoutMs ?? Number.POSITIVE_INFINITY),
    };
    const met = this.#exact.meet(request);
    const never = met.find(({ limit, reason }) => !limit.isShadow && reason === 'never');
    const behind = never === undefined ? this.#claimedBy(met, this.#queues()) : [];
    if (behind.length === 0) {
      const isLate = this.#ask(waiter);
      return isLate;
    }
    if (isRefusedLate) this.#end(waiter, this.#exact.refuse(met, 'deadline'));
    else if (this.#waiters.length >= this.#most)
      this.#end(waiter, this.#exact.refuse(met, 'waiting'));
    else {
      waiter.place = behind[0]!.place;
      this.#waiters.push(waiter);
    }
    return undefined;
  }

  claimed(request: LimitRequest): string[] {
    const met = this.#exact.meet(request);
    if (met.some(({ limit, reason }) => !limit.isShadow && reason === 'never')) return [];
    const places = this.#queues();
    for (const { request: other, booking } of this.#waiters)
      if (booking !== undefined)
        for (const { place, limit, cost } of this.#exact.meet(other))
          if (!limit.isShadow && cost.isAbove(Fraction.zero)) places.add(place);
    return this.#claimedBy(met, places).map(({ limit }) => limit.name);
  }

  abort(number: number): void {
    this.#leave(this.#waiters.filter((waiter) => waiter.number === number));
    this.run();
    this.#serveReady();
  }

  run(): void {
    this.#run(true);
  }

  /** All who are first ask, by arrival, until nobody gets anything more. */
  #run(isTied: boolean): void {
    const places = new Set<string>();
    for (const waiter of [...this.#waiters].sort((one, other) => one.number - other.number)) {
      const { place } = waiter;
      if (place === undefined || places.has(place)) continue;
      places.add(place);
      waiter.isTied ||= isTied;
      this.#ask(waiter);
      if (waiter.place === place) {
        waiter.isTied = false;
        continue;
      }
      this.#run(isTied);
      return;
    }
  }

  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = Math.min(end, this.#nextAt());
      this.#exact.pass(next - this.#now);
      this.#run(false);
      this.#serveReady();
      this.#refuseLate();
      if (next === end) return;
    }
  }

  get #now(): number {
    return this.#exact.at.now;
  }

  #nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { request, deadline, booking } of this.#waiters) {
      next = Math.min(next, deadline);
      if (booking !== undefined) next = Math.min(next, readyAt(booking));
      else
        for (const { waitMs } of this.#exact.meet(request))
          if (waitMs > 0) next = Math.min(next, this.#now + waitMs);
    }
    return Math.max(next, this.#now + 1);
  }

  /** Serves, books or refuses him, or has him stand in line for the narrowest that he lacks. Returns whether he is too late. */
  #ask(waiter: Waiter): boolean {
    const met = this.#exact.meet(waiter.request);
    const worst = worstOf(met);
    const leftMs = waiter.deadline - this.#now;
    const isNew = !this.#waiters.includes(waiter);
    const isFull = isNew && this.#waiters.length >= this.#most;
    if (worst === undefined) {
      const taker = this.#exact.takers;
      this.#end(waiter, this.#exact.grant(waiter.request, met), taker, !isNew);
      if (waiter.isTied) this.#exact.keep(taker);
    } else if (worst.reason === 'never') this.#end(waiter, this.#exact.refuse(met));
    else if (worst.waitMs > leftMs && worst.waitMs !== Number.POSITIVE_INFINITY) {
      this.#end(waiter, this.#exact.refuse(met, 'deadline'));
      return true;
    } else if (isFull) this.#end(waiter, this.#exact.refuse(met, 'waiting'));
    else {
      if (isNew) this.#waiters.push(waiter);
      waiter.place = isBookable(met) ? undefined : placeOf(met, worst);
      if (waiter.place === undefined) this.#book(waiter, met);
    }
    return false;
  }

  #book(waiter: Waiter, met: readonly Meeting[]): void {
    const taker = this.#exact.book(waiter.request, met);
    const buckets = met.flatMap((meeting) => {
      const { account, limit } = meeting;
      if (!(account instanceof StoredBucketAccount) || limit.isShadow) return [];
      const at = account.readyAt(this.#exact.at);
      return at === undefined ? [] : [{ meeting, at }];
    });
    waiter.booking = { taker, buckets };
  }

  #serveReady(): void {
    for (const waiter of [...this.#waiters]) {
      const { booking } = waiter;
      if (booking === undefined || readyAt(booking) > this.#now) continue;
      if (!waiter.isTied) this.#exact.serve(booking.taker);
      const expected = { ...this.#exact.peek(waiter.request), allowed: true };
      this.#end(waiter, expected, booking.taker);
    }
  }

  #refuseLate(): void {
    const late = this.#waiters.filter(({ deadline }) => deadline <= this.#now);
    if (late.length === 0) return;
    this.#leave(late);
    for (const waiter of late)
      this.#end(waiter, this.#exact.refuse(this.#exact.meet(waiter.request), 'deadline'));
    this.run();
  }

  /** What was booked for them is given back, and those behind move forward. */
  #leave(gone: readonly Waiter[]): void {
    this.#waiters = this.#waiters.filter((waiter) => !gone.includes(waiter));
    const freed = gone.flatMap(({ booking }) => booking?.buckets ?? []);
    for (const { booking } of this.#waiters) {
      for (const bucket of booking?.buckets ?? []) {
        const before = freed.filter(
          ({ meeting, at }) => meeting.place === bucket.meeting.place && bucket.at.isAbove(at),
        );
        for (const { meeting } of before) bucket.at = bucket.at.minus(comingMs(meeting));
      }
    }
    for (const { booking } of gone) if (booking !== undefined) this.#exact.refund(booking.taker);
  }

  #queues(): Set<string> {
    return new Set(this.#waiters.flatMap(({ place }) => place ?? []));
  }

  #claimedBy(met: readonly Meeting[], places: ReadonlySet<string>): Meeting[] {
    return met.filter(
      ({ limit, place, cost }) =>
        !limit.isShadow && cost.isAbove(Fraction.zero) && places.has(place),
    );
  }

  #end(waiter: Waiter, expected: Expected, taker?: number, isOld = true): void {
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    waiter.place = undefined;
    const { number } = waiter;
    this.ended.push({ waiter: number, now: this.#now, expected, isLate: false, isOld, taker });
  }
}

/** Whether all that is lacking are buckets of the broadest scope, which fill. */
function isBookable(met: readonly Meeting[]): boolean {
  const broadest = Math.min(...met.map(({ limit }) => limit.breadth));
  return lackingOf(met).every(
    ({ account, limit, waitMs, reason }) =>
      account instanceof StoredBucketAccount &&
      limit.breadth === broadest &&
      waitMs !== Number.POSITIVE_INFINITY &&
      reason === 'limit',
  );
}

/** The narrowest that is lacking; of several the one with the longest wait, or the first. */
function placeOf(met: readonly Meeting[], worst: Meeting): string {
  let narrowest = worst;
  for (const meeting of lackingOf(met))
    if (meeting.limit.breadth > narrowest.limit.breadth) narrowest = meeting;
  return narrowest.place;
}

function lackingOf(met: readonly Meeting[]): Meeting[] {
  return met.filter(({ limit, waitMs }) => !limit.isShadow && waitMs > 0);
}

function readyAt({ buckets }: Booking): number {
  return Math.max(...buckets.map(({ at }) => at.ceil()));
}

function comingMs({ account, cost }: Meeting): Fraction {
  return account instanceof StoredBucketAccount ? account.comingMs(cost) : Fraction.zero;
}
