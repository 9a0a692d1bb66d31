import type { FetchPlan } from './options.js';
import { Pace } from './pace.js';

/** The paces of the keys that were asked last. One is forgotten only when that makes no difference. */
export class Paces {
  readonly #plan: FetchPlan;
  /** The one that was used longest ago first. */
  readonly #byKey = new Map<string, Pace>();

  constructor(plan: FetchPlan) {
    this.#plan = plan;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Undefined when there is no room for a new key. */
  of(key: string): Pace | undefined {
    const known = this.#byKey.get(key);
    if (known === undefined && this.#byKey.size >= this.#plan.maxKeys && !this.#forgetOne())
      return undefined;
    const pace = known ?? new Pace(this.#plan);
    this.#byKey.delete(key);
    this.#byKey.set(key, pace);
    return pace;
  }

  #forgetOne(): boolean {
    for (const [key, pace] of this.#byKey) {
      if (pace.isIdle) return this.#byKey.delete(key);
    }
    return false;
  }
}
