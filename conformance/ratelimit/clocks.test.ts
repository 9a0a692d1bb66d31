import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitRequest } from '@gatebook/ratelimit';
import { type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { describe, expect, type TestContext, test } from 'vitest';
import { clientKinds, openClient, type RedisClient } from './clients.js';
import { findExcess, type GrantRecord } from './grants.js';
import { NaiveStore } from './naive-store.js';
import { redisIsMissing } from './redis-binary.js';
import { RedisServer } from './redis-server.js';
import { freshPrefix, patientMs } from './redis-subject.js';

const hour = 3_600;
/** Full again after 1 s. */
const limit = { name: 'all', rate: { count: 20, perMs: 1_000 }, burst: 20 } satisfies RedisLimit;
const fillMs = 1_000;
const bucket = { burst: limit.burst, perMs: 0.02 };
/** A machine that has much to do is waited for; who is blocked for an hour is not. */
const mostMs = 30_000;

/** Closes what a test has opened; several run at once, since they wait most of the time. */
type Finish = TestContext['onTestFinished'];

interface Taker {
  take(request: LimitRequest): Promise<{ allowed: boolean }>;
}

describe.skipIf(redisIsMissing()).concurrent.each(clientKinds)(
  'a server’s clock that is set, over %s',
  (kind) => {
    async function start(finish: Finish): Promise<{ server: RedisServer; client: RedisClient }> {
      const server = await RedisServer.start({ wallClock: true });
      finish(() => server.stop());
      const { client, close } = await openClient(kind, server);
      finish(close);
      return { server, client };
    }

    function limiterOver(
      finish: Finish,
      client: RedisClient,
      prefix = freshPrefix(),
    ): RedisLimiter {
      const limiter = new RedisLimiter({ limits: [limit], client, prefix, timeoutMs: patientMs });
      finish(() => limiter.close());
      return limiter;
    }

    /** Asks until so many are let in, or for as long as nobody would have to wait. */
    async function askUntil(taker: Taker, count: number): Promise<GrantRecord[]> {
      const grants: GrantRecord[] = [];
      const until = performance.now() + mostMs;
      while (grants.length < count && performance.now() < until) {
        grants.push(...(await ask(taker, 20)));
      }
      return grants;
    }

    /** Asks for so long, all the time. */
    async function ask(taker: Taker, forMs: number): Promise<GrantRecord[]> {
      const grants: GrantRecord[] = [];
      for (let until = performance.now() + forMs; performance.now() < until; ) {
        const sentMs = performance.now();
        const { allowed } = await taker.take({});
        if (allowed) grants.push({ sentMs, receivedMs: performance.now(), cost: 1 });
        else await sleep(5);
      }
      return grants;
    }

    test('an hour forward is worth a burst at most, and an hour back blocks nobody', async ({
      onTestFinished,
    }) => {
      const { server, client } = await start(onTestFinished);
      const limiter = limiterOver(onTestFinished, client);
      const before = await ask(limiter, 2 * fillMs);
      expect(findExcess(before, bucket)).toBe(undefined);
      await server.setClock(hour);
      const forward = await ask(limiter, 500);
      await server.setClock(0);
      expect((await limiter.take({})).retryAfterMs).toBeLessThanOrEqual(fillMs);
      const back = await askUntil(limiter, 25);
      expect(back.length).toBeGreaterThanOrEqual(25);
      const all = [...before, ...forward, ...back];
      expect(findExcess(all, { ...bucket, burst: 2 * bucket.burst })).toBe(undefined);
      // What was let in from the step back on is no more than at any other time.
      expect(findExcess(back, bucket)).toBe(undefined);
    });

    test('an hour back gives nothing that was not due', async ({ onTestFinished }) => {
      const { server, client } = await start(onTestFinished);
      const limiter = limiterOver(onTestFinished, client);
      const before = await ask(limiter, fillMs);
      await server.setClock(-hour);
      const after = await askUntil(limiter, 15);
      expect(findExcess([...before, ...after], bucket)).toBe(undefined);
      expect(after.length).toBeGreaterThanOrEqual(15);
    });

    test('there and back again and again adds a burst for each step forward, and no more', async ({
      onTestFinished,
    }) => {
      const { server, client } = await start(onTestFinished);
      const limiter = limiterOver(onTestFinished, client);
      const grants = await ask(limiter, 300);
      const steps = 3;
      for (let step = 0; step < steps; step++) {
        await server.setClock(hour);
        grants.push(...(await ask(limiter, 150)));
        await server.setClock(-hour);
        grants.push(...(await ask(limiter, 150)));
      }
      const most = { ...bucket, burst: (1 + steps) * bucket.burst };
      expect(findExcess(grants, most)).toBe(undefined);
    });

    test('a store that was born in the future holds nobody up for longer than a bucket takes to fill', async ({
      onTestFinished,
    }) => {
      const { server, client } = await start(onTestFinished);
      const prefix = freshPrefix();
      await server.setClock(hour);
      await limiterOver(onTestFinished, client, prefix).take({});
      await server.setClock(0);
      const limiter = limiterOver(onTestFinished, client, prefix);
      const { retryAfterMs } = await limiter.take({});
      expect(retryAfterMs).toBeLessThanOrEqual(fillMs);
      expect(await askUntil(limiter, 1)).not.toEqual([]);
      await sleep(fillMs);
      const { remaining } = await limiter.peek({});
      const grants = await ask(limiter, 200);
      expect(remaining).toBe(limit.burst);
      expect(findExcess(grants, bucket)).toBe(undefined);
    });

    test('a naive store blocks for an hour', async ({ onTestFinished }) => {
      const { server, client } = await start(onTestFinished);
      // A token comes back in three minutes, so that no pause of this process is long enough for one.
      const slow = { ...limit, rate: { count: 20, perMs: hour * 1_000 } };
      const naive = new NaiveStore({ client, limits: [slow], timeoutMs: patientMs });
      while ((await naive.take({})).allowed);
      expect((await naive.take({})).retryAfterMs).toBeLessThanOrEqual(180_000);
      await server.setClock(-hour);
      expect((await naive.take({})).retryAfterMs).toBeGreaterThan(3_500_000);
    });
  },
);
