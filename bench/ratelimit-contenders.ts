import { createRequire } from 'node:module';
import { type Limit, Limiter } from '@gatebook/ratelimit';
import { TokenBucket } from 'limiter';
import { RateLimiterMemory, RateLimiterUnion } from 'rate-limiter-flexible';
import { HandGcra, type HandLimit } from './hand-gcra.js';
import { names } from './ratelimit-names.js';

export interface Call {
  readonly actor: string;
  readonly tool: string;
}

/** One for all, one a user, one a user and tool. */
export type Levels = readonly [HandLimit, HandLimit, HandLimit];

/** Says at once, or by a promise, whether a call is let in. */
export interface Taker {
  readonly name: string;
  readonly take: (call: Call) => boolean;
}

export interface AsyncTaker {
  readonly name: string;
  readonly take: (call: Call) => Promise<boolean>;
}

export function limitsOf(levels: Levels): Limit[] {
  const [all, user, pair] = levels.map(({ name, count, perMs }) => ({
    name,
    rate: { count, perMs },
    maxKeys: 10_000_000,
  }));
  return [
    { ...all!, scope: [] },
    { ...user!, scope: ['actor'] },
    { ...pair!, scope: ['actor', 'tool'] },
  ];
}

export function ownTaker(levels: Levels): Taker {
  const limiter = new Limiter({ limits: limitsOf(levels) });
  return { name: names.own, take: (call) => limiter.take(call).allowed };
}

export function handTaker(levels: Levels): Taker {
  const hand = new HandGcra(levels);
  return { name: names.hand, take: (call) => hand.take(call).allowed };
}

/** Buckets of `limiter`, each with a parent: the only peer that takes from all or none. */
export function limiterTaker(levels: Levels): Taker {
  const bucketOf = ({ count, perMs }: HandLimit, parentBucket?: TokenBucket): TokenBucket => {
    const bucket = new TokenBucket({
      bucketSize: count,
      tokensPerInterval: count,
      interval: perMs,
      ...(parentBucket === undefined ? {} : { parentBucket }),
    });
    bucket.content = count;
    return bucket;
  };
  const all = bucketOf(levels[0]);
  const users = new Map<string, { bucket: TokenBucket; tools: Map<string, TokenBucket> }>();
  return {
    name: names.limiter,
    take: ({ actor, tool }) => {
      let user = users.get(actor);
      if (user === undefined) {
        user = { bucket: bucketOf(levels[1], all), tools: new Map() };
        users.set(actor, user);
      }
      let pair = user.tools.get(tool);
      if (pair === undefined) {
        pair = bucketOf(levels[2], user.bucket);
        user.tools.set(tool, pair);
      }
      return pair.tryRemoveTokens(1);
    },
  };
}

/** Three limiters of `rate-limiter-flexible` in a union, each with a key of its own; what one refuses is charged in the others. */
export function unionTaker(levels: Levels): AsyncTaker {
  const [all, user, pair] = levels.map(
    ({ name, count, perMs }) =>
      new RateLimiterMemory({ keyPrefix: name, points: count, duration: perMs / 1_000 }),
  );
  const union = new RateLimiterUnion(all!, user!, pair!);
  return {
    name: `${names.flexible} Union, awaited, not all or nothing`,
    take: ({ actor, tool }) =>
      union.consume(`${actor}|${tool}`).then(
        () => true,
        () => false,
      ),
  };
}

/** One level, a key for each user. */
export function ownSingle({ name, count, perMs }: HandLimit): Taker {
  const limiter = new Limiter({
    limits: [{ name, scope: ['actor'], rate: { count, perMs }, maxKeys: 10_000_000 }],
  });
  return { name: names.own, take: (call) => limiter.take(call).allowed };
}

export function limiterSingle({ count, perMs }: HandLimit): Taker {
  const buckets = new Map<string, TokenBucket>();
  return {
    name: names.limiter,
    take: ({ actor }) => {
      let bucket = buckets.get(actor);
      if (bucket === undefined) {
        bucket = new TokenBucket({ bucketSize: count, tokensPerInterval: count, interval: perMs });
        bucket.content = count;
        buckets.set(actor, bucket);
      }
      return bucket.tryRemoveTokens(1);
    },
  };
}

interface LocalStore {
  incr(
    key: string,
    done: (error: Error | null, found: { readonly current: number }) => void,
    windowMs: number,
    max: number,
  ): void;
}

/** The store alone, as the plugin asks it, with room for all keys: by itself it forgets all but 5,000, limiting or not. */
export function fastifySingle({ count, perMs }: HandLimit, keys: number): Taker {
  const Store = createRequire(import.meta.url)('@fastify/rate-limit/store/LocalStore') as new (
    continueExceeding: boolean,
    exponentialBackoff: boolean,
    cache: number,
  ) => LocalStore;
  const store = new Store(false, false, keys);
  let isIn = false;
  const done = (_: Error | null, { current }: { readonly current: number }): void => {
    isIn = current <= count;
  };
  return {
    name: names.fastify,
    take: ({ actor }) => {
      store.incr(actor, done, perMs, count);
      return isIn;
    },
  };
}

export function flexibleSingle({ count, perMs }: HandLimit): AsyncTaker {
  const limiter = new RateLimiterMemory({ points: count, duration: perMs / 1_000 });
  return {
    name: `${names.flexible} Memory, awaited`,
    take: ({ actor }) =>
      limiter.consume(actor).then(
        () => true,
        () => false,
      ),
  };
}
