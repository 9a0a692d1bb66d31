import { performance } from 'node:perf_hooks';

/** What a limiter answers; the fields are those of gatebook's. */
export interface HandAnswer {
  readonly allowed: boolean;
  readonly by: string;
  readonly remaining: number;
  readonly limit: number;
  readonly retryAfterMs: number;
  readonly resetMs: number;
}

export interface HandLimit {
  readonly name: string;
  readonly count: number;
  readonly perMs: number;
}

/**
 * Three token buckets all or nothing (one for all, one a user, one a user and tool), as one writes them by hand for just that: a `Map`
 * of users, in each a `Map` of tools (faster than one `Map` of joined names), a `Float64Array`, one clock reading. No check of the request, no bound of the keys, no eviction, no refund, no counters.
 */
export class HandGcra {
  readonly #users = new Map<
    string,
    { readonly row: number; readonly tools: Map<string, number> }
  >();
  #times = new Float64Array(1_024);
  #rows = 1;
  readonly #limits: readonly [HandLimit, HandLimit, HandLimit];
  readonly #stepMs: readonly number[];
  readonly #fullMs: readonly number[];
  readonly #now: () => number;

  constructor(
    limits: readonly [HandLimit, HandLimit, HandLimit],
    now = (): number => performance.now(),
  ) {
    this.#limits = limits;
    this.#stepMs = limits.map(({ count, perMs }) => perMs / count);
    this.#fullMs = limits.map(({ perMs }) => perMs);
    this.#now = now;
  }

  take(request: { readonly actor: string; readonly tool: string }): HandAnswer {
    const now = this.#now();
    const { actor, tool } = request;
    let known = this.#users.get(actor);
    if (known === undefined) {
      known = { row: this.#newRow(), tools: new Map() };
      this.#users.set(actor, known);
    }
    const user = known.row;
    let pair = known.tools.get(tool);
    if (pair === undefined) {
      pair = this.#newRow();
      known.tools.set(tool, pair);
    }
    const times = this.#times;
    const step0 = this.#stepMs[0]!;
    const step1 = this.#stepMs[1]!;
    const step2 = this.#stepMs[2]!;
    const full0 = this.#fullMs[0]!;
    const full1 = this.#fullMs[1]!;
    const full2 = this.#fullMs[2]!;
    const next0 = Math.max(times[0]!, now) + step0;
    const next1 = Math.max(times[user]!, now) + step1;
    const next2 = Math.max(times[pair]!, now) + step2;
    const wait0 = next0 - now - full0;
    const wait1 = next1 - now - full1;
    const wait2 = next2 - now - full2;
    const wait = Math.max(wait0, wait1, wait2);
    if (wait > 0) {
      const by = wait === wait0 ? 0 : wait === wait1 ? 1 : 2;
      const next = by === 0 ? next0 : by === 1 ? next1 : next2;
      return this.#answer(by, false, next - this.#stepMs[by]! - now, Math.ceil(wait));
    }
    times[0] = next0;
    times[user] = next1;
    times[pair] = next2;
    const left0 = (full0 - next0 + now) / step0;
    const left1 = (full1 - next1 + now) / step1;
    const left2 = (full2 - next2 + now) / step2;
    const by = left0 <= left1 ? (left0 <= left2 ? 0 : 2) : left1 <= left2 ? 1 : 2;
    return this.#answer(by, true, (by === 0 ? next0 : by === 1 ? next1 : next2) - now, 0);
  }

  #answer(by: number, allowed: boolean, lackingMs: number, retryAfterMs: number): HandAnswer {
    const { name, count } = this.#limits[by]!;
    return {
      allowed,
      by: name,
      remaining: Math.max(0, Math.floor(count - lackingMs / this.#stepMs[by]!)),
      limit: count,
      retryAfterMs,
      resetMs: Math.ceil(lackingMs),
    };
  }

  #newRow(): number {
    const row = this.#rows++;
    if (row === this.#times.length) {
      const longer = new Float64Array(row * 2);
      longer.set(this.#times);
      this.#times = longer;
    }
    return row;
  }
}
