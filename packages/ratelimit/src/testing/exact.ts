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

export class ExactBuckets {
  readonly #limits: readonly ExactLimit[];
  /** What lies ready of each key, and when that was so. */
  readonly #ready: Map<string, { units: bigint; atMs: number }>[];

  constructor(limits: readonly ExactLimit[]) {
    this.#limits = limits;
    this.#ready = limits.map(() => new Map());
  }

  /** Whether all let it in; then it is taken from all. */
  take(request: { actor: string; tool: string }, cost: number, nowMs: number): boolean {
    const found = this.#limits.map((limit, at) => this.#now(at, limit.keyOf(request), nowMs));
    const fits = found.every(({ units }, at) => units >= this.#units(at, cost));
    if (fits) for (const [at, bucket] of found.entries()) bucket.units -= this.#units(at, cost);
    return fits;
  }

  /** What each limit lacks to be full: right after a take, what has to come in until what was taken is back by itself. */
  lacking(request: { actor: string; tool: string }, nowMs: number): bigint[] {
    return this.#limits.map((limit, at) => {
      const { units } = this.#now(at, limit.keyOf(request), nowMs);
      return this.#units(at, limit.burst) - units;
    });
  }

  /** Gives back what has not come back by itself since it was taken, when so much was lacking. */
  giveBack(
    request: { actor: string; tool: string },
    cost: number,
    nowMs: number,
    taken: { readonly lacking: readonly bigint[]; readonly atMs: number },
  ): void {
    for (const [at, limit] of this.#limits.entries()) {
      const bucket = this.#now(at, limit.keyOf(request), nowMs);
      const come = BigInt(nowMs - taken.atMs) * BigInt(limit.count);
      const left = taken.lacking[at]! - come;
      const back = left < this.#units(at, cost) ? left : this.#units(at, cost);
      if (back > 0n) bucket.units += back;
      const full = this.#units(at, limit.burst);
      if (bucket.units > full) bucket.units = full;
    }
  }

  /** The whole ms after which all let it in. */
  waitMs(request: { actor: string; tool: string }, cost: number, nowMs: number): number {
    const waits = this.#limits.map((limit, at) => {
      if (cost > limit.burst) return Number.POSITIVE_INFINITY;
      const lacking = this.#units(at, cost) - this.#now(at, limit.keyOf(request), nowMs).units;
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
      const { units } = this.#now(at, limit.keyOf(request), nowMs);
      const margin = units - this.#units(at, cost);
      return Number(margin < 0n ? -margin : margin) / limit.perMs;
    });
  }

  #units(at: number, tokens: number): bigint {
    return BigInt(tokens) * BigInt(this.#limits[at]!.perMs);
  }

  #now(at: number, key: string, nowMs: number): { units: bigint; atMs: number } {
    const limit = this.#limits[at]!;
    const full = this.#units(at, limit.burst);
    const bucket = this.#ready[at]!.get(key) ?? { units: full, atMs: nowMs };
    this.#ready[at]!.set(key, bucket);
    const units = bucket.units + BigInt(nowMs - bucket.atMs) * BigInt(limit.count);
    bucket.units = units > full ? full : units;
    bucket.atMs = nowMs;
    return bucket;
  }
}
