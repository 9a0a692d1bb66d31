import type { Decision, Limit, LimitCounters, LimitRequest, Reason } from '@gatebook/ratelimit';
import { type Account, exactly, type Instant, type Span } from './account.js';
import { ExactLimit, type Where } from './exact-limit.js';
import { Fraction } from './fraction.js';
import { Remembered } from './remembered.js';
import { Renewals } from './renewals.js';
import { StoredBucketAccount } from './stored-bucket-account.js';

/** What a request meets of one limit. */
export interface Meeting {
  readonly limit: ExactLimit;
  /** The limit and the key. */
  readonly place: string;
  readonly account: Account;
  readonly cost: Fraction;
  readonly left: Fraction;
  readonly waitMs: number;
  readonly reason: Reason;
}

/** What the limiter has to say; of a time that is not told exactly, the bounds. */
export interface Expected {
  readonly allowed: boolean;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs: number;
  readonly resetMs: Span;
  readonly reason: Reason | undefined;
  /** Somebody waits, and nobody can tell when this ends: which of the limits is named of which that is so is left open. */
  readonly isOpen: boolean;
}

/** Somebody who was let in, and what may still be given back or corrected. */
interface Taker {
  readonly request: LimitRequest;
  readonly taken: readonly Meeting[];
  readonly isReservation: boolean;
  hasPermits: boolean;
  hasRest: boolean;
  /** Whether nobody can give back what it took: its process is gone, or it has not heard yet of what is booked for it. */
  isGone: boolean;
}

/**
 * What the limiter is held against, in numbers without rounding: limits in their order, of which a request takes from all or none.
 * Written from what the documentation says, not from how the limiter does it.
 */
export class ExactLimiter {
  at: Instant;
  /** Places that somebody waits for: nobody else takes there. */
  claims: ReadonlySet<string> = new Set();
  #limits: readonly ExactLimit[];
  #takers: Taker[] = [];
  readonly #where: Where;
  readonly #renewals = new Renewals();
  readonly #remembered = new Remembered();

  constructor(limits: readonly Limit[], at: Instant, where: Where = 'memory') {
    this.#where = where;
    this.#limits = limits.map((limit) => new ExactLimit(limit, where));
    this.at = at;
  }

  /** How many were let in so far: the next one has this number. */
  get takers(): number {
    return this.#takers.length;
  }

  get names(): readonly string[] {
    return this.#limits.map(({ name }) => name);
  }

  /** The numbers of those that are reservations. */
  get reservations(): number[] {
    return [...this.#takers.keys()].filter((taker) => this.isReservation(taker));
  }

  /**
   * Whether it can be told what is given back: not by a process that is gone, and not of a bucket in a store whose rate was changed since,
   * of which README says only that it is never too much.
   */
  canGiveBack(taker: number, what: 'permits' | 'all'): boolean {
    const { isGone, taken } = this.#takers[taker]!;
    return !isGone && (what === 'permits' || !taken.some(({ account }) => isStale(account, taker)));
  }

  isReservation(taker: number): boolean {
    return this.#takers[taker]!.isReservation;
  }

  peek(request: LimitRequest): Expected {
    const met = this.meet(request);
    const worst = worstOf(met);
    return worst === undefined ? this.#yes(met, false) : this.#no(worst);
  }

  take(request: LimitRequest, isReservation = false): Expected {
    const met = this.meet(request);
    return worstOf(met) === undefined ? this.grant(request, met, isReservation) : this.refuse(met);
  }

  /** Takes what is not there yet, to be used when it is. */
  book(request: LimitRequest, met: readonly Meeting[]): number {
    const taker = this.#takers.length;
    const taken = met.filter(({ limit, waitMs }) => waitMs === 0 || !limit.isShadow);
    this.grant(
      request,
      taken.map((meeting) => ({ ...meeting, waitMs: 0 })),
    );
    this.keep(taker);
    return taker;
  }

  /** Nobody gives back what it took. */
  keep(taker: number): void {
    this.#takers[taker]!.isGone = true;
  }

  /** What was booked is there. */
  serve(taker: number): void {
    this.#takers[taker]!.isGone = false;
  }

  grant(request: LimitRequest, met: readonly Meeting[], isReservation = false): Expected {
    countShadow(met);
    // What the shadow would have refused costs nothing there.
    const taken = met.filter(({ waitMs }) => waitMs === 0);
    for (const { limit } of met) limit.allowed++;
    for (const { account, cost } of taken) account.take(this.#takers.length, cost, this.at);
    this.#renewals.add(this.#takers.length, taken, this.at.now);
    this.#takers.push({
      ...{ request, taken, isReservation, hasPermits: true, hasRest: true },
      isGone: false,
    });
    return this.#yes(met, true);
  }

  /** Also of what would be let in, when it is refused for another reason than a limit's. */
  refuse(met: readonly Meeting[], reason?: Reason): Expected {
    countShadow(met);
    const worst = worstOf(met);
    if (worst !== undefined) worst.limit.refused++;
    const answer = worst === undefined ? this.#yes(met, false) : this.#no(worst);
    return reason === undefined ? answer : { ...answer, allowed: false, reason };
  }

  reserve(request: LimitRequest, estimate: number): Expected {
    return this.take({ ...request, cost: estimate }, true);
  }

  /** Gives back the permits; of a reservation, all that was taken. */
  release(taker: number): void {
    const one = this.#takers[taker]!;
    if (one.isReservation) {
      this.refund(taker);
      return;
    }
    if (one.hasPermits) this.#giveBack(taker, true);
    one.hasPermits = false;
  }

  refund(taker: number): void {
    const one = this.#takers[taker]!;
    if (one.hasPermits) this.#giveBack(taker, true);
    if (one.hasRest) this.#giveBack(taker, false);
    one.hasPermits = false;
    one.hasRest = false;
  }

  /** Corrects what was taken to what it did cost; returns what is in no budget, the most of any limit. */
  settle(taker: number, actual: number): Fraction {
    const one = this.#takers[taker]!;
    if (!one.hasRest) return Fraction.zero;
    this.#giveBack(taker, true);
    one.hasPermits = false;
    one.hasRest = false;
    let overspent = Fraction.zero;
    for (const { limit, account, cost } of one.taken) {
      if (limit.isOfPermits) continue;
      const more = limit.costOf({ ...one.request, cost: actual }).minus(cost);
      if (Fraction.zero.isAbove(more)) account.giveBack(taker, Fraction.zero.minus(more), this.at);
      else if (more.isAbove(Fraction.zero))
        overspent = overspent.max(account.exceed(taker, more, limit.debtMost, this.at));
    }
    return overspent;
  }

  block(name: string, request: LimitRequest, ms: number): number {
    this.#remembered.clear();
    const limit = this.#named(name);
    return limit.block(limit.keyOf(request), ms, this.at);
  }

  reset(name: string, request: LimitRequest): void {
    this.#remembered.clear();
    const limit = this.#named(name);
    limit.reset(limit.keyOf(request), this.at);
  }

  setLimits(limits: readonly Limit[]): void {
    this.#remembered.clear();
    this.#limits = limits.map((next) => {
      const before = this.#limits.find((limit) => limit.isInheritedBy(next));
      before?.change(next, this.at);
      return before ?? new ExactLimit(next, this.#where);
    });
  }

  /** Lets time pass; `isStalled`: the process does nothing meanwhile, and then what is overdue. */
  pass(ms: number, isStalled = false): void {
    const { now, wall } = this.at;
    this.at = { now: now + ms, wall: wall + ms };
    this.#renewals.run(now + ms, isStalled);
  }

  /** The ms nearest to these, or more, after which it is known what the store knows. */
  surely(ms: number): number {
    let end = this.at.now + ms;
    const unsure = this.#limits.flatMap((limit) => limit.unsure(this.at));
    unsure.sort((one, other) => one.least - other.least);
    for (const { least, most } of unsure) if (end >= least && end <= most) end = most + 1;
    return end - this.at.now;
  }

  /** The process is killed, and another goes on where its store is: nobody renews its permits, nor gives anything back. */
  die(): void {
    this.#renewals.clear();
    this.#remembered.clear();
    for (const taker of this.#takers) taker.isGone = true;
    for (const limit of this.#limits) limit.forgetCounts();
  }

  /** A new limiter goes on from what this one has counted; nobody can give anything back to it. */
  restart(at: Instant): void {
    const then = this.at;
    const before = this.#limits;
    this.at = at;
    this.#limits = before.map(({ limit }) => new ExactLimit(limit, this.#where));
    for (const [place, limit] of this.#limits.entries()) limit.restore(before[place]!, then, at);
    this.#takers = [];
  }

  /**
   * Whether a limiter over a store may refuse with what a limit was known to refuse the like with, up to 1 s ago, without asking again: it is
   * refused all the same, and no later than it was told. Notes, too, what was refused.
   */
  mayRemember(request: LimitRequest, told: Decision): boolean {
    if (this.#where === 'memory' || told.allowed || told.reason !== 'limit') return false;
    const met = this.meet(request);
    const by = met.find(({ limit }) => limit.name === told.by);
    if (by === undefined || met.some(({ limit }) => limit.isShadow)) return false;
    return this.#remembered.note(`${by.place} ${by.cost}`, this.at.now);
  }

  /** Another limit than was expected was named for a refusal. */
  rename(expected: string, told: string): void {
    this.#named(expected).refused--;
    this.#named(told).refused++;
  }

  counters(): Omit<LimitCounters, 'keys'>[] {
    return this.#limits.map(({ name, allowed, refused, shadowRefused }) => ({
      limit: name,
      allowed,
      refused,
      shadowRefused,
    }));
  }

  #named(name: string): ExactLimit {
    return this.#limits.find((limit) => limit.name === name)!;
  }

  /** One that can be tried with what would come. */
  copy(): ExactLimiter {
    const other = new ExactLimiter([], this.at, this.#where);
    other.#limits = this.#limits.map((limit) => limit.copy());
    return other;
  }

  meet(request: LimitRequest, claims = this.claims): Meeting[] {
    return this.#limits
      .filter((limit) => limit.meets(request))
      .map((limit): Meeting => {
        const key = limit.keyOf(request);
        const account = limit.accountOf(key, this.at);
        const cost = limit.costOf(request);
        const left = account.most.minus(account.used(this.at));
        const isNever = cost.isAbove(account.most);
        const ownMs = isNever ? Number.POSITIVE_INFINITY : account.waitMs(cost, this.at);
        const blockedMs = limit.blockedMs(key, this.at);
        const place = JSON.stringify([limit.name, key]);
        const met = { limit, place, account, cost, left, waitMs: Math.max(ownMs, blockedMs) };
        if (claims.has(place) && met.waitMs < Number.POSITIVE_INFINITY)
          return { ...met, waitMs: Number.POSITIVE_INFINITY, reason: 'queue' };
        return { ...met, reason: isNever ? 'never' : blockedMs > ownMs ? 'blocked' : 'limit' };
      });
  }

  /** Of those that allow, the one with least left is told. */
  #yes(met: readonly Meeting[], isTaken: boolean): Expected {
    let least: { meeting: Meeting; left: Fraction } | undefined;
    for (const meeting of met) {
      if (meeting.limit.isShadow) continue;
      const left = meeting.left.minus(meeting.cost);
      if (least === undefined || least.left.isAbove(left)) least = { meeting, left };
    }
    if (least === undefined) return unlimited;
    const { meeting } = least;
    const told = isTaken ? least.left : meeting.left;
    return {
      ...this.#about(meeting, told),
      allowed: true,
      retryAfterMs: 0,
      reason: undefined,
      isOpen: false,
    };
  }

  #no(worst: Meeting): Expected {
    return {
      ...this.#about(worst, worst.left),
      allowed: false,
      retryAfterMs: worst.waitMs,
      reason: worst.reason,
      isOpen:
        this.claims.size > 0 &&
        worst.waitMs === Number.POSITIVE_INFINITY &&
        worst.reason !== 'never',
    };
  }

  #about(
    { limit, account }: Meeting,
    left: Fraction,
  ): Pick<Expected, 'by' | 'remaining' | 'limit' | 'resetMs'> {
    return {
      by: limit.name,
      remaining: left.max(Fraction.zero).floor(),
      limit: limit.most,
      resetMs: account.resetMs(this.at),
    };
  }

  #giveBack(taker: number, permits: boolean): void {
    this.#remembered.clear();
    if (permits) this.#renewals.remove(taker);
    for (const { limit, account, cost } of this.#takers[taker]!.taken)
      if (limit.isOfPermits === permits) account.giveBack(taker, cost, this.at);
  }
}

function isStale(account: Account, taker: number): boolean {
  return account instanceof StoredBucketAccount && account.isStale(taker);
}

const unlimited: Expected = {
  allowed: true,
  by: '',
  remaining: Number.POSITIVE_INFINITY,
  limit: Number.POSITIVE_INFINITY,
  retryAfterMs: 0,
  resetMs: exactly(0),
  reason: undefined,
  isOpen: false,
};

function countShadow(met: readonly Meeting[]): void {
  for (const { limit, waitMs } of met) if (limit.isShadow && waitMs > 0) limit.shadowRefused++;
}

/** The limit that refuses longest, what can never be before what nobody can tell the end of. */
export function worstOf(met: readonly Meeting[]): Meeting | undefined {
  const refusing = met.filter(({ limit, waitMs }) => !limit.isShadow && waitMs > 0);
  const never = refusing.find(({ reason }) => reason === 'never');
  if (never !== undefined) return never;
  const longest = Math.max(...refusing.map(({ waitMs }) => waitMs));
  return refusing.find(({ waitMs }) => waitMs === longest);
}
