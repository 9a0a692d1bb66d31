/**
 * Token buckets as everybody would write them who had all the time and no rounding: in whole numbers, in units of `1 / perMs` of a
 * token, of which `count` come in every ms.
 */

export interface ExactLimit {
  readonly name: string;
  readonly count: number;
  readonly perMs: number;
  readonly burst: number;
  readonly keyOf: (request: { readonly actor: string; readonly tool: string }) => string;
}

/** What is owed to a bucket, the oldest first, which is what comes in pays first; and when that was so. */
interface Bucket {
  owed: { readonly taker: number; units: bigint }[];
  atMs: number;
}

export class ExactBuckets {
  readonly #limits: readonly ExactLimit[];
  readonly #buckets: Map<string, Bucket>[];
  #takers = 0;

  constructor(limits: readonly ExactLimit[]) {
    this.#limits = limits;
    this.#buckets = limits.map(() => new Map());
  }

  /** Whether all let it in; then it is taken from all. Returns the taker's number, undefined for none. */
  take(request: { actor: string; tool: string }, cost: number, nowMs: number): number | undefined {
    if (this.waitMs(request, cost, nowMs) > 0) return undefined;
    const taker = this.#takers++;
    for (const [at, limit] of this.#limits.entries())
      this.#now(at, limit.keyOf(request), nowMs).owed.push({ taker, units: this.#units(at, cost) });
    return taker;
  }

  /** Gives back what has not come back by itself since it was taken. */
  giveBack(request: { actor: string; tool: string }, taker: number, nowMs: number): void {
    for (const [at, limit] of this.#limits.entries()) {
      const bucket = this.#now(at, limit.keyOf(request), nowMs);
      bucket.owed = bucket.owed.filter((debt) => debt.taker !== taker);
    }
  }

  /** The whole ms after which all let it in. */
  waitMs(request: { actor: string; tool: string }, cost: number, nowMs: number): number {
    const waits = this.#limits.map((limit, at) => {
      if (cost > limit.burst) return Number.POSITIVE_INFINITY;
      const lacking = this.#units(at, cost) - this.#ready(at, limit.keyOf(request), nowMs);
      if (lacking <= 0n) return 0;
      if (limit.count === 0) return Number.POSITIVE_INFINITY;
      const count = BigInt(limit.count);
      return Number((lacking + count - 1n) / count);
    });
    return Math.max(...waits);
  }

  /** Of each limit: by how many tokens it is more or less than enough. */
  margins(request: { actor: string; tool: string }, cost: number, nowMs: number): number[] {
    return this.#limits.map((limit, at) => {
      const margin = this.#ready(at, limit.keyOf(request), nowMs) - this.#units(at, cost);
      return Number(margin < 0n ? -margin : margin) / limit.perMs;
    });
  }

  #units(at: number, tokens: number): bigint {
    return BigInt(tokens) * BigInt(this.#limits[at]!.perMs);
  }

  #ready(at: number, key: string, nowMs: number): bigint {
    const owed = this.#now(at, key, nowMs).owed.reduce((sum, { units }) => sum + units, 0n);
    return this.#units(at, this.#limits[at]!.burst) - owed;
  }

  #now(at: number, key: string, nowMs: number): Bucket {
    const bucket = this.#buckets[at]!.get(key) ?? { owed: [], atMs: nowMs };
    this.#buckets[at]!.set(key, bucket);
    let come = BigInt(nowMs - bucket.atMs) * BigInt(this.#limits[at]!.count);
    bucket.atMs = nowMs;
    for (const debt of bucket.owed) {
      const paid = debt.units < come ? debt.units : come;
      debt.units -= paid;
      come -= paid;
    }
    bucket.owed = bucket.owed.filter(({ units }) => units > 0n);
    return bucket;
  }
}
