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
const slackMs = 400;

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
      expect(forward.length).toBeLessThanOrEqual(limit.burst + 0.5 * 20 + 5);
      const setMs = performance.now();
      await server.setClock(0);
      const back = await ask(limiter, fillMs + slackMs);
      expect(back[0]?.sentMs).toBeLessThan(setMs + fillMs);
      const all = [...before, ...forward, ...back];
      expect(findExcess(all, { ...bucket, burst: 2 * bucket.burst })).toBe(undefined);
      // What was let in from the step back on is no more than at any other time.
      expect(findExcess(back, bucket)).toBe(undefined);
      // The rate is what it was.
      expect(back.length).toBeGreaterThan(0.8 * 20 * ((fillMs + slackMs) / 1_000) - 2);
    });

    test('an hour back gives nothing that was not due', async ({ onTestFinished }) => {
      const { server, client } = await start(onTestFinished);
      const limiter = limiterOver(onTestFinished, client);
      const before = await ask(limiter, fillMs);
      await server.setClock(-hour);
      const after = await ask(limiter, fillMs + slackMs);
      expect(findExcess([...before, ...after], bucket)).toBe(undefined);
      expect(after.length).toBeGreaterThan(10);
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
      const begun = performance.now();
      while (!(await limiter.take({})).allowed) {
        expect(performance.now() - begun).toBeLessThan(fillMs + slackMs);
        await sleep(10);
      }
      await sleep(fillMs);
      const { remaining } = await limiter.peek({});
      const grants = await ask(limiter, 200);
      expect(remaining).toBe(limit.burst);
      expect(findExcess(grants, bucket)).toBe(undefined);
    });

    test('a naive store blocks for an hour', async ({ onTestFinished }) => {
      const { server, client } = await start(onTestFinished);
      const naive = new NaiveStore({ client, limits: [limit] });
      await ask(naive, 300);
      await server.setClock(-hour);
      expect(await ask(naive, fillMs + slackMs)).toEqual([]);
      expect((await naive.take({})).retryAfterMs).toBeGreaterThan(3_500_000);
    });
  },
);
