import type { StoreFailure } from './store-failure.js';

/**
 * One request to the store, of which somebody waits for the answer until it is over. Those that are not are linked in a ring, which they
 * leave at once: if they stayed until their time-out, the garbage collector would have to keep all of them.
 */
export class Pending {
  readonly deadline: number;
  onLate: ((reply: unknown) => void) | undefined;
  isOver = false;
  next: Pending = this;
  #before: Pending = this;
  #resolve!: (reply: unknown) => void;
  #reject!: (failure: StoreFailure) => void;

  constructor(deadline: number, onLate: ((reply: unknown) => void) | undefined) {
    this.deadline = deadline;
    this.onLate = onLate;
  }

  /** What becomes of it; to be called once. */
  answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** As the last of a ring. */
  enter(ring: Pending): void {
    this.next = ring;
    this.#before = ring.#before;
    ring.#before.next = this;
    ring.#before = this;
  }

  resolve(reply: unknown): void {
    this.#leave();
    this.#resolve(reply);
  }

  reject(failure: StoreFailure): void {
    this.#leave();
    this.#reject(failure);
  }

  #leave(): void {
    this.isOver = true;
    this.next.#before = this.#before;
    this.#before.next = this.next;
    this.next = this;
    this.#before = this;
  }
}
