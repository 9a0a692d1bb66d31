import type { Batch } from './lease-returns.js';
import type { LeaseTerm } from './lease-term.js';

/** Somebody who needs more than is left here. */
export interface Need {
  readonly cost: number;
  /** Stays until it is served, and nobody goes before it. */
  readonly stays: boolean;
  served(batch: Batch): void;
  /** It is not there, and would be after so many ms, behind others or not. One that stays says whether it goes on waiting. */
  refused(waitMs: number, isBehind: boolean): boolean;
  failed(error: unknown): void;
}

/** Needs that go with one call; the others go with the next. */
const needsMost = 200;

/** Who needs more than is left, by arrival. */
export class LeaseNeeds {
  #all: Need[] = [];
  /** Those that were refused and go on waiting. */
  #staying = new Set<Need>();

  get length(): number {
    return this.#all.length;
  }

  /** Whether somebody waits who is not to be passed. */
  get isAwaited(): boolean {
    return this.#staying.size > 0;
  }

  /** Whether somebody has not been asked for yet. */
  get hasNew(): boolean {
    return this.#all.length > this.#staying.size;
  }

  /** Tokens. */
  get cost(): number {
    return this.#all.reduce((sum, { cost }) => sum + cost, 0);
  }

  add(need: Need): void {
    this.#all.push(need);
  }

  /** Whether it was the first of several. */
  remove(need: Need): boolean {
    const place = this.#all.indexOf(need);
    if (place !== -1) this.#all.splice(place, 1);
    this.#staying.delete(need);
    return place === 0 && this.#all.length > 0;
  }

  first(): readonly Need[] {
    return this.#all.slice(0, needsMost);
  }

  /** In their order: who is served goes, and who is not as well, unless it stays. Returns those that are served. */
  settle(
    asked: readonly Need[],
    served: string,
    waitMs: number,
    { perToken, count }: LeaseTerm,
  ): readonly Need[] {
    const isHere = new Set(this.#all);
    const isServed: Need[] = [];
    const staying = new Set<Need>();
    let aheadMs = 0;
    for (const [place, need] of asked.entries()) {
      // It may have left while it was asked for.
      if (!isHere.has(need)) continue;
      if (served[place] === '1') isServed.push(need);
      else if (need.refused(Math.max(1, Math.ceil(waitMs + aheadMs)), aheadMs > 0)) {
        staying.add(need);
        aheadMs += (need.cost * perToken) / count / 1_000;
      }
    }
    this.#keep(asked, staying);
    return isServed;
  }

  fail(asked: readonly Need[], error: unknown): void {
    const isHere = new Set(this.#all);
    this.#keep(asked, new Set());
    for (const need of asked) if (isHere.has(need)) need.failed(error);
  }

  close(error: unknown): void {
    this.fail(this.#all, error);
  }

  #keep(asked: readonly Need[], staying: Set<Need>): void {
    const isAsked = new Set(asked);
    for (const need of this.#staying) if (!isAsked.has(need)) staying.add(need);
    this.#staying = staying;
    this.#all = this.#all.filter((need) => !isAsked.has(need) || staying.has(need));
  }
}
