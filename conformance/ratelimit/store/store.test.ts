import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisLimit, RedisLimiter, type RedisLimiterOptions } from '@gatebook/ratelimit/redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds, type OpenClient, openClient, send } from '../clients.js';
import { redisIsMissing } from '../redis-binary.js';
import { RedisServer } from '../redis-server.js';
import { patientMs } from '../redis-subject.js';

/** Every kind of limit in a real Redis, by both clients. */

const perSecond = (count: number) => ({ count, perMs: 1_000 });
const perMinute = (count: number) => ({ count, perMs: 60_000 });

describe.skipIf(redisIsMissing()).each(clientKinds)('the store, by %s', (kind) => {
  let server: RedisServer;
  let open: OpenClient;
  const limiters: RedisLimiter[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
    open = await openClient(kind, server);
  });
  afterEach(async () => {
    for (const limiter of limiters.splice(0)) limiter.close();
    await send(open.client, 'FLUSHALL');
  });
  afterAll(async () => {
    open?.close();
    await server?.stop();
  });

  const limiterOf = (
    limits: readonly RedisLimit[],
    options: Partial<RedisLimiterOptions> = {},
  ): RedisLimiter => {
    const limiter = new RedisLimiter({
      ...{ limits, client: open.client, timeoutMs: patientMs },
      ...options,
    });
    limiters.push(limiter);
    return limiter;
  };
  /** In a store of which it is known that nothing was used. */
  const fresh = async (
    limits: readonly RedisLimit[],
    options: Partial<RedisLimiterOptions> = {},
  ): Promise<RedisLimiter> => {
    const limiter = limiterOf(limits, options);
    await limiter.declareUnused();
    return limiter;
  };
  const burstOf = async (limiter: RedisLimiter, request = {}, most = 30): Promise<number> => {
    let count = 0;
    while (count < most && (await limiter.take(request)).allowed) count++;
    return count;
  };

  test('takes from all levels or from none', async () => {
    const limiter = await fresh([
      { name: 'all', rate: perMinute(10) },
      { name: 'user', scope: ['actor'], rate: perMinute(2) },
    ]);
    expect(await burstOf(limiter, { actor: 'ann' })).toBe(2);
    const refused = await limiter.take({ actor: 'ann' });
    expect(refused).toMatchObject({ allowed: false, by: 'user', reason: 'limit', remaining: 0 });
    expect(refused.retryAfterMs).toBeGreaterThan(29_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(30_000);
    // The other eight are left, since what the user's limit refused cost the common one nothing.
    let others = 0;
    for (let i = 0; i < 20; i++)
      if ((await limiter.take({ actor: `other-${i}` })).allowed) others++;
    expect(others).toBe(8);
    expect(await limiter.peek({ actor: 'nobody' })).toMatchObject({ allowed: false, by: 'all' });
    expect(limiter.counters().map(({ allowed }) => allowed)).toEqual([10, 10]);
  });

  test('counts tokens that are fractions, and large ones, exactly', async () => {
    const limiter = await fresh([{ name: 'budget', rate: { count: 1e8, perMs: 86_400_000 } }]);
    expect((await limiter.take({ cost: 99_999_998.5 })).allowed).toBe(true);
    expect((await limiter.take({ cost: 1 })).allowed).toBe(true);
    const peeked = await limiter.peek({ cost: 1e8 });
    expect(peeked.allowed).toBe(false);
    expect(peeked.retryAfterMs).toBeGreaterThan(86_390_000);
    expect(peeked.retryAfterMs).toBeLessThanOrEqual(86_400_000);
    expect((await limiter.take({ cost: 1e8 + 1 })).reason).toBe('never');
    await sleep(20);
    // 1.157 come in each ms.
    expect((await limiter.peek({ cost: 20 })).allowed).toBe(true);
  });

  test('gives back what has not come back by itself, once, and never beyond full', async () => {
    const limiter = await fresh([{ name: 'all', rate: perSecond(1), burst: 10 }]);
    const started = performance.now();
    const grants = [];
    for (let i = 0; i < 10; i++) grants.push(await limiter.take({}));
    const [first] = grants;
    if (first?.allowed !== true) throw new Error('the first was refused');
    await Promise.all([first.refund(), first.refund()]);
    const come = (): number => (performance.now() - started) / 1_000;
    expect((await limiter.peek({})).remaining).toBeLessThanOrEqual(1 + come());
    await sleep(1_200);
    for (const grant of grants) if (grant.allowed) await grant.refund();
    expect((await limiter.peek({})).remaining).toBe(10);
    expect(await burstOf(limiter)).toBeLessThanOrEqual(10 + come());
  });

  test('the same id is the same request, and another request with it is an error', async () => {
    const limiter = await fresh([{ name: 'all', rate: perMinute(5) }]);
    const [one, two] = [await limiter.take({}, { id: 'a' }), await limiter.take({}, { id: 'a' })];
    expect([one.remaining, two.remaining]).toEqual([4, 4]);
    await expect(limiter.take({ cost: 2 }, { id: 'a' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    if (!one.allowed || !two.allowed) throw new Error('it was refused');
    await Promise.all([one.refund(), two.refund()]);
    expect((await limiter.peek({})).remaining).toBe(5);
  });

  test('a store that lost its data gives out no fresh burst, and goes on at the rate', async () => {
    const limiter = limiterOf([
      { name: 'all', rate: perSecond(20), burst: 10 },
      { name: 'hourly', kind: 'quota', max: 100, period: { calendar: 'month' } },
    ]);
    await limiter.declareUnused();
    expect(await burstOf(limiter)).toBeGreaterThanOrEqual(10);
    await send(open.client, 'FLUSHALL');
    // Another process, that does not remember having been refused.
    const first = await limiterOf([
      { name: 'all', rate: perSecond(20), burst: 10 },
      { name: 'hourly', kind: 'quota', max: 100, period: { calendar: 'month' } },
    ]).take({});
    expect(first).toMatchObject({ allowed: false, by: 'hourly' });
    const buckets = limiterOf([{ name: 'all', rate: perSecond(20), burst: 10 }]);
    await send(open.client, 'FLUSHALL');
    const lost = performance.now();
    // It is born with the first call, and has nothing then.
    expect((await buckets.take({})).allowed).toBe(false);
    await sleep(260);
    const after = await burstOf(buckets);
    expect(after).toBeGreaterThanOrEqual(5);
    expect(after).toBeLessThanOrEqual(((performance.now() - lost) / 1_000) * 20 + 1);
  });

  test('scripts that were flushed are loaded again', async () => {
    const limiter = await fresh([{ name: 'all', rate: perMinute(10) }]);
    expect((await limiter.take({})).allowed).toBe(true);
    await send(open.client, 'SCRIPT', 'FLUSH');
    const both = await Promise.all([limiter.take({}), limiter.take({})]);
    expect(both.map(({ allowed }) => allowed)).toEqual([true, true]);
    expect((await limiter.peek({})).remaining).toBe(7);
  });

  test('permits are given back once, and by nobody else', async () => {
    const limiter = await fresh([
      { name: 'flight', kind: 'concurrency', scope: ['actor'], max: 2 },
    ]);
    const [a, b, c] = [
      await limiter.take({ actor: 'x' }),
      await limiter.take({ actor: 'x' }),
      await limiter.take({ actor: 'x' }),
    ];
    expect([a.allowed, b.allowed, c.allowed]).toEqual([true, true, false]);
    expect(c).toMatchObject({ reason: 'limit', retryAfterMs: Number.POSITIVE_INFINITY });
    if (!a.allowed || !b.allowed) throw new Error('it was refused');
    await Promise.all([a.release(), a.release(), a.refund()]);
    expect(await burstOf(limiter, { actor: 'x' })).toBe(1);
    const waiter = limiter.wait({ actor: 'x' });
    await b.release();
    expect((await waiter).allowed).toBe(true);
  });

  test('permits are not given out by a store that does not know who has some', async () => {
    const limiter = limiterOf([{ name: 'flight', kind: 'concurrency', max: 2 }]);
    const refused = await limiter.take({});
    expect(refused.allowed).toBe(false);
    expect(refused.retryAfterMs).toBeGreaterThan(29_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(30_000);
  });

  test('quotas by the calendar and by the last while', async () => {
    const limiter = await fresh([
      {
        name: 'month',
        kind: 'quota',
        max: 5,
        period: { calendar: 'month', zone: 'Asia/Kathmandu' },
      },
      { name: 'while', kind: 'quota', max: 3, period: { rollingMs: 600 } },
    ]);
    expect(await burstOf(limiter)).toBe(3);
    const full = await limiter.take({});
    expect(full).toMatchObject({ allowed: false, by: 'while', resetMs: 610 });
    await sleep(650);
    const more = await limiter.take({});
    if (!more.allowed) throw new Error('it was refused');
    await more.refund();
    expect(await burstOf(limiter)).toBe(2);
    expect(await limiter.take({})).toMatchObject({ allowed: false, by: 'month' });
  });

  test('a reservation is corrected to what it did cost, with debt up to its bound', async () => {
    const limiter = await fresh([{ name: 'tokens', rate: perMinute(60), burst: 100, maxDebt: 50 }]);
    const low = await limiter.reserve({}, 60);
    if (!low.allowed) throw new Error('it was refused');
    expect(await low.settle(10)).toMatchObject({ overspent: 0, pending: false });
    expect(await low.settle(90)).toMatchObject({ overspent: 0 });
    expect((await limiter.peek({})).remaining).toBeGreaterThanOrEqual(90);
    const high = await limiter.reserve({}, 80);
    if (!high.allowed) throw new Error('it was refused');
    const { overspent } = await high.settle(200);
    expect(overspent).toBeGreaterThan(55);
    expect(overspent).toBeLessThanOrEqual(60);
    const refused = await limiter.take({});
    expect(refused.retryAfterMs).toBeGreaterThan(50_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(51_000);
  });

  test('takes no user and no id for what it keeps of another', async () => {
    const limiter = await fresh([{ name: 'user', scope: ['actor'], rate: perMinute(2) }]);
    await limiter.block('user', { actor: 'ann' }, 60_000);
    for (const actor of ['ann:b', ':b', 'b', 'born'])
      expect(await burstOf(limiter, { actor }), actor).toBe(2);
    expect(await limiter.peek({ actor: 'ann' })).toMatchObject({ reason: 'blocked' });
    const grant = await limiter.take({ actor: 'bob' }, { id: 'x' });
    if (!grant.allowed) throw new Error('it should be there');
    await grant.refund();
    for (const id of ['x:refund', 'refund', 'x:release', ':x', '=x', '!', "x'"])
      expect((await limiter.take({ actor: id }, { id })).allowed, id).toBe(true);
  });

  test('a blocked key stays so for longer each time, in every process, until it is reset', async () => {
    const limits: RedisLimit[] = [{ name: 'user', scope: ['actor'], rate: perMinute(100) }];
    const [here, there] = [await fresh(limits), limiterOf(limits)];
    expect(await here.block('user', { actor: 'ann' }, 1_000)).toBe(1_000);
    expect(await there.take({ actor: 'ann' })).toMatchObject({ allowed: false, reason: 'blocked' });
    expect((await there.take({ actor: 'bob' })).allowed).toBe(true);
    expect(await there.block('user', { actor: 'ann' }, 1_000)).toBe(2_000);
    await here.reset('user', { actor: 'ann' });
    expect((await there.take({ actor: 'ann' })).allowed).toBe(true);
  });

  test('a limit in the shadow counts and refuses nothing', async () => {
    const limiter = await fresh([
      { name: 'new', rate: perMinute(1), shadow: true },
      { name: 'old', rate: perMinute(3) },
    ]);
    expect(await burstOf(limiter)).toBe(3);
    expect(limiter.counters()).toMatchObject([
      { limit: 'new', allowed: 3, refused: 0, shadowRefused: 3 },
      { limit: 'old', allowed: 3, refused: 1, shadowRefused: 0 },
    ]);
  });

  test('other limits inherit what was used, in tokens', async () => {
    const limiter = await fresh([{ name: 'all', rate: perMinute(10) }]);
    for (let i = 0; i < 6; i++) await limiter.take({});
    limiter.setLimits([{ name: 'all', rate: { count: 20, perMs: 3_600_000 } }]);
    expect((await limiter.peek({})).remaining).toBe(14);
    limiter.setLimits([{ name: 'all', rate: perMinute(5) }]);
    expect(await limiter.peek({})).toMatchObject({ allowed: false, remaining: 0 });
  });

  test('limits that change again and again teach the server no endless number of scripts', async () => {
    const limiter = await fresh([{ name: 'all', rate: perMinute(1_000) }]);
    const scripts = async (): Promise<number> =>
      Number((await server.info('memory')).get('number_of_cached_scripts'));
    const before = await scripts();
    for (let burst = 1_000; burst < 1_200; burst++) {
      limiter.setLimits([{ name: 'all', rate: perMinute(1_000), burst }]);
      expect((await limiter.take({})).allowed).toBe(true);
    }
    const made = (await scripts()) - before;
    expect(made).toBeGreaterThan(10);
    expect(made).toBeLessThan(140);
    expect((await limiter.peek({})).remaining).toBeLessThanOrEqual(1_100);
  });

  test('a rate of 0 gives out its burst once, where it is known that it was not used', async () => {
    const never: RedisLimit = { name: 'once', rate: perSecond(0), burst: 3 };
    const limiter = await fresh([never]);
    expect(await burstOf(limiter)).toBe(3);
    expect((await limiter.take({})).retryAfterMs).toBe(Number.POSITIVE_INFINITY);
    await send(open.client, 'FLUSHALL');
    expect((await limiterOf([never]).take({})).allowed).toBe(false);
    // By the script for all kinds, too.
    const other = await fresh([
      { ...never, name: 'other' },
      { name: 'f', kind: 'concurrency', max: 9 },
    ]);
    expect(await burstOf(other)).toBe(3);
  });

  test('who waits is served by arrival, with two calls each', async () => {
    const limiter = await fresh([{ name: 'all', rate: perSecond(50), burst: 1 }]);
    await limiter.take({});
    const before = await server.calls('evalsha');
    const served: number[] = [];
    const started = performance.now();
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const grant = await limiter.wait({});
        expect(grant.allowed).toBe(true);
        served.push(i);
      }),
    );
    // Some have come in since the first was taken.
    expect(performance.now() - started).toBeGreaterThan(250);
    expect(served).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect((await server.calls('evalsha')) - before).toBeLessThanOrEqual(40);
  });

  test('who gives up waiting has cost nothing, and those behind move forward', async () => {
    const limiter = await fresh([{ name: 'all', rate: perSecond(1), burst: 4 }]);
    for (let i = 0; i < 4; i++) await limiter.take({});
    const stop = new AbortController();
    const started = performance.now();
    const heavy = limiter.wait({ cost: 4 }, { signal: stop.signal });
    const light = limiter.wait({});
    const late = await limiter.wait({}, { timeoutMs: 900 });
    expect(late).toMatchObject({ allowed: false, reason: 'deadline' });
    expect(await limiter.take({})).toMatchObject({ allowed: false, reason: 'queue' });
    setTimeout(() => stop.abort(new Error('enough')), 100);
    await expect(heavy).rejects.toThrow('enough');
    expect((await light).allowed).toBe(true);
    // Alone it waits for one token, and not for four before.
    expect(performance.now() - started).toBeLessThan(3_500);
  });

  test('who is held up by an own key is passed, and takes nothing of what all share', async () => {
    const limiter = await fresh([
      { name: 'all', rate: perMinute(60), burst: 5 },
      { name: 'user', scope: ['actor'], rate: perMinute(60), burst: 1 },
    ]);
    await limiter.take({ actor: 'ann' });
    const held = limiter.wait({ actor: 'ann' });
    await sleep(50);
    let others = 0;
    for (let i = 0; i < 6; i++) if ((await limiter.take({ actor: `other-${i}` })).allowed) others++;
    expect(others).toBe(4);
    expect((await held).allowed).toBe(true);
  });

  test('ends what waits when it is closed', async () => {
    const limiter = await fresh([{ name: 'all', rate: perMinute(1) }]);
    await limiter.take({});
    const waiter = limiter.wait({});
    await sleep(30);
    limiter.close();
    await expect(waiter).rejects.toMatchObject({ code: 'closed' });
    await expect(limiter.take({})).rejects.toMatchObject({ code: 'closed' });
  });
});

test('what is no client is refused', () => {
  expect(() => new RedisLimiter({ limits: [], client: {} as never })).toThrow(/neither a client/);
});
