import type { Order } from './order.js';

/** Keys of a limit whose resets are remembered one by one. */
const most = 10_000;

/**
 * Keys that were reset: who took before has nothing there any more to give back. Beyond 10,000 of them, whoever took before now gives
 * nothing back, whichever key it was.
 */
export class Resets {
  readonly #order: Order;
  readonly #byKey = new Map<string, number>();
  #all = -1;

  constructor(order: Order) {
    this.#order = order;
  }

  note(key: string): void {
    if (this.#byKey.size >= most) {
      this.#byKey.clear();
      this.#all = this.#order.next();
    }
    this.#byKey.set(key, this.#order.next());
  }

  /** Whether the key was reset since the limiter's order had come to `since`. */
  isSince(key: string, since: number): boolean {
    return Math.max(this.#all, this.#byKey.get(key) ?? -1) >= since;
  }
}
