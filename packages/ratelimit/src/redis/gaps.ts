import type { Ask } from './ask.js';

/** What came free in one bucket: at which times, and how many ms of its refill until each of them, all before included. */
interface Freed {
  readonly atMs: number[];
  readonly sumsMs: number[];
}

/** The places that bookings left which were given up at one moment. */
export class Gaps {
  readonly #byKey = new Map<string, Freed>();
  readonly madeMs: number;

  constructor(
    gone: readonly { readonly ask: Ask; readonly atMs: readonly number[] }[],
    now: number,
  ) {
    this.madeMs = now;
    const found = new Map<string, { readonly atMs: number; readonly ms: number }[]>();
    for (const { ask, atMs } of gone) {
      for (const [place, key] of ask.keys.entries()) {
        const term = ask.terms[place]!;
        if (term.kind !== 'r' || term.shadow || term.count === 0) continue;
        const ms = (ask.costs[place]! * term.perToken) / term.count / 1_000;
        const list = found.get(key) ?? [];
        list.push({ atMs: atMs[place]!, ms });
        found.set(key, list);
      }
    }
    for (const [key, list] of found) {
      list.sort((a, b) => a.atMs - b.atMs);
      let sum = 0;
      const sumsMs = list.map(({ ms }) => {
        sum += ms;
        return sum;
      });
      this.#byKey.set(key, { atMs: list.map(({ atMs }) => atMs), sumsMs });
    }
  }

  /** How much sooner a booking is ready that has its place in a bucket at this time. */
  before(key: string, atMs: number): number {
    const freed = this.#byKey.get(key);
    if (freed === undefined) return 0;
    let [from, to] = [0, freed.atMs.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (freed.atMs[middle]! < atMs) from = middle + 1;
      else to = middle;
    }
    return from === 0 ? 0 : freed.sumsMs[from - 1]!;
  }
}
