import type { Clock } from '../clock.js';
import type { Ask } from './ask.js';
import type { Judged } from './reply.js';

const most = 10_000;
/** What others give back is seen after so long at the latest. */
const longestMs = 1_000;

interface Denial {
  readonly askedMs: number;
  /** When the store is asked again. */
  readonly validMs: number;
  readonly untilMs: number;
  readonly cost: number;
  readonly judged: Judged;
}

/**
 * Buckets that are known to refuse, so that a client that goes on asking does not reach the store: for as long as the store said, asked
 * again each second, and for the same cost. At most 10,000 keys; beyond, the oldest are forgotten.
 */
export class Denials {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Denial>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What a key is known to refuse a request with now; where a limit is in the shadow, the store has to tell what that would have done. */
  find(ask: Ask): Judged | undefined {
    if (this.#byKey.size === 0 || ask.terms.some(({ shadow }) => shadow)) return undefined;
    for (const [place, key] of ask.keys.entries()) {
      const denial = this.#byKey.get(key);
      if (denial === undefined || ask.costs[place] !== denial.cost) continue;
      const now = this.#clock.now();
      const leftMs = Math.ceil(denial.untilMs - now);
      if (now < denial.validMs && leftMs > 0) {
        const passedMs = now - denial.askedMs;
        const resetMs = Math.max(leftMs, Math.ceil(denial.judged.resetMs - passedMs));
        const lacking = [{ place, ms: leftMs }];
        return { ...denial.judged, retryAfterMs: leftMs, resetMs, place, lacking, shadowed: [] };
      }
      this.#byKey.delete(key);
    }
    return undefined;
  }

  /** `askedMs`: when it was asked, so that nothing is denied for longer than the store said. */
  add(ask: Ask, judged: Judged, askedMs: number): void {
    if (judged.place === -1 || judged.reason !== 'limit' || judged.lacking.length !== 1) return;
    const term = ask.terms[judged.place]!;
    if (term.kind !== 'r') return;
    const key = ask.keys[judged.place]!;
    this.#byKey.delete(key);
    if (this.#byKey.size >= most) {
      const oldest = this.#byKey.keys().next().value;
      if (oldest !== undefined) this.#byKey.delete(oldest);
    }
    const untilMs = askedMs + judged.retryAfterMs;
    const validMs = Math.min(untilMs, askedMs + longestMs);
    const cost = ask.costs[judged.place]!;
    this.#byKey.set(key, { askedMs, validMs, untilMs, cost, judged });
  }

  /** Something was given back here, or a limit was changed. */
  clear(): void {
    this.#byKey.clear();
  }

  get size(): number {
    return this.#byKey.size;
  }
}
