import type { Limit, LimitRequest } from '@gatebook/ratelimit';
import type { Account, Instant } from './account.js';
import { BucketAccount } from './bucket-account.js';
import { Fraction } from './fraction.js';
import { PermitAccount } from './permit-account.js';

/** One limit: an account for each key, made when it is first asked for. */
export class ExactLimit {
  readonly limit: Limit;
  /** What it has decided. */
  allowed = 0;
  refused = 0;
  shadowRefused = 0;
  readonly #accounts = new Map<string, Account>();

  constructor(limit: Limit) {
    this.limit = limit;
  }

  get name(): string {
    return this.limit.name;
  }

  get isShadow(): boolean {
    return this.limit.shadow === true;
  }

  get isOfPermits(): boolean {
    return this.limit.kind === 'concurrency';
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
    const made = newAccount(this.limit, at);
    this.#accounts.set(key, made);
    return made;
  }
}

function newAccount(limit: Limit, at: Instant): Account {
  if (limit.kind === 'concurrency') return new PermitAccount(Fraction.of(limit.max));
  if (limit.kind === 'quota') throw new Error('quotas are not modelled yet');
  const { count, perMs } = limit.rate;
  const burst = limit.burst ?? (count > 0 ? Math.max(1, count) : 0);
  return new BucketAccount(
    Fraction.of(burst),
    Fraction.of(count).dividedBy(Fraction.of(perMs)),
    at,
  );
}
