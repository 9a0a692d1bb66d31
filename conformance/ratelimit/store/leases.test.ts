import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@gatebook/ratelimit';
import {
  type IoredisLike,
  LeasedLimiter,
  type LeasedLimiterOptions,
  type RedisLimit,
} from '@gatebook/ratelimit/redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds, type OpenClient, openClient, send } from '../clients.js';
import { findExcess, type GrantRecord } from '../grants.js';
import { redisIsMissing } from '../redis-binary.js';
import { eventually, RedisServer } from '../redis-server.js';

/** Buckets that processes lease slices of, in a real Redis, by both clients. */

const perSecond = (count: number) => ({ count, perMs: 1_000 });
const perHour = (count: number) => ({ count, perMs: 3_600_000 });

describe.skipIf(redisIsMissing()).each(clientKinds)('leases, by %s', (kind) => {
  let server: RedisServer;
  let open: OpenClient;
  const limiters: LeasedLimiter[] = [];

  beforeAll(async () => {
    server = await RedisServer.start({ wallClock: true });
    open = await openClient(kind, server);
  });
  afterEach(async () => {
    await Promise.all(limiters.splice(0).map((limiter) => limiter.close()));
    await server.setClock(0);
    await send(open.client, 'FLUSHALL');
  });
  afterAll(async () => {
    open?.close();
    await server?.stop();
  });

  const limiterOf = (
    limits: readonly RedisLimit[],
    leases: LeasedLimiterOptions['leases'],
    options: Partial<LeasedLimiterOptions> = {},
  ): LeasedLimiter => {
    const limiter = new LeasedLimiter({ limits, leases, client: open.client, ...options });
    limiters.push(limiter);
    return limiter;
  };
  const all: RedisLimit = { name: 'all', rate: perHour(100) };
  /** The bucket full, as if it had been there for long. */
  const full = async (
    leases: LeasedLimiterOptions['leases'],
    limits: readonly RedisLimit[] = [all],
    options: Partial<LeasedLimiterOptions> = {},
  ): Promise<LeasedLimiter> => {
    const limiter = limiterOf(limits, leases, options);
    for (const name of Object.keys(leases)) await limiter.reset(name, {});
    return limiter;
  };
  const count = async (limiter: LeasedLimiter, most: number, request = {}): Promise<number> => {
    let allowed = 0;
    for (let i = 0; i < most; i++) if ((await limiter.take(request)).allowed) allowed++;
    return allowed;
  };

  test('spends a slice without asking', async () => {
    const limiter = await full({ all: { overshoot: 50 } });
    await limiter.take({});
    const before = await server.calls('evalsha');
    expect(await count(limiter, 25)).toBe(25);
    expect((await server.calls('evalsha')) - before).toBeLessThanOrEqual(1);
    expect(await count(limiter, 100)).toBe(74);
    const refused = await limiter.take({});
    expect(refused).toMatchObject({ allowed: false, by: 'all', reason: 'limit', remaining: 0 });
    expect(refused.retryAfterMs).toBeGreaterThan(30_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(36_000);
    expect(limiter.counters()).toMatchObject([
      { limit: 'all', allowed: 100, refused: 27, keys: 1 },
    ]);
  });

  test('lets all processes together have no more than the bucket had', async () => {
    const some = await Promise.all(
      [1, 2, 3, 4].map(() => full({ all: { overshoot: 40, slice: 10 } })),
    );
    const counts = await Promise.all(some.map((limiter) => count(limiter, 60)));
    const sum = counts.reduce((one, other) => one + other, 0);
    expect(sum).toBeLessThanOrEqual(100);
    expect(sum).toBeGreaterThanOrEqual(100 - 40);
  });

  test('leases out no more than the overshoot, whatever a process wants', async () => {
    const leases = { all: { overshoot: 15, slice: 10 } };
    const [one, other] = [await full(leases), limiterOf([all], leases)];
    await one.take({});
    await other.take({});
    await one.close();
    await other.close();
    expect(limiters).toHaveLength(2);
    // What has been leased and not returned would be missing here.
    const { remaining } = await full({ all: { overshoot: 0 } }, [all]).then((limiter) =>
      limiter.peek({}),
    );
    expect(remaining).toBe(100);
    const third = limiterOf([all], leases);
    const fourth = limiterOf([all], leases);
    await third.take({ cost: 0.5 });
    await fourth.take({ cost: 0.5 });
    const level = limiterOf([all], { all: { overshoot: 0 } });
    // 0.5 spent twice, 10 leased to one and 5 to the other.
    expect((await level.peek({})).remaining).toBe(84);
  });

  test('asks for each request where nothing may be leased', async () => {
    const limiter = await full({ all: { overshoot: 0 } });
    const before = await server.calls('evalsha');
    expect(await count(limiter, 10)).toBe(10);
    expect((await server.calls('evalsha')) - before).toBe(10);
    expect((await limiterOf([all], { all: { overshoot: 0 } }).peek({})).remaining).toBe(90);
  });

  test('returns what is left when it is closed, but for what has come back by itself', async () => {
    const limiter = await full({ all: { overshoot: 50 } });
    expect(await count(limiter, 7)).toBe(7);
    await limiter.close();
    expect((await limiterOf([all], { all: { overshoot: 0 } }).peek({})).remaining).toBe(93);
  });

  test('returns what it does not use, and leaves no timer', async () => {
    // Ten times as fast.
    const clock = {
      ...systemClock,
      now: () => performance.now() * 10,
      wake: (ms: number, call: () => void) => systemClock.wake(ms / 10, call),
    };
    const limiter = await full({ all: { overshoot: 50 } }, [all], { clock, timeoutMs: 20_000 });
    await limiter.take({});
    const level = limiterOf([all], { all: { overshoot: 0 } });
    expect((await level.peek({})).remaining).toBeLessThanOrEqual(50);
    await eventually(
      async () => (await level.peek({})).remaining === 99,
      () => 'the rest is not returned',
      8_000,
    );
    await eventually(
      async () => limiter.counters()[0]?.keys === 0,
      () => 'the lease is kept',
      8_000,
    );
  });

  test('gives a bucket that nobody knows no burst', async () => {
    const limiter = limiterOf([{ name: 'all', rate: perSecond(50), burst: 100 }], {
      all: { overshoot: 10 },
    });
    const began = performance.now();
    let allowed = 0;
    while (performance.now() < began + 1_000) {
      if ((await limiter.take({})).allowed) allowed++;
      else await sleep(5);
    }
    const passedMs = performance.now() - began;
    expect(allowed).toBeLessThanOrEqual(Math.ceil((passedMs * 50) / 1_000));
    expect(allowed).toBeGreaterThanOrEqual(30);
  });

  test('takes from leased limits and others, or from none', async () => {
    const user: RedisLimit = { name: 'user', scope: ['actor'], rate: perHour(3) };
    const limiter = await full({ all: { overshoot: 50 } }, [all, user]);
    await limiter.reset('user', { actor: 'ann' });
    expect(await count(limiter, 10, { actor: 'ann' })).toBe(3);
    await limiter.close();
    // What the user's limit refused has cost the common one nothing.
    expect((await limiterOf([all], { all: { overshoot: 0 } }).peek({})).remaining).toBe(97);
    const empty = await full({ all: { overshoot: 0 } }, [{ name: 'all', rate: perHour(1) }, user]);
    await empty.reset('user', { actor: 'bob' });
    expect(await count(empty, 5, { actor: 'bob' })).toBe(1);
    expect((await empty.peek({ actor: 'bob' })).by).toBe('all');
    // And the other way round: what the common one refused has cost the user's limit nothing.
    expect((await limiterOf([user], {}).peek({ actor: 'bob' })).remaining).toBe(2);
  });

  test('knows an id, and gives back only once', async () => {
    const limiter = await full({ all: { overshoot: 20 } });
    const [one, same] = [await limiter.take({}, { id: 'a' }), await limiter.take({}, { id: 'a' })];
    expect(one.allowed && same.allowed).toBe(true);
    await expect(limiter.take({ cost: 2 }, { id: 'a' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    const level = limiterOf([all], { all: { overshoot: 0 } });
    if (one.allowed) await Promise.all([one.refund(), one.refund()]);
    if (same.allowed) await same.refund();
    await limiter.close();
    expect((await level.peek({})).remaining).toBe(100);
  });

  test('gives back nothing that has come back by itself', async () => {
    const limit: RedisLimit = { name: 'all', rate: perSecond(100), burst: 10 };
    const limiter = await full({ all: { overshoot: 0 } }, [limit]);
    const grant = await limiter.take({ cost: 10 });
    await sleep(150);
    const other = limiterOf([limit], { all: { overshoot: 0 } });
    expect((await other.take({ cost: 10 })).allowed).toBe(true);
    if (grant.allowed) await grant.refund();
    await limiter.close();
    expect((await other.peek({})).remaining).toBeLessThan(8);
  });

  test('takes once what reaches the store twice, or late', async () => {
    let last: (() => Promise<unknown>) | undefined;
    const real = (name: string, args: readonly unknown[]): Promise<unknown> =>
      send(open.client, name, ...args.map(String));
    const twice = async (name: string, args: readonly unknown[]): Promise<unknown> => {
      const answer = await real(name, args);
      if (args[3] !== 'l') return answer;
      expect(await real(name, args)).toEqual(answer);
      // The one before comes once more as well.
      await last?.();
      last = () => real(name, args);
      return answer;
    };
    const client: IoredisLike = {
      evalsha: (...args) => twice('evalsha', args),
      eval: (...args) => twice('eval', args),
    };
    const limiter = await full({ all: { overshoot: 20 } }, [all], { client });
    expect(await count(limiter, 30)).toBe(30);
    const grant = await limiter.take({ cost: 5 });
    if (grant.allowed) await grant.refund();
    await limiter.close();
    expect((await limiterOf([all], { all: { overshoot: 0 } }).peek({})).remaining).toBe(70);
  });

  test('settles a reservation to what it did cost', async () => {
    const budget: RedisLimit = { name: 'all', rate: perHour(100), maxDebt: 10 };
    const limiter = await full({ all: { overshoot: 20 } }, [budget]);
    const first = await limiter.reserve({}, 50);
    const second = await limiter.reserve({}, 50);
    const third = await limiter.reserve({}, 1);
    expect([first.allowed, second.allowed, third.allowed]).toEqual([true, true, false]);
    if (!first.allowed || !second.allowed) return;
    expect(await first.settle(30)).toEqual({ overspent: 0, pending: false });
    expect(await first.settle(90)).toEqual({ overspent: 0, pending: false });
    const { overspent, pending } = await second.settle(100);
    expect(pending).toBe(false);
    // 20 came back from the first, and 10 may be owed.
    expect(overspent).toBeGreaterThan(19.9);
    expect(overspent).toBeLessThanOrEqual(20);
    expect((await limiter.take({})).allowed).toBe(false);
  });

  test('waits by arrival, and refuses at once what comes too late', async () => {
    const limiter = await full({ all: { overshoot: 4 } }, [
      { name: 'all', rate: perSecond(20), burst: 4 },
    ]);
    expect(await count(limiter, 4)).toBeGreaterThanOrEqual(4);
    const order: number[] = [];
    const began = performance.now();
    const before = await server.calls('evalsha');
    const waits = [2, 1, 1, 2].map(async (cost, place) => {
      const got = await limiter.wait({ cost });
      order.push(place);
      return got.allowed;
    });
    await sleep(10);
    expect(await limiter.take({})).toMatchObject({ allowed: false, reason: 'queue' });
    const late = await limiter.wait({}, { timeoutMs: 50 });
    expect(late).toMatchObject({ allowed: false, reason: 'deadline' });
    expect(await limiter.wait({ cost: 5 })).toMatchObject({ allowed: false, reason: 'never' });
    expect(await Promise.all(waits)).toEqual([true, true, true, true]);
    expect(order).toEqual([0, 1, 2, 3]);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThanOrEqual(280);
    expect(tookMs).toBeLessThanOrEqual(900);
    expect((await server.calls('evalsha')) - before).toBeLessThanOrEqual(10);
  });

  test('gives up a wait without cost, and who is behind moves forward', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [
      { name: 'all', rate: perSecond(10), burst: 10 },
    ]);
    expect(await count(limiter, 10)).toBeGreaterThanOrEqual(10);
    const giveUp = new AbortController();
    const heavy = limiter.wait({ cost: 10 }, { signal: giveUp.signal });
    const light = limiter.wait({});
    await sleep(20);
    const began = performance.now();
    giveUp.abort(new Error('enough'));
    await expect(heavy).rejects.toThrow('enough');
    expect((await light).allowed).toBe(true);
    expect(performance.now() - began).toBeLessThan(500);
  });

  test('lets who is behind move forward when somebody gives up while the store is asked for both', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [
      { name: 'all', rate: perSecond(10), burst: 1_000 },
    ]);
    expect((await limiter.take({ cost: 1_000 })).allowed).toBe(true);
    const giveUp = new AbortController();
    const heavy = limiter.wait({ cost: 900 }, { signal: giveUp.signal });
    await sleep(20);
    const began = performance.now();
    // The store is asked for all of them now, and answers that the first has to wait for 90 s.
    const light = limiter.wait({}, { timeoutMs: 5_000 });
    const other = limiter.wait({});
    giveUp.abort(new Error('enough'));
    await expect(heavy).rejects.toThrow('enough');
    expect((await light).allowed).toBe(true);
    expect((await other).allowed).toBe(true);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test('lets who is behind move forward when the first finds that it is too late for it', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [
      { name: 'all', rate: perSecond(10), burst: 1_000 },
    ]);
    expect((await limiter.take({ cost: 1_000 })).allowed).toBe(true);
    const began = performance.now();
    // Both are asked for by one call, after that of the first.
    const waits = [
      limiter.wait({}),
      limiter.wait({ cost: 900 }, { timeoutMs: 1_000 }),
      limiter.wait({}, { timeoutMs: 5_000 }),
    ];
    const [first, heavy, light] = await Promise.all(waits);
    expect(first?.allowed).toBe(true);
    expect(heavy).toMatchObject({ allowed: false, reason: 'deadline' });
    expect(light?.allowed).toBe(true);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test('counts what those before take once, not twice', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [
      { name: 'all', rate: perSecond(10), burst: 20 },
    ]);
    expect((await limiter.take({ cost: 20 })).allowed).toBe(true);
    // The first is ready in 1.5 s, the second 0.1 s later.
    const heavy = limiter.wait({ cost: 15 });
    const light = limiter.wait({}, { timeoutMs: 2_500 });
    expect((await light).allowed).toBe(true);
    expect((await heavy).allowed).toBe(true);
  });

  test('lets nobody wait for what a call before it lacked', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [
      { name: 'all', rate: perSecond(10), burst: 1_000 },
    ]);
    expect((await limiter.take({ cost: 1_000 })).allowed).toBe(true);
    const began = performance.now();
    // While the store is asked for the first the others come; the second does not wait, the third does.
    const [first, refused, light] = await Promise.all([
      limiter.take({ cost: 1 }),
      limiter.take({ cost: 900 }),
      limiter.wait({}, { timeoutMs: 5_000 }),
    ]);
    expect(first.allowed).toBe(false);
    expect(refused).toMatchObject({ allowed: false, reason: 'limit' });
    expect(refused.retryAfterMs).toBeGreaterThan(80_000);
    expect(light.allowed).toBe(true);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test('goes on by other limits with what was spent and leased', async () => {
    const leases = { all: { overshoot: 20 } };
    const limiter = await full(leases);
    expect(await count(limiter, 50)).toBe(50);
    // Twice as much in twice the time, in other units.
    limiter.setLimits([{ name: 'all', rate: { count: 200, perMs: 7_200_000 } }]);
    expect(await count(limiter, 200)).toBe(150);
    limiter.setLimits([all]);
    const { retryAfterMs } = await limiter.peek({});
    expect(retryAfterMs).toBeGreaterThan(3_600_000);
    expect(() => limiter.setLimits([all, all])).toThrow(/two limits are named/);
    limiter.setLimits([]);
    expect((await limiter.take({})).remaining).toBe(Number.POSITIVE_INFINITY);
  });

  test('wakes who waits when the limits are others, and ends all waits when it is closed', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [{ name: 'all', rate: perHour(1) }]);
    expect((await limiter.take({})).allowed).toBe(true);
    const waiting = limiter.wait({});
    const never = limiter.wait({ cost: 1 });
    await sleep(20);
    limiter.setLimits([{ name: 'all', rate: perSecond(20), burst: 1 }]);
    expect((await waiting).allowed).toBe(true);
    expect((await never).allowed).toBe(true);
    limiter.setLimits([{ name: 'all', rate: perHour(1) }]);
    const left = expect(limiter.wait({})).rejects.toMatchObject({ code: 'closed' });
    await sleep(20);
    await limiter.close();
    await left;
    await expect(limiter.take({})).rejects.toMatchObject({ code: 'closed' });
  });

  test('wakes who was asked for by the limits before', async () => {
    const limiter = await full({ all: { overshoot: 0 } }, [{ name: 'all', rate: perHour(1) }]);
    expect((await limiter.take({})).allowed).toBe(true);
    const waiting = limiter.wait({});
    // The answer to its call is still on its way.
    limiter.setLimits([{ name: 'all', rate: perSecond(20), burst: 1 }]);
    expect((await waiting).allowed).toBe(true);
  });

  test('holds nothing of a common bucket for who is held up by an own key', async () => {
    const user: RedisLimit = { name: 'user', scope: ['actor'], rate: perSecond(5), burst: 1 };
    const limiter = await full({ all: { overshoot: 2 } }, [
      { name: 'all', rate: perHour(2) },
      user,
    ]);
    await limiter.reset('user', { actor: 'ann' });
    await limiter.reset('user', { actor: 'bob' });
    expect((await limiter.take({ actor: 'ann' })).allowed).toBe(true);
    const giveUp = new AbortController();
    const ann = limiter.wait({ actor: 'ann' }, { signal: giveUp.signal });
    await sleep(20);
    expect((await limiter.take({ actor: 'bob' })).allowed).toBe(true);
    await sleep(250);
    // Now she lacks what all share, and what is hers goes back when she gives up.
    giveUp.abort(new Error('enough'));
    await expect(ann).rejects.toThrow('enough');
    await sleep(50);
    expect((await limiterOf([user], {}).take({ actor: 'ann' })).allowed).toBe(true);
  });

  test('does not spend what has lapsed, however long the process stood still', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => performance.now() + aheadMs };
    const limiter = await full({ all: { overshoot: 50 } }, [all], { clock });
    await limiter.take({});
    const before = await server.calls('evalsha');
    await limiter.take({});
    expect((await server.calls('evalsha')) - before).toBe(0);
    aheadMs = 5_000;
    await limiter.take({});
    expect((await server.calls('evalsha')) - before).toBe(1);
  });

  test('counts as spent what a process had that was heard of no more', async () => {
    const leases = { all: { overshoot: 50 } };
    await (await full(leases)).take({});
    const other = limiterOf([all], leases);
    await other.take({});
    // 51 are gone with it. Until it has lapsed, nobody else may lease so many.
    const calls = await server.calls('evalsha');
    expect(await count(other, 5)).toBe(5);
    expect((await server.calls('evalsha')) - calls).toBe(5);
    await server.setClock(6);
    expect(await count(other, 60)).toBe(43);
  });

  test('leases nothing anew by a clock that is set back', async () => {
    const leases = { all: { overshoot: 50 } };
    await server.setClock(3_600);
    await (await full(leases)).take({ cost: 60 });
    await server.setClock(0);
    const level = limiterOf([all], { all: { overshoot: 0 } });
    // 40 were there, and are leased; an hour ago it was not full either.
    expect((await level.peek({})).remaining).toBe(0);
    await sleep(1_100);
    expect((await level.peek({ cost: 1 })).retryAfterMs).toBeLessThanOrEqual(35_000);
  });

  test('holds no lease for longer than it lasts by a clock that is set back', async () => {
    const leases = { all: { overshoot: 20 } };
    await server.setClock(3_600);
    await (await full(leases)).take({});
    await server.setClock(0);
    const other = limiterOf([all], leases);
    expect((await other.take({})).allowed).toBe(true);
    await server.setClock(6);
    await other.take({});
    const before = await server.calls('evalsha');
    expect(await count(other, 5)).toBe(5);
    expect((await server.calls('evalsha')) - before).toBe(0);
  });

  test('lets no window have more than burst, rate and overshoot, though the store loses all', async () => {
    const limit: RedisLimit = { name: 'all', rate: perSecond(200), burst: 50 };
    const overshoot = 30;
    const leases = { all: { overshoot, slice: 10 } };
    const some = [1, 2, 3, 4].map(() => limiterOf([limit], leases, { expectedProcesses: 4 }));
    const grants: GrantRecord[] = [];
    const endMs = performance.now() + 2_500;
    const run = async (limiter: LeasedLimiter, place: number): Promise<void> => {
      while (performance.now() < endMs) {
        const sentMs = performance.now();
        const cost = 1 + (place % 2);
        const { allowed } = await limiter.take({ cost });
        if (allowed) grants.push({ sentMs, receivedMs: performance.now(), cost });
        if (place === 0 || !allowed) await sleep(3 + 5 * place);
      }
    };
    const flush = async (): Promise<void> => {
      await sleep(800);
      await send(open.client, 'FLUSHALL');
      await send(open.client, 'SCRIPT', 'FLUSH');
    };
    await Promise.all([...some.map(run), flush()]);
    const bucket = { burst: 50 + overshoot, perMs: 0.2 };
    expect(findExcess(grants, bucket)).toBeUndefined();
    const sum = grants.reduce((total, { cost }) => total + cost, 0);
    expect(sum).toBeGreaterThan(0.85 * (2_500 * bucket.perMs - overshoot));
  });

  test('refuses, counts by itself or lets in while the store is away, as each limit says', async () => {
    const away = await RedisServer.start();
    const client = await openClient(kind, away);
    const limits: RedisLimit[] = [
      { ...all, name: 'deny', match: ({ tool }) => tool === 'deny' },
      { ...all, name: 'allow', match: ({ tool }) => tool === 'allow', onStoreFailure: 'allow' },
      { ...all, name: 'local', match: ({ tool }) => tool === 'local', onStoreFailure: 'local' },
    ];
    const overshoot = 0;
    const limiter = new LeasedLimiter({
      limits,
      leases: { deny: { overshoot }, allow: { overshoot }, local: { overshoot } },
      client: client.client,
      timeoutMs: 100,
      expectedProcesses: 10,
    });
    try {
      away.freeze();
      expect(await limiter.take({ tool: 'deny' })).toMatchObject({
        allowed: false,
        by: 'deny',
        reason: 'store',
      });
      expect((await limiter.take({ tool: 'allow' })).allowed).toBe(true);
      expect(await count(limiter, 15, { tool: 'local' })).toBe(10);
      away.resume();
    } finally {
      await limiter.close();
      client.close();
      await away.stop();
    }
  });

  test('cannot be made of what cannot be leased', () => {
    const make = (limit: RedisLimit, overshoot = 1): LeasedLimiter =>
      limiterOf([limit], { all: { overshoot } });
    expect(() => make({ name: 'all', kind: 'concurrency', max: 1 })).toThrow(/only a rate/);
    expect(() => make({ name: 'all', rate: perSecond(0) })).toThrow(/rate of 0/);
    expect(() => make(all, -1)).toThrow(/overshoot is -1/);
    expect(() => limiterOf([all], { all: { overshoot: 1, slice: 2 } })).toThrow(/slice is 2/);
    expect(() => limiterOf([all], {}, { shards: 0 })).toThrow(/shards is 0/);
  });
});
