import { RateLimitError } from '@gatebook/ratelimit';
import {
  LeasedLimiter,
  type LeasedLimiterOptions,
  type OnStoreFailure,
  type RedisLimit,
  RedisLimiter,
  type RedisLimiterOptions,
} from '@gatebook/ratelimit/redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds, type OpenClient, openClient, send } from './clients.js';
import { redisIsMissing } from './redis-binary.js';
import { eventually, RedisServer } from './redis-server.js';
import { freshPrefix, makeOld, patientMs } from './redis-subject.js';

/** A server that evicts keys when its memory is used up, and forgets what was counted with them. */

const dayMs = 86_400_000;
const burst = 20;
const all = { name: 'all', rate: { count: burst, perMs: dayMs } } satisfies RedisLimit;
const refused = {
  code: 'bad_store',
  message: expect.stringMatching(
    /maxmemory is \d+ and its maxmemory-policy [a-z-]+; set maxmemory-policy to noeviction, or pass evictions: 'accept'/,
  ),
};

describe.skipIf(redisIsMissing()).each(clientKinds)('a server that may evict, over %s', (kind) => {
  let server: RedisServer;
  let open: OpenClient;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await RedisServer.start({ memory: { most: '100mb', policy: 'allkeys-lru' } });
    open = await openClient(kind, server);
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
    await send(open.client, 'ACL', 'SETUSER', 'default', '+@all');
    await bound('100mb', 'allkeys-lru');
    await server.command('flushall');
  });
  afterAll(async () => {
    open?.close();
    await server?.stop();
  });

  const bound = async (most: string | number, policy: string): Promise<void> => {
    await server.command('config', 'set', 'maxmemory-policy', policy, 'maxmemory', most);
  };

  function limiterOf(options: Partial<RedisLimiterOptions> = {}): RedisLimiter {
    const limiter = new RedisLimiter({
      ...{ limits: [all], client: open.client, timeoutMs: patientMs, prefix: freshPrefix() },
      ...options,
    });
    closing.push(() => limiter.close());
    return limiter;
  }

  function leasedOf(options: Partial<LeasedLimiterOptions> = {}): LeasedLimiter {
    const limiter = new LeasedLimiter({
      ...{ limits: [all], leases: { all: { overshoot: 10 } } },
      ...{ client: open.client, timeoutMs: patientMs, prefix: freshPrefix(), ...options },
    });
    closing.push(() => limiter.close());
    return limiter;
  }

  /** How many of so many are let in; what is not decided is not let in. */
  async function granted(limiter: RedisLimiter | LeasedLimiter, most: number): Promise<number> {
    let count = 0;
    for (let call = 0; call < most; call++) {
      const taken = await limiter.take({}).catch((error: unknown) => {
        if (error instanceof RateLimitError && error.code === 'bad_store') return undefined;
        throw error;
      });
      if (taken?.allowed === true) count++;
    }
    return count;
  }

  async function isRefused(limiter: RedisLimiter | LeasedLimiter): Promise<boolean> {
    return await limiter.take({}).then(
      () => false,
      (error: unknown) => error instanceof RateLimitError && error.code === 'bad_store',
    );
  }

  /** Others' keys fill the memory until nothing is left that has a time to live and had been there before. */
  async function crowdOut(prefix: string): Promise<void> {
    const used = Number((await server.info('memory')).get('used_memory'));
    await bound(used + 1_000_000, 'volatile-ttl');
    const isBucket = (key: string): boolean => key.startsWith(`{${prefix}}:all`);
    const buckets = async (): Promise<string[]> =>
      ((await server.command('keys', `{${prefix}}:*`)) as string[]).filter(isBucket);
    expect(await buckets()).toHaveLength(1);
    let made = 0;
    await eventually(
      async () => {
        const junk = `for i = 1, 500 do
          redis.call('SET', 'junk:' .. ARGV[1] .. ':' .. i, string.rep('x', 1000), 'PX', 864000000)
        end`;
        await server.command('eval', junk, 0, made++);
        return (await buckets()).length === 0;
      },
      () => 'the bucket is not evicted',
    );
  }

  test('grants a fresh burst to whom it was accepted from', async () => {
    const prefix = freshPrefix();
    const limiter = limiterOf({ prefix, evictions: 'accept' });
    await makeOld(limiter);
    expect(await granted(limiter, burst)).toBe(burst);
    await crowdOut(prefix);
    // What the guard is for: the limit is 20 a day, and these are on top.
    expect(await granted(limiter, burst)).toBe(burst);
  });

  test('grants nothing on top where it is refused', async () => {
    await bound('100mb', 'noeviction');
    const prefix = freshPrefix();
    const limiter = limiterOf({ prefix, evictionCheckMs: 50 });
    await makeOld(limiter);
    // None is refused for want of tokens: a limiter that remembers that would not ask, guard or none.
    let count = await granted(limiter, burst / 2);
    await bound('100mb', 'volatile-ttl');
    const isNoticed = (): Promise<boolean> =>
      limiter.peek({}).then(
        () => false,
        (error: unknown) => error instanceof RateLimitError && error.code === 'bad_store',
      );
    const noticed = eventually(isNoticed, () => 'nobody notices that the server evicts', 10_000);
    // Whether it was is told by what is granted.
    await noticed.catch(() => {});
    await crowdOut(prefix);
    count += await granted(limiter, 2 * burst);
    expect(count).toBe(burst / 2);
  });

  test('decides nothing from the first use on, and says why', async () => {
    for (const onStoreFailure of ['deny', 'local', 'allow'] satisfies OnStoreFailure[]) {
      const limiter = limiterOf({ limits: [{ ...all, onStoreFailure }] });
      const signal = AbortSignal.timeout(5_000);
      await expect(limiter.take({})).rejects.toMatchObject(refused);
      await expect(limiter.take({ cost: 2 }, { id: 'mine' })).rejects.toMatchObject(refused);
      await expect(limiter.wait({}, { signal })).rejects.toMatchObject(refused);
      await expect(limiter.reserve({}, 3)).rejects.toMatchObject(refused);
      await expect(limiter.peek({})).rejects.toMatchObject(refused);
      await expect(limiter.block('all', {}, 1_000)).rejects.toMatchObject(refused);
      await expect(limiter.reset('all', {})).rejects.toMatchObject(refused);
      await expect(limiter.declareUnused()).rejects.toMatchObject(refused);
      expect(limiter.counters()).toMatchObject([{ allowed: 0, refused: 0 }]);
    }
    expect(await server.command('dbsize')).toBe(0);
  });

  test('decides where it has no bound, or evicts nothing', async () => {
    for (const [most, policy] of [
      ['0', 'allkeys-lru'],
      ['100mb', 'noeviction'],
    ] as const) {
      await bound(most, policy);
      const limiter = limiterOf();
      await limiter.declareUnused();
      expect((await limiter.take({})).allowed).toBe(true);
    }
  });

  test('is noticed while it is in use, and used again when it was put right', async () => {
    await bound('100mb', 'noeviction');
    const limiter = limiterOf({ evictionCheckMs: 100 });
    await makeOld(limiter);
    const asks = await server.calls('info');
    expect((await limiter.take({})).allowed).toBe(true);
    expect((await server.calls('info')) - asks).toBeLessThanOrEqual(2);
    await bound('100mb', 'allkeys-random');
    await eventually(
      () => isRefused(limiter),
      () => 'nobody notices that the server evicts',
    );
    await bound('100mb', 'noeviction');
    await eventually(
      async () => !(await isRefused(limiter)),
      () => 'nobody notices that the server does not evict any more',
    );
    expect((await limiter.take({})).allowed).toBe(true);
  });

  test('ends a wait when it is noticed', async () => {
    await bound('100mb', 'noeviction');
    const user: RedisLimit = { ...all, name: 'user', scope: ['actor'], burst: 1 };
    const limits = [all, { ...user, rate: { count: 2, perMs: 1_000 } }];
    const limiter = limiterOf({ limits, evictionCheckMs: 100 });
    await makeOld(limiter);
    await limiter.take({});
    const waits = Promise.allSettled(Array.from({ length: 10 }, () => limiter.wait({})));
    await bound('100mb', 'volatile-lru');
    const ended = (await waits).filter(({ status }) => status === 'rejected');
    expect(ended.length).toBeGreaterThan(5);
    for (const { reason } of ended as PromiseRejectedResult[])
      expect(reason).toMatchObject(refused);
  });

  test('is noticed after it was started anew', async () => {
    await bound('100mb', 'noeviction');
    const limiter = limiterOf({ evictionCheckMs: 3_600_000 });
    await makeOld(limiter);
    expect((await limiter.take({})).allowed).toBe(true);
    await server.kill();
    await server.restart();
    await eventually(
      () => isRefused(limiter),
      () => 'nobody notices that the server evicts since it was started anew',
    );
  });

  test('is not decided by where INFO may not be run, unless evictions are accepted', async () => {
    await bound('0', 'noeviction');
    await server.command('acl', 'setuser', 'default', '-info');
    const limiter = limiterOf({ limits: [{ ...all, onStoreFailure: 'allow' }] });
    await expect(limiter.take({})).rejects.toMatchObject({
      code: 'bad_store',
      message: expect.stringMatching(/INFO memory failed with .*\+info.*evictions: 'accept'/),
    });
    const accepting = limiterOf({ evictions: 'accept' });
    await accepting.declareUnused();
    expect((await accepting.take({})).allowed).toBe(true);
    await send(open.client, 'ACL', 'SETUSER', 'default', '+info');
    await eventually(
      async () => !(await isRefused(limiter)),
      () => 'nobody notices that INFO may be run now',
    );
  });

  test('is a store that is away while it does not answer at first', async () => {
    await bound('100mb', 'noeviction');
    const limiter = limiterOf({
      limits: [{ ...all, onStoreFailure: 'allow' }],
      timeoutMs: 250,
    });
    server.freeze();
    try {
      const begun = performance.now();
      expect((await limiter.take({})).allowed).toBe(true);
      expect(performance.now() - begun).toBeLessThan(1_250);
    } finally {
      server.resume();
    }
  });

  test('tells that it has evicted, where that is accepted', async () => {
    const told: number[] = [];
    const prefix = freshPrefix();
    const limiter = limiterOf({
      ...{ prefix, evictions: 'accept', evictionCheckMs: 50 },
      onEvicted: (keys) => told.push(keys),
    });
    await makeOld(limiter);
    await limiter.take({});
    await crowdOut(prefix);
    await eventually(
      async () => {
        await limiter.peek({});
        return told.length > 0;
      },
      () => 'nobody tells that keys were evicted',
    );
    expect(told.at(-1)).toBeGreaterThan(0);
  });

  describe('and is leased from', () => {
    test('decides nothing from the first use on', async () => {
      const user: RedisLimit = { name: 'user', scope: ['actor'], rate: all.rate };
      const level = { limits: [all, user] };
      for (const limiter of [leasedOf(), leasedOf(level), leasedOf({ ...level, leases: {} })]) {
        await expect(limiter.take({})).rejects.toMatchObject(refused);
        await expect(limiter.wait({})).rejects.toMatchObject(refused);
        await expect(limiter.reserve({}, 3)).rejects.toMatchObject(refused);
        await expect(limiter.peek({})).rejects.toMatchObject(refused);
        await expect(limiter.reset('all', {})).rejects.toMatchObject(refused);
      }
      expect(await server.command('dbsize')).toBe(0);
    });

    test('spends nothing more of a lease when it is noticed, and gives back what is left', async () => {
      await bound('100mb', 'noeviction');
      const prefix = freshPrefix();
      const limiter = leasedOf({ prefix, evictionCheckMs: 100 });
      await limiter.reset('all', {});
      expect((await limiter.take({ cost: 0.001 })).allowed).toBe(true);
      await bound('100mb', 'allkeys-lru');
      let count = 1;
      await eventually(
        async () => {
          const isIt = await limiter.take({ cost: 0.001 }).then(
            () => false,
            (error: unknown) => error instanceof RateLimitError && error.code === 'bad_store',
          );
          if (!isIt) count++;
          return isIt;
        },
        () => 'nobody notices that the server evicts',
      );
      expect(count).toBeLessThan(5_000);
      await limiter.close();
      await bound('100mb', 'noeviction');
      const { remaining } = await leasedOf({ prefix }).peek({});
      // The ten that were leased are back, less what was spent.
      expect(remaining).toBe(Math.floor(burst - count / 1_000));
    });

    test('is decided by where evictions are accepted', async () => {
      const limiter = leasedOf({ evictions: 'accept' });
      await limiter.reset('all', {});
      expect((await limiter.take({})).allowed).toBe(true);
    });
  });
});
