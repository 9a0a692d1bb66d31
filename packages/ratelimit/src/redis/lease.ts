import type { Clock } from '../clock.js';
import { RateLimitError } from '../errors.js';
import type { EvictionGuard } from './eviction-guard.js';
import { LeaseCall, type LeaseReply, leaseScript } from './lease-call.js';
import { LeaseNeeds, type Need } from './lease-needs.js';
import { type Batch, LeaseReturns } from './lease-returns.js';
import { type LeaseTerm, leaseMs } from './lease-term.js';
import type { Link } from './link.js';
import { StoreFailure } from './store-failure.js';

/** Who leases, and how many calls were made: a lease that is made anew goes on counting. */
export interface Caller {
  readonly id: string;
  calls: number;
}

/** What a lease is had by. */
export interface Leasing {
  readonly link: Link;
  readonly guard: EvictionGuard;
  readonly clock: Clock;
  readonly caller: Caller;
}

/** It is not asked for more sooner when there was less than was wanted. */
const fillPauseMs = 10;
/** What goes back, or is owed, is tried again after so long while the store is away. */
const awayPauseMs = 500;
/** The clocks of a process and of the store may run so much differently. */
const trusted = 0.98;

/**
 * What this process has leased of one key. Taking from it asks nobody; it is filled up when less than half is left, by one call at a time.
 * What it has lapses here before it does in the store, however long the process stood still.
 */
export class Lease {
  readonly #storeKey: string;
  readonly #link: Link;
  readonly #guard: EvictionGuard;
  readonly #clock: Clock;
  readonly #caller: Caller;
  readonly #needs = new LeaseNeeds();
  readonly #returns = new LeaseReturns();
  #term: LeaseTerm;
  #rest = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  /** What the store counts as leased: there is never more here. */
  #covered = 0;
  #batch: Batch = { mark: 0, atUs: 0, perToken: 1 };
  #batchMs = 0;
  #call = 0;
  #asking: Promise<void> | undefined;
  #fillAtMs = Number.NEGATIVE_INFINITY;
  #stop: (() => void) | undefined;
  #isUsed = false;
  #isAway = false;
  #isStale = false;
  #isClosed = false;

  constructor(term: LeaseTerm, key: string, { link, guard, clock, caller }: Leasing) {
    this.#term = term;
    this.#storeKey = term.storeKey(key);
    this.#link = link;
    this.#guard = guard;
    this.#clock = clock;
    this.#caller = caller;
  }

  /** Takes what is there, if it is; nothing where somebody needs it who came before. */
  take(cost: number, nowMs: number): Batch | undefined {
    const units = cost * this.#term.perToken;
    if (this.#needs.length > 0 || this.#rest < units || nowMs >= this.#untilMs) return undefined;
    if (!this.#guard.mayDecide(this.#storeKey, nowMs)) return undefined;
    this.#rest -= units;
    this.#isUsed = true;
    if (this.#rest * 2 < this.#term.slice && this.#asking === undefined && nowMs >= this.#fillAtMs)
      void this.#ask();
    return this.#batch;
  }

  /** Whether somebody waits who is not to be passed. */
  get isAwaited(): boolean {
    return this.#needs.isAwaited;
  }

  get needs(): number {
    return this.#needs.length;
  }

  need(need: Need): void {
    this.#needs.add(need);
    this.#isUsed = true;
    if (this.#asking === undefined) void this.#ask();
  }

  /** Somebody does not wait any more; who is behind may be served now. */
  leave(need: Need): void {
    if (this.#needs.remove(need) && this.#asking === undefined) void this.#ask();
  }

  /** Nobody had it after all: back to where it was, or to the store when it is not leased any more. */
  putBack(cost: number, batch: Batch, nowMs: number): void {
    const rest = this.#rest + cost * this.#term.perToken;
    if (batch === this.#batch && nowMs < this.#untilMs && rest <= this.#covered) this.#rest = rest;
    else this.giveBack(cost, batch);
  }

  /** What was spent goes back to the store with the next call, as far as it has not come back by itself. */
  giveBack(cost: number, batch: Batch): void {
    this.#returns.give(cost, batch);
    if (this.#asking === undefined && this.#stop === undefined) this.#wake(this.#pauseMs());
  }

  /**
   * Takes what may not be there; resolves with what was not taken, or with nothing where the store is away: then it goes with a later call,
   * and is taken twice rather than never.
   */
  owe(cost: number): Promise<number | undefined> {
    const owed = this.#returns.owe(cost);
    if (this.#asking === undefined) void this.#ask();
    return owed;
  }

  /** Tokens that are known to be in the bucket, and that are left here. */
  left(nowMs: number): number {
    const { burst, count, perToken } = this.#term;
    const come = (nowMs - this.#batchMs) * 1_000 * count;
    return (burst - Math.max(0, this.#batch.mark - come)) / perToken + this.rest(nowMs);
  }

  /** Tokens that are left here. */
  rest(nowMs: number): number {
    return nowMs < this.#untilMs ? this.#rest / this.#term.perToken : 0;
  }

  /** Ms that those who need it now, and then one more, take at the least. */
  msBehind(cost: number): number {
    const units = (this.#needs.cost + cost) * this.#term.perToken;
    return Math.max(1, Math.ceil(units / this.#term.count / 1_000));
  }

  /** Renews what is in use, and returns what is not. Whether there is anything left to look after. */
  tend(nowMs: number): boolean {
    if (this.#asking !== undefined || this.#stop !== undefined || this.#needs.length > 0)
      return true;
    if (nowMs >= this.#untilMs || this.#covered === 0) return false;
    if (!this.#isUsed) this.#putAllBack();
    void this.#ask(this.#isUsed);
    this.#isUsed = false;
    return true;
  }

  /** Returns what is left; nobody is served any more. */
  async close(error: unknown): Promise<void> {
    this.#isClosed = true;
    this.#stop?.();
    this.#stop = undefined;
    this.#needs.close(error);
    await this.#asking;
    if (this.#covered > 0 || this.#returns.hasGives || this.#returns.hasDebts) {
      this.#putAllBack();
      await this.#ask(false);
    }
    this.#returns.close();
  }

  /** Goes on by another limit of the same shape: what is left stays, in tokens. */
  change(term: LeaseTerm): void {
    const scale = term.perToken / this.#term.perToken;
    this.#term = term;
    this.#rest *= scale;
    this.#covered *= scale;
    this.refilled();
  }

  /** There may be more now, and what is being answered may not know of it. */
  refilled(): void {
    this.#fillAtMs = Number.NEGATIVE_INFINITY;
    if (this.#asking !== undefined) this.#isStale = true;
    else if (this.#needs.length > 0) void this.#ask();
  }

  #putAllBack(): void {
    if (this.#rest > 0 && this.#clock.now() < this.#untilMs)
      this.#returns.give(this.#rest / this.#term.perToken, this.#batch);
    this.#rest = 0;
  }

  #ask(isWanted = true): Promise<void> {
    this.#stop?.();
    this.#stop = undefined;
    this.#asking = this.#askNow(isWanted).finally(() => {
      this.#asking = undefined;
      if (this.#isClosed) return;
      const isStale = this.#isStale && this.#needs.length > 0;
      this.#isStale = false;
      const isUrgent = isStale || this.#returns.hasDebts || this.#needs.hasNew;
      if (isUrgent && !this.#isAway) void this.#ask();
      else if (isUrgent || this.#returns.hasGives) this.#wake(this.#pauseMs());
    });
    return this.#asking;
  }

  async #askNow(isWanted: boolean): Promise<void> {
    const sentMs = this.#clock.now();
    const term = this.#term;
    const mine = ++this.#caller.calls;
    this.#call = mine;
    // What has lapsed is spent, for the store as well.
    if (sentMs >= this.#untilMs) this.#rest = 0;
    const needs = this.#needs.first();
    const { gives, debt } = this.#returns.next();
    const want = isWanted ? term.slice : 0;
    const owed = debt?.cost ?? 0;
    const call = new LeaseCall(term, this.#caller.id, mine, {
      ...{ rest: this.#rest, want, owed, needs, gives },
    });
    // Those who needed it have been told that the store failed, so what they were to have is left over.
    const late = (raw: unknown): void => {
      if (raw !== undefined && mine === this.#call) this.#takeIn(call.read(raw), term, sentMs);
    };
    let reply: LeaseReply;
    try {
      // What only goes back, or is owed, may go to any server.
      if (needs.length > 0 && !this.#guard.mayDecide(this.#storeKey, sentMs))
        await this.#guard.admit(this.#storeKey);
      reply = call.read(await this.#link.run(leaseScript, [this.#storeKey], call.values, late));
      this.#isAway = false;
    } catch (error) {
      this.#isAway = true;
      const isUnknown = isUnknownOutcome(error);
      this.#returns.failed(gives, debt, isUnknown);
      this.#needs.fail(needs, error);
      return;
    }
    debt?.done(reply.owed / term.perToken);
    this.#serve(needs, reply, term, sentMs);
  }

  #serve(needs: readonly Need[], reply: LeaseReply, term: LeaseTerm, sentMs: number): void {
    const settled = this.#needs.settle(needs, reply.served, reply.waitsMs, term);
    const { served, firstMs, isToBeAsked } = settled;
    if (isToBeAsked) this.#isStale = true;
    for (const { cost } of served) this.#rest -= cost * this.#term.perToken;
    this.#takeIn(reply, term, sentMs);
    const isScarce = this.#rest * 2 < this.#term.slice;
    this.#fillAtMs = isScarce ? this.#batchMs + fillPauseMs : Number.NEGATIVE_INFINITY;
    for (const need of served) need.served(this.#batch);
    if (this.#needs.isAwaited) this.#wake(Math.max(1, Math.ceil(firstMs ?? 0)));
  }

  #takeIn(reply: LeaseReply, term: LeaseTerm, sentMs: number): void {
    const { perToken } = this.#term;
    const scale = perToken / term.perToken;
    this.#rest += reply.more * scale;
    this.#covered = reply.units * scale;
    this.#untilMs = sentMs + leaseMs * trusted;
    this.#batch = { mark: reply.lacking * scale, atUs: reply.nowUs, perToken };
    this.#batchMs = this.#clock.now();
    // There is never more here than the store counts as leased.
    const over = this.#rest - this.#covered;
    if (over <= 0) return;
    this.#rest = this.#covered;
    this.giveBack(over / perToken, this.#batch);
  }

  #pauseMs(): number {
    return this.#isAway ? Math.max(awayPauseMs, this.#link.pauseMs) : 0;
  }

  /** One timer for all who wait here. */
  #wake(ms: number): void {
    if (this.#isClosed) return;
    this.#stop?.();
    this.#stop = this.#clock.wake(ms, () => {
      this.#stop = undefined;
      if (this.#asking === undefined) void this.#ask();
    });
  }
}

/** Whether the store may have done what it was asked; not so where it was not asked at all. */
function isUnknownOutcome(error: unknown): boolean {
  return error instanceof StoreFailure ? error.isUnknown : !(error instanceof RateLimitError);
}
