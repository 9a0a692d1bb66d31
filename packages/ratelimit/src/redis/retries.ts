import type { Clock } from '../clock.js';
import type { Link } from './link.js';
import type { Script } from './script.js';
import { StoreFailure } from './store-failure.js';

interface Retry {
  readonly script: Script;
  readonly keys: string[];
  readonly values: string[];
  readonly until: number;
}

/** What marks a call as done in the store lasts a minute; nothing is tried for longer. */
const giveUpMs = 45_000;
const pauseMs = 500;
const most = 10_000;
/** Tried at one time, so that a store that comes back is not flooded. */
const batch = 32;

/**
 * What has to be given back to a store that did not answer: tried again until it is done, for 45 s at most. Each call may be made twice
 * without harm. At most 10,000 wait; what comes then is dropped and counted: it stays taken, so nothing is let through that should not be.
 */
export class Retries {
  readonly #link: Link;
  readonly #clock: Clock;
  #waiting: Retry[] = [];
  #stop: (() => void) | undefined;
  #running = false;
  #closed = false;
  dropped = 0;

  constructor(link: Link, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  get length(): number {
    return this.#waiting.length;
  }

  add(script: Script, keys: string[], values: string[]): void {
    if (this.#closed) return;
    if (this.#waiting.length >= most) {
      this.dropped++;
      return;
    }
    this.#waiting.push({ script, keys, values, until: this.#clock.now() + giveUpMs });
    this.#later();
  }

  /** Ms until the next attempt: a little later than the first probe. */
  #later(): void {
    if (this.#stop !== undefined || this.#running || this.#closed) return;
    const ms = Math.max(pauseMs, Math.min(this.#link.pauseMs, 5_000) + 1);
    this.#stop = this.#clock.wake(ms, () => {
      this.#stop = undefined;
      void this.#run();
    });
  }

  /** Those that are waiting now, in their order; the first failure ends it. */
  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0 && !this.#closed) {
        const now = this.#clock.now();
        const some = this.#waiting.splice(0, this.#link.isOpen ? 1 : batch);
        const left = await Promise.all(some.map((one) => this.#try(one, now)));
        const failed = left.filter((one) => one !== undefined);
        if (failed.length === 0) continue;
        this.#waiting.unshift(...failed);
        break;
      }
    } finally {
      this.#running = false;
    }
    if (this.#waiting.length > 0) this.#later();
  }

  async #try(one: Retry, now: number): Promise<Retry | undefined> {
    if (one.until < now) {
      this.dropped++;
      return undefined;
    }
    try {
      await this.#link.run(one.script, one.keys, one.values);
      return undefined;
    } catch (error) {
      if (error instanceof StoreFailure) return one;
      this.dropped++;
      return undefined;
    }
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#stop = undefined;
    this.#waiting = [];
  }
}
