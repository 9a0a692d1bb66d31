import { createHash } from 'node:crypto';
import { Calendar, type Period } from '../calendar.js';
import { burstOf, type Limit, type QuotaLimit, type RateLimit } from '../limit.js';
import { MeterBase } from '../meter-base.js';
import { shapeOf } from '../meters.js';
import type { LimitRequest } from '../request.js';

/** What a limit does when the store does not answer. */
export type OnStoreFailure = 'deny' | 'local' | 'allow';

/** A limit over Redis. */
export type RedisLimit = Limit & {
  /**
   * What becomes of its requests while the store does not answer; `deny` by default. `local`: this process counts by itself, up to its
   * share. Not so for a store that may evict what is counted, see `evictions`: there nothing is decided.
   */
  readonly onStoreFailure?: OnStoreFailure | undefined;
};

/** How long a permit lasts that nobody renews, in µs. */
export const lapseUs = 30_000_000;
/** µs in a ms. */
const us = 1_000;
const parts = 60;
/** Of a key: what people may read, and 66 bits of what tells limits apart. */
const nameMost = 16;
const shapeLength = 11;

export interface Counted {
  allowed: number;
  refused: number;
  shadowRefused: number;
}

/** What the scripts know a limit by. */
export type Kind = 'r' | 'c' | 'q' | 'w';

/** A limit as the scripts take it: its keys, and its numbers in µs and in units of `perToken` a token. */
export class Term extends MeterBase {
  readonly limit: RedisLimit;
  readonly kind: Kind;
  readonly max: number;
  readonly onStoreFailure: OnStoreFailure;
  /** Units of a token; 1 but for buckets. */
  readonly perToken: number;
  /** Units that come in per µs. */
  readonly count: number;
  /** µs of a part of a rolling quota. */
  readonly span: number;
  /** What this process has decided by it. */
  counted: Counted = { allowed: 0, refused: 0, shadowRefused: 0 };
  readonly #head: string;
  readonly #texts: { readonly one: string; readonly max: string; readonly rest: readonly string[] };
  readonly #calendar: Calendar | undefined;
  #next: Term | undefined;
  #period: Period = { from: 0, to: 0 };

  constructor(limit: RedisLimit, prefix: string) {
    super(limit);
    this.limit = limit;
    this.onStoreFailure = limit.onStoreFailure ?? 'deny';
    const shape = createHash('sha256').update(shapeOf(limit)).digest('base64url');
    this.#head = `{${prefix}}:${limit.name.slice(0, nameMost)}#${shape.slice(0, shapeLength)}:`;
    this.kind = kindOf(limit);
    this.perToken = 1;
    this.count = 0;
    this.span = 0;
    if (limit.kind === 'concurrency') {
      this.max = limit.max;
    } else if (limit.kind === 'quota') {
      this.max = limit.max;
      const { period } = limit as QuotaLimit;
      if ('rollingMs' in period) this.span = (period.rollingMs * us) / parts;
      else this.#calendar = new Calendar(period);
    } else {
      this.max = burstOf(limit);
      [this.perToken, this.count] = unitsOf(limit, this.max);
    }
    this.#texts = {
      one: text(this.perToken),
      max: text(this.max * this.perToken),
      rest: this.kind === 'r' ? [text(this.count), text(this.perToken)] : [],
    };
  }

  /** Another has its keys from now on, if it means the same by them. */
  giveWay(next: Term): void {
    if (next.#head === this.#head) this.#next = next;
  }

  /** What has its keys now; itself where its limit was taken out. */
  get latest(): Term {
    let term: Term = this;
    while (term.#next !== undefined) term = term.#next;
    return term;
  }

  /** The most tokens that came in per µs since it was made. */
  get fastest(): number {
    let most = 0;
    for (let term: Term | undefined = this; term !== undefined; term = term.#next)
      most = Math.max(most, term.count / term.perToken);
    return most;
  }

  keyIn(request: LimitRequest): string {
    return this.#head + this.keyOf(request);
  }

  /** The calendar period at a time of the server's, in µs. */
  periodAt(nowMs: number): { readonly from: number; readonly to: number } {
    if (this.#calendar === undefined) return { from: 0, to: 0 };
    if (nowMs < this.#period.from || nowMs >= this.#period.to)
      this.#period = this.#calendar.at(nowMs);
    return { from: this.#period.from * us, to: this.#period.to * us };
  }

  /** The four numbers that the taking scripts want. */
  pushArguments(values: string[], cost: number, nowMs: number): void {
    const { one, max, rest } = this.#texts;
    values.push(cost === 1 ? one : text(cost * this.perToken), max);
    if (this.kind === 'r') values.push(...rest);
    else if (this.kind === 'c') values.push(text(lapseUs), '0');
    else if (this.kind === 'w') values.push(text(this.span), '0');
    else {
      const { from, to } = this.periodAt(nowMs);
      values.push(text(from), text(to));
    }
  }

  /** ms until so many tokens have come back. */
  msFor(tokens: number, resetUs: number): number {
    if (tokens <= 0) return 0;
    // What was used may be in the newest part, and the oldest is counted whole.
    if (this.kind === 'w') return Math.ceil(((parts + 1) * this.span) / us);
    if (this.kind !== 'r') return resetUs < 0 ? Number.POSITIVE_INFINITY : Math.ceil(resetUs / us);
    return this.count === 0
      ? Number.POSITIVE_INFINITY
      : Math.ceil((tokens * this.perToken) / this.count / us);
  }
}

/** What a bucket may lack at most, in units: so that it can be in debt as well, and is still counted exactly. */
const unitsMost = 2 ** 50;

/**
 * The units of a token, and those that come in per µs. As many as its period has µs, where that can be counted: then whole tokens and
 * whole rates are exact. For larger budgets (from some 13,000 tokens a day) a power of two, by which tokens are exact and what comes in
 * is off by 2^-52 of it.
 */
function unitsOf({ rate }: RateLimit, burst: number): readonly [perToken: number, count: number] {
  const periodUs = rate.perMs * us;
  if (burst * periodUs <= unitsMost) return [periodUs, rate.count];
  const perToken = 2 ** Math.floor(Math.log2(unitsMost / Math.max(1, burst)));
  return [perToken, (rate.count * perToken) / periodUs];
}

/** As Lua reads it back exactly. */
export function text(value: number): string {
  return String(value);
}

function kindOf(limit: Limit): Kind {
  if (limit.kind === 'concurrency') return 'c';
  if (limit.kind !== 'quota') return 'r';
  return 'rollingMs' in limit.period ? 'w' : 'q';
}
