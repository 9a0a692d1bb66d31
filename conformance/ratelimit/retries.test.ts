import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { clientKinds, openClient } from './clients.js';
import { NaiveStore } from './naive-store.js';
import { redisIsMissing } from './redis-binary.js';
import { RedisServer } from './redis-server.js';
import { freshPrefix, makeOld, patientMs } from './redis-subject.js';
import { TcpProxy } from './tcp-proxy.js';

const dayMs = 86_400_000;
const timeoutMs = 250;
/** What a request that was given up may need until it is given back: the pause before the retry, and the store's answer. */
const givenBackMs = 15_000;
/** What would be given back in error is tried after half a second, and is seen a second later. */
const keptMs = 2_000;

/** Closes what a test has opened; several run at once, since they wait most of the time. */
type Finish = TestContext['onTestFinished'];

describe.skipIf(redisIsMissing()).concurrent.each(clientKinds)(
  'answers that are lost, over %s',
  (kind) => {
    const limit = { name: 'all', rate: { count: 5, perMs: dayMs } } satisfies RedisLimit;
    let server: RedisServer;
    beforeAll(async () => {
      server = await RedisServer.start();
    });
    afterAll(() => server.stop());

    async function open(
      finish: Finish,
      timeoutMs = patientMs,
    ): Promise<{ proxy: TcpProxy; limiter: RedisLimiter }> {
      const proxy = await TcpProxy.start(server);
      finish(() => proxy.close());
      const { client, close } = await openClient(kind, proxy);
      finish(close);
      const limiter = new RedisLimiter({
        limits: [limit],
        client,
        prefix: freshPrefix(),
        timeoutMs,
      });
      finish(() => limiter.close());
      await makeOld(limiter);
      // The scripts are there, so that what is lost is an answer to a request.
      for (let call = 0; call < 2; call++) await limiter.take({ cost: 0 });
      return { proxy, limiter };
    }

    /** Takes all there is, and goes on asking for as long as something may yet be given back; what was granted. */
    async function drain(limiter: RedisLimiter, wanted = 5): Promise<number> {
      let granted = 0;
      const until = performance.now() + givenBackMs;
      for (let enough = 0; performance.now() < until && enough < keptMs; ) {
        const answer = await limiter.take({});
        if (answer.allowed) granted++;
        const begun = performance.now();
        await sleep(25);
        if (granted >= wanted) enough += performance.now() - begun;
      }
      return granted;
    }

    test('a request whose connection is cut is charged once, or given back', async ({
      onTestFinished,
    }) => {
      const { proxy, limiter } = await open(onTestFinished);
      proxy.loseNext();
      const first = await limiter.take({});
      expect(proxy.lost).toBe(1);
      const granted = first.allowed ? 1 : 0;
      expect(granted + (await drain(limiter, 5 - granted))).toBe(5);
    });

    test('a naive store charges twice for a request that its client sends again', async ({
      onTestFinished,
    }) => {
      const proxy = await TcpProxy.start(server);
      onTestFinished(() => proxy.close());
      const { client, close } = await openClient(kind, proxy);
      onTestFinished(close);
      const store = new NaiveStore({ client, limits: [{ ...limit, name: freshPrefix() }] });
      await store.take({ cost: 0 });
      proxy.loseNext();
      // One client sends it again, of the other the caller does.
      const first = await store.take({}).catch(() => undefined);
      let granted = first?.allowed ? 1 : 0;
      for (let call = 0; call < 20; call++) {
        if ((await store.take({}).catch(() => undefined))?.allowed) granted++;
        await sleep(25);
      }
      expect(granted).toBeLessThan(5);
    });

    test('a request that is tried again with its id is charged once', async ({
      onTestFinished,
    }) => {
      const { proxy, limiter } = await open(onTestFinished, timeoutMs);
      proxy.hold();
      expect(await limiter.take({}, { id: 'a' })).toMatchObject({
        allowed: false,
        reason: 'store',
      });
      proxy.release();
      expect(await limiter.take({}, { id: 'b' })).toMatchObject({ allowed: true });
      const again = await limiter.take({}, { id: 'a' });
      const granted = again.allowed ? 2 : 1;
      expect(granted + (await drain(limiter, 5 - granted))).toBe(5);
    });

    test('a request that is tried again while its first answer is on the way is granted once, and kept', async ({
      onTestFinished,
    }) => {
      const { proxy, limiter } = await open(onTestFinished, timeoutMs);
      proxy.hold();
      const first = await limiter.take({}, { id: 'a' });
      expect(first.allowed).toBe(false);
      const second = limiter.take({}, { id: 'a' });
      await sleep(50);
      proxy.release();
      const again = await second;
      const granted = again.allowed ? 1 : 0;
      expect(granted + (await drain(limiter, 5 - granted))).toBe(5);
    });

    test('the same id gets the same grant, and no second charge', async ({ onTestFinished }) => {
      const { limiter } = await open(onTestFinished);
      for (let call = 0; call < 4; call++)
        expect((await limiter.take({}, { id: 'same' })).allowed).toBe(true);
      expect(await drain(limiter, 4)).toBe(4);
    });

    test('the same id is charged again after it was given back', async ({ onTestFinished }) => {
      const { limiter } = await open(onTestFinished);
      let kept = 0;
      for (let call = 0; call < 10; call++) {
        const grant = await limiter.take({}, { id: 'same' });
        if (!grant.allowed) continue;
        if (call % 2 === 0) await grant.refund();
        else kept++;
      }
      // Whoever keeps a grant has it charged, whatever was given back before with the same id.
      const once = kept > 0 ? 1 : 0;
      const left = 5 - once;
      expect(await drain(limiter, left)).toBeLessThanOrEqual(left);
    });

    test('the same id with another request is an error', async ({ onTestFinished }) => {
      const { limiter } = await open(onTestFinished);
      await limiter.take({ cost: 1 }, { id: 'same' });
      await expect(limiter.take({ cost: 2 }, { id: 'same' })).rejects.toMatchObject({
        code: 'idempotency_conflict',
      });
    });

    test('answers that come late are given back', async ({ onTestFinished }) => {
      const { proxy, limiter } = await open(onTestFinished, timeoutMs);
      proxy.hold();
      const late = await Promise.all([1, 2, 3].map(() => limiter.take({})));
      expect(late.map(({ allowed }) => allowed)).toEqual([false, false, false]);
      proxy.release();
      expect(await drain(limiter)).toBe(5);
    });

    test('a time-out comes in time', async ({ onTestFinished }) => {
      const { proxy, limiter } = await open(onTestFinished, timeoutMs);
      proxy.hold();
      const begun = performance.now();
      await limiter.take({});
      const took = performance.now() - begun;
      expect(took).toBeGreaterThanOrEqual(timeoutMs - 5);
      expect(took).toBeLessThan(timeoutMs + 1_000);
    });

    test('answers that are slow, but in time, are as good', async ({ onTestFinished }) => {
      const { proxy, limiter } = await open(onTestFinished);
      proxy.delay(100);
      expect(await drain(limiter)).toBe(5);
    });

    test('scripts that the server forgot are loaded again', async ({ onTestFinished }) => {
      const { limiter } = await open(onTestFinished);
      let granted = 0;
      for (let call = 0; call < 10; call++) {
        await server.command('script', 'flush');
        const answers = await Promise.all([1, 2, 3].map(() => limiter.take({})));
        granted += answers.filter(({ allowed }) => allowed).length;
      }
      expect(granted).toBe(5);
      const peeked = await limiter.peek({});
      expect(peeked.allowed).toBe(false);
    });

    test('what is given back is given back once, though its answer is lost', async ({
      onTestFinished,
    }) => {
      const { proxy, limiter } = await open(onTestFinished);
      const grants = [];
      for (let call = 0; call < 5; call++) grants.push(await limiter.take({}));
      expect(grants.every(({ allowed }) => allowed)).toBe(true);
      const [one] = grants;
      if (one?.allowed !== true) throw new Error('it was refused');
      proxy.loseNext();
      await one.refund();
      await one.refund();
      expect(await drain(limiter, 1)).toBe(1);
    });
  },
);
