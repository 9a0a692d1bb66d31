import type { Limit, LimitRequest } from '@gatebook/ratelimit';
import type { Account, Instant, Span } from './account.js';
import { BucketAccount } from './bucket-account.js';
import { CalendarAccount, Periods } from './calendar-account.js';
import { Fraction } from './fraction.js';
import { LapsingPermitAccount } from './lapsing-permit-account.js';
import { PermitAccount } from './permit-account.js';
import { RollingAccount } from './rolling-account.js';
import { StoredBucketAccount } from './stored-bucket-account.js';

const dayMs = 86_400_000;

/** Where it is counted: in the memory of one process, or in a store that outlives it. */
export type Where = 'memory' | 'store';

/** How long a key is blocked, and how often it was without having been forgotten. */
interface Block {
  readonly until: number;
  readonly times: number;
  readonly forgottenAt: number;
}

/** One limit: an account for each key, made when it is first asked for. */
export class ExactLimit {
  limit: Limit;
  readonly #where: Where;
  /** What it has decided. */
  allowed = 0;
  refused = 0;
  shadowRefused = 0;
  readonly #accounts = new Map<string, Account>();
  readonly #blocks = new Map<string, Block>();
  readonly #periods: Periods | undefined;

  constructor(limit: Limit, where: Where) {
    this.limit = limit;
    this.#where = where;
    if (limit.kind === 'quota' && 'calendar' in limit.period)
      this.#periods = new Periods(limit.period);
  }

  get name(): string {
    return this.limit.name;
  }

  /** Members in its scope. */
  get breadth(): number {
    return this.limit.scope?.length ?? 0;
  }

  get isShadow(): boolean {
    return this.limit.shadow === true;
  }

  get isOfPermits(): boolean {
    return this.limit.kind === 'concurrency';
  }

  /** The most there can be of one key. */
  get most(): number {
    const { limit } = this;
    if (limit.kind === 'concurrency' || limit.kind === 'quota') return limit.max;
    const { count } = limit.rate;
    return limit.burst ?? (count > 0 ? Math.max(1, count) : 0);
  }

  /** As much again as there can be, unless it is said. */
  get debtMost(): Fraction {
    return Fraction.of(this.limit.maxDebt ?? this.most);
  }

  meets(request: LimitRequest): boolean {
    return this.limit.match === undefined || this.limit.match(request);
  }

  /** A member that is absent is not one that is empty. */
  keyOf(request: LimitRequest): string {
    return JSON.stringify((this.limit.scope ?? []).map((member) => request[member] ?? null));
  }

  costOf(request: LimitRequest): Fraction {
    const { cost = this.isOfPermits ? 'call' : 'cost' } = this.limit;
    if (typeof cost === 'function') return Fraction.of(cost(request));
    return Fraction.of(cost === 'call' ? 1 : (request.cost ?? 1));
  }

  accountOf(key: string, at: Instant): Account {
    const found = this.#accounts.get(key);
    if (found !== undefined) return found;
    const made = this.#newAccount(at);
    this.#accounts.set(key, made);
    return made;
  }

  /** Twice as long each time, up to a day; a block is forgotten when as long again has passed. Returns the ms. */
  block(key: string, ms: number, { now }: Instant): number {
    const before = this.#blocks.get(key);
    const times = before !== undefined && now < before.forgottenAt ? before.times : 0;
    const blockedMs = Math.min(ms * 2 ** times, Math.max(ms, dayMs));
    const until = Math.max(now + blockedMs, before?.until ?? 0);
    this.#blocks.set(key, { until, times: times + 1, forgottenAt: until + (until - now) });
    return until - now;
  }

  blockedMs(key: string, { now }: Instant): number {
    return Math.max(0, (this.#blocks.get(key)?.until ?? 0) - now);
  }

  reset(key: string, at: Instant): void {
    this.accountOf(key, at).reset();
    this.#blocks.delete(key);
  }

  /** Whether another limit goes on with what was used of this one. */
  isInheritedBy(other: Limit): boolean {
    return shapeOf(other) === shapeOf(this.limit);
  }

  /** Goes on as another limit. */
  change(limit: Limit, at: Instant): void {
    this.limit = limit;
    for (const account of this.#accounts.values()) {
      account.most = Fraction.of(this.most);
      if (account instanceof BucketAccount) account.changeRate(perMsOf(limit), at);
    }
  }

  /** When nobody can tell whether the store still knows what was used of some key. */
  unsure(at: Instant): Span[] {
    return [...this.#accounts.values()].flatMap((account) =>
      account instanceof StoredBucketAccount ? account.unsure(at) : [],
    );
  }

  /** What another process had decided is not known to the one that follows it. */
  forgetCounts(): void {
    this.allowed = 0;
    this.refused = 0;
    this.shadowRefused = 0;
  }

  /** Goes on from what an earlier limiter had counted of the same limit. */
  restore(earlier: ExactLimit, then: Instant, at: Instant): void {
    for (const [key, account] of earlier.#accounts) {
      const used = account.used(then);
      if (used.isAbove(Fraction.zero)) this.accountOf(key, at).restore(used, then, at);
    }
  }

  copy(): ExactLimit {
    const other = new ExactLimit(this.limit, this.#where);
    for (const [key, account] of this.#accounts) other.#accounts.set(key, account.copy());
    for (const [key, block] of this.#blocks) other.#blocks.set(key, block);
    return other;
  }

  #newAccount(at: Instant): Account {
    const { limit } = this;
    const most = Fraction.of(this.most);
    const isStored = this.#where === 'store';
    if (limit.kind === 'concurrency')
      return isStored ? new LapsingPermitAccount(most) : new PermitAccount(most);
    if (this.#periods !== undefined) return new CalendarAccount(most, this.#periods);
    if (limit.kind === 'quota' && 'rollingMs' in limit.period)
      return new RollingAccount(most, limit.period.rollingMs);
    return isStored
      ? new StoredBucketAccount(most, perMsOf(limit), at)
      : new BucketAccount(most, perMsOf(limit), at);
  }
}

function perMsOf(limit: Limit): Fraction {
  if (!('rate' in limit)) return Fraction.zero;
  return Fraction.of(limit.rate.count).dividedBy(Fraction.of(limit.rate.perMs));
}

function shapeOf({ name, kind = 'rate', scope = [], ...limit }: Limit): string {
  return JSON.stringify([name, kind, scope, 'period' in limit ? limit.period : null]);
}
