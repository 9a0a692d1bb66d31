import { setTimeout as sleep } from 'node:timers/promises';
import { type OnStoreFailure, type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { describe, expect, type TestContext, test } from 'vitest';
import { clientKinds, openClient } from './clients.js';
import { type Bucket, findExcess, type GrantRecord } from './grants.js';
import { redisIsMissing } from './redis-binary.js';
import { eventually, RedisServer, type RedisServerOptions } from './redis-server.js';
import { freshPrefix, makeOld } from './redis-subject.js';
import { TcpProxy } from './tcp-proxy.js';

const timeoutMs = 250;
/** What a machine that has much to do may add; without a time-out it would be without end. */
const slackMs = 1_000;
/** Longer than the breaker's first pauses together. */
const recoveredMs = 5_000;
/** So little comes back that what is granted at once is the burst, however long a fail-over takes here. */
const limit = { name: 'all', rate: { count: 2, perMs: 1_000 }, burst: 40 } satisfies RedisLimit;
const bucket: Bucket = { burst: limit.burst, perMs: 0.002 };

/** Closes what a test has opened; several run at once, since they wait most of the time. */
type Finish = TestContext['onTestFinished'];

describe.skipIf(redisIsMissing()).concurrent.each(clientKinds)(
  'a store that fails, over %s',
  (kind) => {
    async function start(finish: Finish, options?: RedisServerOptions): Promise<RedisServer> {
      const server = await RedisServer.start(options);
      finish(() => server.stop());
      return server;
    }

    async function wire(finish: Finish, server: { host: string; port: number }): Promise<TcpProxy> {
      const proxy = await TcpProxy.start(server);
      finish(() => proxy.close());
      return proxy;
    }

    async function limiterOver(
      finish: Finish,
      address: { host: string; port: number },
      {
        limits = [limit],
        expectedProcesses = 1,
        prefix = freshPrefix(),
      }: { limits?: readonly RedisLimit[]; expectedProcesses?: number; prefix?: string } = {},
    ): Promise<RedisLimiter> {
      const { client, close } = await openClient(kind, address);
      finish(close);
      const limiter = new RedisLimiter({ limits, client, timeoutMs, expectedProcesses, prefix });
      finish(() => limiter.close());
      return limiter;
    }

    /** Asks all the time, until it is told to stop. */
    function asking(limiter: RedisLimiter) {
      const grants: GrantRecord[] = [];
      let isOver = false;
      const loop = (async () => {
        while (!isOver) {
          const sentMs = performance.now();
          const { allowed } = await limiter.take({});
          if (allowed) grants.push({ sentMs, receivedMs: performance.now(), cost: 1 });
          else await sleep(5);
        }
      })();
      const stop = async (): Promise<void> => {
        isOver = true;
        await loop;
      };
      return { grants, stop };
    }

    describe('fail-over to a replica', () => {
      /** A primary and its replica, a limiter that is led to the one and then to the other, and what it was granted. */
      async function failOver(
        finish: Finish,
        replicated: 'all' | 'nothing since' | 'nothing at all',
      ): Promise<readonly GrantRecord[]> {
        const primary = await start(finish);
        const replication = await wire(finish, primary);
        const replica = await start(finish, { replicaOf: replication });
        const front = await wire(finish, primary);
        const limiter = await limiterOver(finish, front);
        await makeOld(limiter);
        await primary.command('wait', 1, 5_000);
        if (replicated !== 'all') replication.hold();
        const { grants, stop } = asking(limiter);
        await eventually(
          async () => grants.length >= limit.burst,
          () => 'the primary does not grant what it has',
        );
        const isEmptied = replicated === 'nothing at all';
        if (!isEmptied) front.lead(replica);
        await primary.kill();
        await replica.promote();
        // Nobody is led to a replica before it has lost what it had: what it grants until then is the other test's.
        if (isEmptied) {
          await replica.command('flushall');
          front.lead(replica);
        }
        const promotedMs = performance.now();
        const wanted = replicated === 'nothing since' ? limit.burst : 1;
        await eventually(
          async () => grants.filter(({ sentMs }) => sentMs > promotedMs).length >= wanted,
          () => 'the replica does not grant what it has',
        );
        await sleep(500);
        await stop();
        return grants;
      }

      test('adds nothing where all was replicated', async ({ onTestFinished }) => {
        const grants = await failOver(onTestFinished, 'all');
        expect(findExcess(grants, bucket)).toBe(undefined);
        expect(grants.length).toBeGreaterThan(bucket.burst);
      });

      test('adds what was not replicated, and no more than a burst', async ({ onTestFinished }) => {
        const grants = await failOver(onTestFinished, 'nothing since');
        expect(findExcess(grants, { ...bucket, burst: 2 * bucket.burst })).toBe(undefined);
        // It does: so much is stated, and what cannot be had by one server that answers at once.
        expect(findExcess(grants, bucket)?.granted).toBeGreaterThan(1.5 * bucket.burst);
      });

      test('adds nothing where the replica lost all it had', async ({ onTestFinished }) => {
        const grants = await failOver(onTestFinished, 'nothing at all');
        expect(findExcess(grants, bucket)).toBe(undefined);
      });
    });

    describe.each(['deny', 'local', 'allow'] as const)('%s', (onStoreFailure: OnStoreFailure) => {
      const limits: readonly RedisLimit[] = [
        { name: 'all', rate: { count: 40, perMs: 86_400_000 }, onStoreFailure },
      ];
      const ways: readonly (readonly [string, (server: RedisServer) => Promise<void> | void])[] = [
        ['hangs', (server) => server.freeze()],
        ['is killed', (server) => server.kill()],
      ];

      test.for(ways)('answers within the time-out when the server %s', async ([, fail], {
        onTestFinished,
      }) => {
        const server = await start(onTestFinished);
        const limiter = await limiterOver(onTestFinished, server, { limits, expectedProcesses: 4 });
        await makeOld(limiter);
        await fail(server);
        const [answers, slowestMs] = [[] as boolean[], [] as number[]];
        for (let call = 0; call < 50; call++) {
          const begun = performance.now();
          const answer = await limiter.take({});
          slowestMs.push(performance.now() - begun);
          answers.push(answer.allowed);
          if (!answer.allowed && onStoreFailure === 'deny') {
            expect(answer).toMatchObject({ reason: 'store', by: 'all' });
            expect(answer.retryAfterMs).toBeGreaterThan(0);
          }
        }
        expect(Math.max(...slowestMs)).toBeLessThan(timeoutMs + slackMs);
        // The breaker opens after a few, and then nobody waits.
        const late = slowestMs.filter((ms) => ms > timeoutMs / 2).length;
        expect(late).toBeLessThanOrEqual(10);
        // A quarter of 40, for one of 4 processes.
        const allowed = answers.filter((one) => one).length;
        expect(allowed).toBe({ deny: 0, local: 10, allow: 50 }[onStoreFailure]);
      });
    });

    test('one limit that denies is enough', async ({ onTestFinished }) => {
      const server = await start(onTestFinished);
      const limiter = await limiterOver(onTestFinished, server, {
        limits: [
          { ...limit, name: 'allows', onStoreFailure: 'allow' },
          { ...limit, name: 'denies', onStoreFailure: 'deny' },
        ],
      });
      await server.kill();
      expect(await limiter.take({})).toMatchObject({ allowed: false, by: 'denies' });
    });

    test('a server that comes back is used again, and not overrun by those who waited for it', async ({
      onTestFinished,
    }) => {
      const server = await start(onTestFinished);
      const prefix = freshPrefix();
      const limits = [{ ...limit, rate: { count: 100_000, perMs: 1_000 }, burst: 100_000 }];
      const limiters = await Promise.all(
        Array.from({ length: 4 }, () => limiterOver(onTestFinished, server, { limits, prefix })),
      );
      await Promise.all(limiters.map((limiter) => makeOld(limiter)));
      const inFlight = 20;
      let isOver = false;
      let asked = 0;
      const loops = limiters.flatMap((limiter) =>
        Array.from({ length: inFlight }, async () => {
          while (!isOver) {
            asked++;
            await limiter.take({});
            await sleep(20);
          }
        }),
      );
      const before = await server.calls('evalsha');
      server.freeze();
      await sleep(2_000);
      isOver = true;
      await Promise.all(loops);
      server.resume();
      // What was under way when it froze, once each, what is given back of it, and a few probes.
      await sleep(200);
      const seen = (await server.calls('evalsha')) - before;
      expect(asked).toBeGreaterThan(1_000);
      expect(seen).toBeLessThanOrEqual(limiters.length * (2 * inFlight + 10));
      await eventually(
        async () => {
          const answers = await Promise.all(limiters.map((limiter) => limiter.take({})));
          return answers.every(({ allowed }) => allowed);
        },
        () => 'not all have come back to the store',
        recoveredMs,
      );
    });
  },
);
