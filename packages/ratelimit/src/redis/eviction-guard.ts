import type { Clock } from '../clock.js';
import { RateLimitError } from '../errors.js';
import type { Link } from './link.js';
import { evictsBy, infoScript, ServerInfo } from './server-info.js';

export interface EvictionOptions {
  /**
   * What becomes of requests at a server that may evict keys: one whose `maxmemory` is not 0 and whose `maxmemory-policy` is not
   * `noeviction`. What is missing in a store counts as never used once the store is old enough, so an evicted bucket is full again at once,
   * an evicted quota is unused, blocks are lifted, and permits and ids are forgotten.
   *
   * - `refuse`, the default: nothing is decided there, whatever `onStoreFailure` says; calls reject with `bad_store`. Nor is it where INFO
   *   may not be run, since nobody can tell then.
   * - `accept`: it is decided all the same, and each key may be let through a burst more as often as it is evicted, without bound.
   */
  readonly evictions?: 'refuse' | 'accept' | undefined;
  /** How often it is looked at while the limiter is in use, in ms: 60,000 by default. Only the first decision waits for it. */
  readonly evictionCheckMs?: number | undefined;
  /**
   * With `accept`: told when a server has evicted keys, of whomever, since it was looked at before; how many in all since it was started.
   * A limiter that asks for several slots tells it for each.
   */
  readonly onEvicted?: ((evictedKeys: number) => void) | undefined;
}

const defaultCheckMs = 60_000;
/** A server that is not relied on, or did not answer, is looked at again sooner, so that it is used again soon after it was put right. */
const againMs = 1_000;

/** @throws RateLimitError `bad_option` */
export function checkEvictionOptions({ evictions, evictionCheckMs }: EvictionOptions): void {
  if (evictions !== undefined && evictions !== 'refuse' && evictions !== 'accept')
    throw new RateLimitError(
      'bad_option',
      `evictions is ${JSON.stringify(evictions)}; there is refuse, accept`,
    );
  if (evictionCheckMs !== undefined && !(evictionCheckMs > 0))
    throw new RateLimitError(
      'bad_option',
      `evictionCheckMs is ${evictionCheckMs}, not a number above 0`,
    );
}

/**
 * Keeps a limiter from a server that evicts. It is looked at before the first decision, and then, while decisions go on, when the time has
 * come or the store may be another server than it was: nobody waits for that, and until it has answered what was known before holds.
 */
export class EvictionGuard {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #accepts: boolean;
  readonly #checkMs: number;
  readonly #onEvicted: ((evictedKeys: number) => void) | undefined;
  #isKnown: boolean;
  /** Why nothing is decided. */
  #problem: string | undefined;
  #checking: Promise<void> | undefined;
  #dueMs = Number.NEGATIVE_INFINITY;
  /** What `link.changes` was when it was looked at. */
  #changes = 0;
  #evicted: number | undefined;

  constructor(link: Link, clock: Clock, options: EvictionOptions) {
    const { evictions = 'refuse', evictionCheckMs = defaultCheckMs, onEvicted } = options;
    this.#link = link;
    this.#clock = clock;
    this.#accepts = evictions === 'accept';
    this.#isKnown = this.#accepts;
    this.#checkMs = evictionCheckMs;
    this.#onEvicted = onEvicted;
  }

  /** Whether it may be decided now, by the server that has this key. Begins to look at it where that is due. */
  mayDecide(key: string, nowMs: number): boolean {
    if (this.#accepts && this.#onEvicted === undefined) return true;
    if (this.#isKnown && (nowMs >= this.#dueMs || this.#changes !== this.#link.changes))
      this.#check(key).catch(() => {});
    return this.#isKnown && this.#problem === undefined;
  }

  /** Resolves when it may be decided. @throws RateLimitError `bad_store`; StoreFailure where it is not known and the store is away */
  async admit(key: string): Promise<void> {
    if (this.mayDecide(key, this.#clock.now())) return;
    if (!this.#isKnown) await this.#check(key);
    if (this.#problem !== undefined) throw new RateLimitError('bad_store', this.#problem);
  }

  #check(key: string): Promise<void> {
    this.#checking ??= this.#look(key).finally(() => {
      this.#checking = undefined;
      // What was changed until now this answer is about: a connection answers in order.
      this.#changes = this.#link.changes;
      const isSettled = this.#isKnown && this.#problem === undefined;
      const ms = isSettled ? this.#checkMs : Math.min(againMs, this.#checkMs);
      this.#dueMs = this.#clock.now() + ms;
    });
    return this.#checking;
  }

  async #look(key: string): Promise<void> {
    const section = this.#accepts ? 'stats' : 'memory';
    const info = new ServerInfo(await this.#link.run(infoScript, [key], [section]));
    if (this.#accepts) {
      this.#count(info.number('evicted_keys'));
      return;
    }
    this.#problem = evictsBy(info);
    this.#isKnown = true;
  }

  /** What a server had evicted before it was looked at first is not told, nor is it of another server. */
  #count(evicted: number | undefined): void {
    const before = this.#changes === this.#link.changes ? this.#evicted : undefined;
    this.#evicted = evicted;
    if (evicted !== undefined && before !== undefined && evicted > before)
      this.#onEvicted?.(evicted);
  }
}
