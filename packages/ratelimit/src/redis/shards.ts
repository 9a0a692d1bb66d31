import type { LimitCounters } from '../counters.js';
import { RateLimitError } from '../errors.js';
import { keyMaker, type LimitRequest, type Member, members } from '../request.js';
import { RedisLimiter } from './redis-limiter.js';
import type { RedisLimiterOptions } from './redis-options.js';
import type { RedisLimit } from './term.js';

/**
 * The limits that are not leased, decided in one slot each request, but in different ones for different keys: each shard is a store of its
 * own, and the members that all these limits have in their scopes say which one a request goes to. Where they have none in common there is
 * but one shard.
 */
export class Shards {
  readonly #options: RedisLimiterOptions;
  readonly #shared: readonly Member[];
  readonly #keyOf: (request: LimitRequest) => string;
  readonly #count: number;
  readonly #limiters = new Map<number, RedisLimiter>();
  #limits: readonly RedisLimit[];

  constructor(options: RedisLimiterOptions, count: number) {
    this.#options = options;
    this.#limits = options.limits;
    this.#shared = sharedBy(options.limits);
    this.#keyOf = keyMaker(this.#shared);
    this.#count = this.#shared.length === 0 ? 1 : count;
  }

  get isEmpty(): boolean {
    return this.#limits.length === 0;
  }

  of(request: LimitRequest): RedisLimiter {
    const shard = this.#count === 1 ? 0 : hashOf(this.#keyOf(request)) % this.#count;
    let limiter = this.#limiters.get(shard);
    if (limiter === undefined) {
      const { prefix = 'gatebook' } = this.#options;
      limiter = new RedisLimiter({
        ...this.#options,
        limits: this.#limits,
        prefix: this.#count === 1 ? prefix : `${prefix}:${shard}`,
      });
      this.#limiters.set(shard, limiter);
    }
    return limiter;
  }

  /** @throws RateLimitError `bad_limit` where requests would go to other shards, and find nothing of what was used */
  check(limits: readonly RedisLimit[]): void {
    if (this.#count === 1) return;
    for (const { name, scope = [] } of limits) {
      const missing = this.#shared.find((member) => !scope.includes(member));
      if (missing === undefined) continue;
      throw new RateLimitError(
        'bad_limit',
        `the limit ${JSON.stringify(name)}: its scope lacks ${missing}, by which keys are spread over slots; lease it, or make another limiter`,
      );
    }
  }

  setLimits(limits: readonly RedisLimit[]): void {
    this.#limits = limits;
    for (const limiter of this.#limiters.values()) limiter.setLimits(limits);
  }

  counters(): LimitCounters[] {
    const sum = new Map<string, LimitCounters>();
    for (const limiter of this.#limiters.values()) {
      for (const one of limiter.counters()) {
        const before = sum.get(one.limit);
        sum.set(one.limit, {
          limit: one.limit,
          allowed: one.allowed + (before?.allowed ?? 0),
          refused: one.refused + (before?.refused ?? 0),
          shadowRefused: one.shadowRefused + (before?.shadowRefused ?? 0),
          keys: 0,
        });
      }
    }
    const none = { allowed: 0, refused: 0, shadowRefused: 0, keys: 0 };
    return this.#limits.map(({ name }) => sum.get(name) ?? { limit: name, ...none });
  }

  close(): void {
    for (const limiter of this.#limiters.values()) limiter.close();
  }
}

function sharedBy(limits: readonly RedisLimit[]): readonly Member[] {
  if (limits.length === 0) return [];
  return members.filter((member) => limits.every(({ scope = [] }) => scope.includes(member)));
}

/** FNV-1a of 32 bits: every process has to find the same shard. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++)
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}
