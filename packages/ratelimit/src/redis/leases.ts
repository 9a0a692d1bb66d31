import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Decision } from '../decision.js';
import { EvictionGuard, type EvictionOptions } from './eviction-guard.js';
import { type Caller, Lease } from './lease.js';
import { bucketValues, leaseScript } from './lease-call.js';
import { type LeaseTerm, leaseMs } from './lease-term.js';
import { Link, type LinkOptions } from './link.js';

interface Leased {
  term: LeaseTerm;
  /** Its keys may lie on other servers than those of other limits, which may be away without this one. */
  readonly link: Link;
  readonly guard: EvictionGuard;
  readonly byKey: Map<string, Lease>;
}

const tendMs = leaseMs / 2;

/** What this process has leased, of all limits and keys. One timer looks after it. */
export class Leases {
  readonly #link: LinkOptions;
  readonly #evictions: EvictionOptions;
  readonly #clock: Clock;
  readonly #caller: Caller = { id: randomBytes(12).toString('base64url'), calls: 0 };
  #byShape = new Map<string, Leased>();
  #stop: (() => void) | undefined;
  #isClosed = false;

  constructor(link: LinkOptions, evictions: EvictionOptions = {}) {
    this.#link = link;
    this.#evictions = evictions;
    this.#clock = link.clock;
  }

  /** What is left of limits of the same shape stays. */
  setTerms(terms: readonly LeaseTerm[]): void {
    const before = this.#byShape;
    this.#byShape = new Map();
    for (const term of terms) {
      const same = before.get(term.shape);
      before.delete(term.shape);
      if (same === undefined) {
        const link = new Link(this.#link);
        const guard = new EvictionGuard(link, this.#clock, this.#evictions);
        this.#byShape.set(term.shape, { term, link, guard, byKey: new Map<string, Lease>() });
      } else {
        same.term = term;
        this.#byShape.set(term.shape, same);
        for (const lease of same.byKey.values()) lease.change(term);
      }
    }
    for (const leased of before.values()) void end(leased, new Error('the limit is no more'));
  }

  /** The lease of a key; undefined where there is no room for one more. */
  of(term: LeaseTerm, key: string): Lease | undefined {
    const leased = this.#byShape.get(term.shape);
    if (leased === undefined) return undefined;
    const { link, guard, byKey } = leased;
    let lease = byKey.get(key);
    if (lease !== undefined) return lease;
    if (byKey.size >= leased.term.maxKeys) return undefined;
    lease = new Lease(leased.term, key, { link, guard, clock: this.#clock, caller: this.#caller });
    byKey.set(key, lease);
    this.#watch();
    return lease;
  }

  /** Tokens that are left here. */
  restOf(term: LeaseTerm, key: string): number {
    return this.#byShape.get(term.shape)?.byKey.get(key)?.rest(this.#clock.now()) ?? 0;
  }

  keysOf(name: string): number {
    for (const { term, byKey } of this.#byShape.values()) if (term.name === name) return byKey.size;
    return 0;
  }

  /** Units that a bucket lacks by now, in the store. @throws StoreFailure, RateLimitError `bad_store` */
  async lacking(term: LeaseTerm, key: string): Promise<number> {
    const raw = await this.#run(term, key, 'p');
    return Number((raw as readonly unknown[])[4]);
  }

  /** @throws StoreFailure, RateLimitError `bad_store` */
  async fill(term: LeaseTerm, key: string): Promise<void> {
    await this.#run(term, key, 'x');
    this.#byShape.get(term.shape)?.byKey.get(key)?.refilled();
  }

  async close(error: Error): Promise<void> {
    this.#isClosed = true;
    this.#stop?.();
    this.#stop = undefined;
    await Promise.all([...this.#byShape.values()].map((leased) => end(leased, error)));
  }

  async #run(term: LeaseTerm, key: string, what: 'p' | 'x'): Promise<unknown> {
    const { link, guard } = this.#byShape.get(term.shape)!;
    const storeKey = term.storeKey(key);
    await guard.admit(storeKey);
    return await link.run(leaseScript, [storeKey], bucketValues(term, what));
  }

  #watch(): void {
    if (this.#stop !== undefined || this.#isClosed) return;
    this.#stop = this.#clock.wake(tendMs, () => {
      this.#stop = undefined;
      const now = this.#clock.now();
      let isAny = false;
      for (const { byKey } of this.#byShape.values()) {
        for (const [key, lease] of byKey) {
          if (lease.tend(now)) isAny = true;
          else byKey.delete(key);
        }
      }
      if (isAny) this.#watch();
    });
  }
}

async function end({ byKey, link }: Leased, error: Error): Promise<void> {
  await Promise.all([...byKey.values()].map((lease) => lease.close(error)));
  link.close();
}

/** What is told of a leased limit: what is left in the bucket and in this process, as far as this process knows. */
export function decisionOf(term: LeaseTerm, left: number, waitMs = 0): Decision {
  return {
    allowed: waitMs === 0,
    by: term.name,
    remaining: Math.max(0, Math.floor(left)),
    limit: term.max,
    retryAfterMs: waitMs,
    resetMs: Math.max(0, Math.ceil(((term.max - left) * term.perToken) / term.count / 1_000)),
  };
}
