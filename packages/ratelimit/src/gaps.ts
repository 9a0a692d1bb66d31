import type { Order } from './order.js';

/** What somebody gave back before it had come back by itself. Places are levels of the bucket. */
interface Gap {
  /** In the limiter's order of what was given back. */
  readonly number: number;
  /** Where it lay: what was taken behind it has moved up by so much. */
  readonly place: number;
  readonly amount: number;
  /** When so much has come in, all that was taken before has come back. */
  readonly until: number;
}

/** Of one key; beyond, two are joined so that who took between them gets less back, and never more. */
export const gapsOfKeyMost = 1_024;
/** Keys looked at for each new gap, so that what is forgotten keeps up with what comes. */
const sweptPerGap = 4;

/**
 * Where debts of a bucket were given back. What comes in pays the oldest debt first; so who took behind a gap is paid sooner than the
 * level says that was noted when it was taken, and has less to give back. Only of rows of which something was given back that others had
 * taken behind, and only until all has come back that was taken before. A row that another key has since got may still have some: they are
 * older than whatever was taken under that key, so they move none of it.
 */
export class Gaps {
  readonly #byRow = new Map<number, Gap[]>();
  readonly #order: Order;
  #sweep = this.#byRow.entries();

  constructor(order: Order) {
    this.#order = order;
  }

  /** Where a debt ends by now that ended at `level` when the limiter's order had come to `since`. */
  move(row: number, level: number, since: number): number {
    if (this.#byRow.size === 0) return level;
    let moved = level;
    for (const { number, place, amount } of this.#byRow.get(row) ?? [])
      if (number >= since && place < moved) moved -= amount;
    return moved;
  }

  /** Whether there is room for a gap of this key, where there are `most` keys at most. */
  hasRoom(row: number, most: number): boolean {
    return this.#byRow.size < most || this.#byRow.has(row);
  }

  forget(row: number): void {
    this.#byRow.delete(row);
  }

  add(row: number, gap: Omit<Gap, 'number'>): void {
    const gaps = this.#byRow.get(row) ?? [];
    gaps.push({ ...gap, number: this.#order.next() });
    const [first, second] = gaps;
    if (gaps.length > gapsOfKeyMost && first !== undefined && second !== undefined)
      gaps.splice(0, 2, joined(first, second));
    this.#byRow.set(row, gaps);
  }

  /** Goes round, a few keys at a time, so that there is no scan of all. `come`: what has come in by now. */
  forgetSome(come: number): void {
    for (let left = Math.min(sweptPerGap, this.#byRow.size); left > 0; left--) {
      let next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#byRow.entries();
        next = this.#sweep.next();
        if (next.done === true) return;
      }
      const [row, gaps] = next.value;
      const open = gaps.filter(({ until }) => until > come);
      if (open.length === 0) this.#byRow.delete(row);
      else if (open.length < gaps.length) this.#byRow.set(row, open);
    }
  }
}

function joined(earlier: Gap, later: Gap): Gap {
  return {
    number: later.number,
    place: Math.min(earlier.place, later.place),
    amount: earlier.amount + later.amount,
    until: Math.max(earlier.until, later.until),
  };
}
