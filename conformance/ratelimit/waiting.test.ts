import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { clientKinds, openClient } from './clients.js';
import { redisIsMissing } from './redis-binary.js';
import { eventually, RedisServer } from './redis-server.js';
import { freshPrefix, makeOld, patientMs } from './redis-subject.js';
import { TcpProxy } from './tcp-proxy.js';

type Finish = TestContext['onTestFinished'];

describe.skipIf(redisIsMissing()).concurrent.each(clientKinds)('who waits, over %s', (kind) => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  async function open(
    finish: Finish,
    limits: readonly RedisLimit[],
    timeoutMs = patientMs,
  ): Promise<{ limiter: RedisLimiter; proxy: TcpProxy }> {
    const proxy = await TcpProxy.start(server);
    finish(() => proxy.close());
    const { client, close } = await openClient(kind, proxy);
    finish(close);
    const limiter = new RedisLimiter({ limits, client, prefix: freshPrefix(), timeoutMs });
    finish(() => limiter.close());
    await makeOld(limiter);
    return { limiter, proxy };
  }

  test('costs nothing when it is given up, at whatever moment', async ({ onTestFinished }) => {
    const burst = 60;
    const limit = { name: 'all', rate: { count: burst, perMs: 86_400_000 } } satisfies RedisLimit;
    const { limiter, proxy } = await open(onTestFinished, [limit]);
    // Answers take long enough to be given up before, between and after them.
    proxy.delay(10);
    let granted = 0;
    const giveUpAfter = async (ms: number): Promise<void> => {
      const abort = new AbortController();
      const waits = Array.from({ length: 5 }, () => limiter.wait({}, { signal: abort.signal }));
      setTimeout(() => abort.abort(new Error('enough')), ms);
      for (const outcome of await Promise.allSettled(waits)) {
        if (outcome.status === 'fulfilled') granted++;
        else expect(outcome.reason).toMatchObject({ message: 'enough' });
      }
    };
    for (let round = 0; round < 20; round++) await giveUpAfter(round % 15);
    // Only what was granted is gone, whatever was asked for.
    await eventually(
      async () => (await limiter.peek({})).remaining === burst - granted,
      () => `${granted} of ${burst} were granted, and not so many are gone`,
      3_000,
    );
    while ((await limiter.take({})).allowed) granted++;
    expect(granted).toBe(burst);
  });

  test('leaves no debt when it is given up', async ({ onTestFinished }) => {
    const tokenMs = 250;
    for (const afterMs of [100, 245, 255, 265, 400]) {
      const limit = { name: 'all', rate: { count: 1, perMs: tokenMs } } satisfies RedisLimit;
      const { limiter, proxy } = await open(onTestFinished, [limit]);
      proxy.delay(10);
      expect((await limiter.take({})).allowed).toBe(true);
      const abort = new AbortController();
      const waits = Array.from({ length: 40 }, () => limiter.wait({}, { signal: abort.signal }));
      setTimeout(() => abort.abort(new Error('enough')), afterMs);
      const served = (await Promise.allSettled(waits)).filter((one) => one.status === 'fulfilled');
      expect(served.length).toBeLessThan(20);
      // Forty would take ten seconds.
      await eventually(
        async () => (await limiter.peek({})).retryAfterMs <= tokenMs,
        () => `something is owed for those who gave up after ${afterMs} ms`,
        2_000,
      );
    }
  });

  test('moves forward when those before it give up', async ({ onTestFinished }) => {
    const { limiter } = await open(onTestFinished, [
      { name: 'all', rate: { count: 10, perMs: 1_000 }, burst: 10 },
    ]);
    expect((await limiter.take({ cost: 10 })).allowed).toBe(true);
    const abort = new AbortController();
    const heavy = Array.from({ length: 4 }, () =>
      limiter.wait({ cost: 10 }, { signal: abort.signal }).catch(() => undefined),
    );
    const begun = performance.now();
    const light = limiter.wait({});
    await sleep(50);
    abort.abort();
    await Promise.all(heavy);
    expect((await light).allowed).toBe(true);
    // Not the 4 s that those before it would have taken.
    expect(performance.now() - begun).toBeLessThan(1_500);
  });

  test('moves forward when one gives up whose tokens were booked', async ({ onTestFinished }) => {
    const { limiter } = await open(onTestFinished, [
      { name: 'all', rate: { count: 10, perMs: 1_000 }, burst: 10 },
    ]);
    const begun = performance.now();
    expect((await limiter.take({ cost: 10 })).allowed).toBe(true);
    const abort = new AbortController();
    const first = limiter.wait({ cost: 2 });
    const heavy = Array.from({ length: 5 }, () =>
      limiter.wait({ cost: 10 }, { signal: abort.signal }).catch(() => undefined),
    );
    const light = [limiter.wait({}), limiter.wait({}), limiter.wait({})];
    expect((await first).allowed).toBe(true);
    abort.abort();
    await Promise.all(heavy);
    for (const answer of await Promise.all(light)) expect(answer.allowed).toBe(true);
    // Two and three tokens, and not fifty more; not sooner, either.
    expect(performance.now() - begun).toBeGreaterThan(490);
    expect(performance.now() - begun).toBeLessThan(2_500);
  });

  test('lets nobody take what is booked', async ({ onTestFinished }) => {
    const { limiter } = await open(onTestFinished, [
      { name: 'all', rate: { count: 10, perMs: 1_000 }, burst: 10 },
    ]);
    expect((await limiter.take({ cost: 10 })).allowed).toBe(true);
    const heavy = limiter.wait({ cost: 5 });
    await sleep(100);
    expect((await limiter.take({})).allowed).toBe(false);
    expect(await limiter.wait({ cost: 10 }, { timeoutMs: 1_000 })).toMatchObject({
      allowed: false,
      reason: 'deadline',
    });
    expect((await heavy).allowed).toBe(true);
  });

  test('is refused at once what cannot be ready in time', async ({ onTestFinished }) => {
    const { limiter } = await open(onTestFinished, [
      { name: 'all', rate: { count: 1, perMs: 60_000 }, burst: 1 },
    ]);
    expect((await limiter.take({})).allowed).toBe(true);
    const begun = performance.now();
    expect(await limiter.wait({}, { timeoutMs: 30_000 })).toMatchObject({ allowed: false });
    expect(await limiter.wait({ cost: 2 })).toMatchObject({ allowed: false, reason: 'never' });
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  test('is answered when the store goes away, as the limit says', async ({ onTestFinished }) => {
    const limit = { name: 'all', rate: { count: 1, perMs: 1_000 }, burst: 1 } satisfies RedisLimit;
    const { limiter, proxy } = await open(onTestFinished, [limit], 250);
    await eventually(
      async () => (await limiter.take({})).allowed,
      () => 'nothing is granted',
    );
    const waits = Array.from({ length: 5 }, () => limiter.wait({}, { timeoutMs: 8_000 }));
    await sleep(20);
    proxy.shut();
    const begun = performance.now();
    const answers = await Promise.all(waits);
    // Whom it had promised a token before may have it; all others are refused long before their time is over.
    expect(answers.filter(({ allowed }) => !allowed).length).toBeGreaterThan(0);
    expect(performance.now() - begun).toBeLessThan(7_000);
  });

  test('waits for a permit until somebody gives one back', async ({ onTestFinished }) => {
    const { limiter } = await open(onTestFinished, [{ name: 'few', kind: 'concurrency', max: 2 }]);
    // A store that was just made does not know who has permits, and gives out none for 30 s; this one was said to be old.
    const [one, two] = [await limiter.take({}), await limiter.take({})];
    if (!one.allowed || !two.allowed) throw new Error('refused');
    const waiter = limiter.wait({});
    await sleep(100);
    await one.release();
    const begun = performance.now();
    const third = await waiter;
    expect(third.allowed).toBe(true);
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect((await limiter.take({})).allowed).toBe(false);
  });
});
