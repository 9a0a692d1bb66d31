import type { Clock } from '../clock.js';
import type { Held } from './giving.js';
import type { Link } from './link.js';
import type { Script } from './script.js';
import { lapseUs, text } from './term.js';

/** A permit may miss two renewals and lasts until the third. */
const everyMs = lapseUs / 1_000 / 3 - 500;
const batch = 200;

/**
 * The permits that this process has, renewed by one timer so that they do not lapse while the calls go on. One that lapsed all the same,
 * since this process stood still or the store was away, may have gone to somebody else: it is not taken back, and counted in `lapsed`.
 */
export class Permits {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #script: Script;
  readonly #bornKey: string;
  readonly #held = new Set<Held>();
  #stop: (() => void) | undefined;
  lapsed = 0;

  constructor(link: Link, clock: Clock, script: Script, bornKey: string) {
    this.#link = link;
    this.#clock = clock;
    this.#script = script;
    this.#bornKey = bornKey;
  }

  get size(): number {
    return this.#held.size;
  }

  add(held: Held): void {
    this.#held.add(held);
    this.#arm();
  }

  remove(held: Held): void {
    this.#held.delete(held);
    if (this.#held.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  close(): void {
    this.#held.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  #arm(): void {
    if (this.#stop !== undefined || this.#held.size === 0) return;
    this.#stop = this.#clock.wake(everyMs, () => {
      this.#stop = undefined;
      void this.#renew().finally(() => this.#arm());
    });
  }

  async #renew(): Promise<void> {
    const all = [...this.#held];
    for (let at = 0; at < all.length; at += batch) {
      const keys = [this.#bornKey];
      const values = ['n', text(lapseUs)];
      const whose: Held[] = [];
      for (const held of all.slice(at, at + batch)) {
        for (const [place, term] of held.ask.terms.entries()) {
          const cost = held.ask.costs[place]!;
          if (term.kind !== 'c' || cost === 0 || held.reply.waits[place] === -2) continue;
          keys.push(held.ask.keys[place]!);
          values.push(held.idKey, text(cost));
          whose.push(held);
        }
      }
      try {
        const still = (await this.#link.run(this.#script, keys, values)) as readonly unknown[];
        const renewed = new Set(whose.filter((_, i) => Number(still[i]) === 1));
        for (const held of whose) if (!renewed.has(held) && this.#held.delete(held)) this.lapsed++;
      } catch {
        // The store is away: a later renewal may still come in time.
      }
    }
  }
}
