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

/** What became of those who were asked for. */
interface Settled {
  readonly served: readonly Need[];
  /** Ms until the first that stays can be served. */
  readonly firstMs: number | undefined;
  /** Whether some are to be asked for at once. */
  readonly isToBeAsked: boolean;
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

  /**
   * In their order: who is served goes, and who is not as well, unless it stays. Those behind one that stays were not looked at by the
   * store: they wait for what it waits for. If it left while the store was asked, or finds the wait too long, nobody knows how long they
   * have to wait, so they are to be asked for again.
   */
  settle(
    asked: readonly Need[],
    served: string,
    waitsMs: readonly number[],
    { perToken, count }: LeaseTerm,
  ): Settled {
    const isHere = new Set(this.#all);
    const isServed: Need[] = [];
    const staying = new Set<Need>();
    const waits = [...waitsMs];
    let firstMs: number | undefined;
    let aheadMs = 0;
    for (const [place, need] of asked.entries()) {
      // It may have left while it was asked for.
      const isLeft = !isHere.has(need);
      if (served[place] === '1') {
        if (!isLeft) isServed.push(need);
        continue;
      }
      const ownMs = waits.shift();
      const isFirst = ownMs !== undefined && need.stays;
      const costMs = (need.cost * perToken) / count / 1_000;
      const waitMs = ownMs ?? (firstMs ?? 0) + aheadMs + costMs;
      const stays = !isLeft && need.refused(Math.max(1, Math.ceil(waitMs)), ownMs === undefined);
      if (isFirst && !stays) {
        const isLast = place === asked.length - 1;
        this.#keep(asked.slice(0, place + 1), staying);
        return { served: isServed, firstMs: undefined, isToBeAsked: !isLast };
      }
      if (!stays) continue;
      staying.add(need);
      if (isFirst) firstMs = waitMs;
      else aheadMs += costMs;
    }
    this.#keep(asked, staying);
    return { served: isServed, firstMs, isToBeAsked: false };
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
