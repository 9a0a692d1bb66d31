import type { Clock } from './clock.js';

interface Waking {
  readonly at: number;
  readonly call: () => void;
}

/** A clock that stands still until it is moved, for simulations and tests; timers that come due on the way ring at their time. */
export class ManualClock implements Clock {
  #now: number;
  #wallAhead: number;
  readonly #wakings = new Set<Waking>();

  constructor(now = 0, wall = 1_700_000_000_000) {
    this.#now = now;
    this.#wallAhead = wall - now;
  }

  readonly now = (): number => this.#now;
  readonly wall = (): number => this.#now + this.#wallAhead;
  readonly wake = (ms: number, call: () => void): (() => void) => {
    const waking = { at: this.#now + ms, call };
    this.#wakings.add(waking);
    return () => this.#wakings.delete(waking);
  };

  get timers(): number {
    return this.#wakings.size;
  }

  /** When the next timer comes due; undefined without any. */
  get nextMs(): number | undefined {
    let next: number | undefined;
    for (const { at } of this.#wakings) next = Math.min(next ?? at, at);
    return next;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#wakings].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.#wakings.delete(due);
      due.call();
    }
    this.#now = end;
  }

  /** Sets the wall clock ahead or back; the monotonic one goes on. */
  stepWall(ms: number): void {
    this.#wallAhead += ms;
  }
}
