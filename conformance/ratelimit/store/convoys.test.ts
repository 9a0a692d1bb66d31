import { setTimeout as sleep } from 'node:timers/promises';
import { type LimitRequest, ManualClock } from '@gatebook/ratelimit';
import {
  type RedisGrant,
  type RedisLimit,
  RedisLimiter,
  type RedisLimiterOptions,
  type RedisTaken,
} from '@gatebook/ratelimit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { clientKinds, type OpenClient, openClient } from '../clients.js';
import { redisIsMissing } from '../redis-binary.js';
import { eventually, RedisServer } from '../redis-server.js';
import { freshPrefix, makeOld, patientMs } from '../redis-subject.js';
import { TcpProxy } from '../tcp-proxy.js';

/** Requests that are made at once, and go to a real Redis in one call. */

const dayMs = 86_400_000;
const perDay = (count: number) => ({ count, perMs: dayMs });
const all: RedisLimit = { name: 'all', rate: perDay(50) };
const user: RedisLimit = { name: 'user', scope: ['actor'], rate: perDay(4) };
const isAllowed = ({ allowed }: { allowed: boolean }): boolean => allowed;

interface Wish {
  readonly request: LimitRequest;
  readonly id?: string;
}

describe.skipIf(redisIsMissing()).each(clientKinds)('requests made at once, by %s', (kind) => {
  let server: RedisServer;
  let open: OpenClient;
  beforeAll(async () => {
    server = await RedisServer.start({ wallClock: true });
    open = await openClient(kind, server);
  });
  afterAll(async () => {
    open?.close();
    await server?.stop();
  });

  async function limiterOf(options: Partial<RedisLimiterOptions> = {}): Promise<RedisLimiter> {
    const { client } = open;
    const limiter = new RedisLimiter({
      ...{ limits: [all, user], client, prefix: freshPrefix(), timeoutMs: patientMs },
      ...options,
    });
    onTestFinished(() => limiter.close());
    await makeOld(limiter);
    return limiter;
  }

  test('are few calls, and are served by arrival', async () => {
    const limiter = await limiterOf();
    await limiter.take({ actor: 'first' });
    const before = await server.calls('evalsha');
    const actors = Array.from({ length: 200 }, (_, i) => `user-${i}`);
    const taken = await Promise.all(actors.map((actor) => limiter.take({ actor })));
    expect(taken.map(isAllowed)).toEqual(actors.map((_, i) => i < 49));
    const calls = (await server.calls('evalsha')) - before;
    // One alone, and the others by 32.
    expect(calls).toBeLessThanOrEqual(8);
    expect(calls).toBeGreaterThanOrEqual(7);
  });

  test.each([
    { costs: [1], isKnown: false },
    { costs: [1], isKnown: true },
    { costs: [0, 0.5, 1, 2, 3], isKnown: false },
    { costs: [0, 0.5, 1, 2, 3], isKnown: true },
  ])('are decided as if each had come alone, at costs of $costs, with ids: $isKnown', async ({
    costs,
    isKnown,
  }) => {
    const at = 1_800_000_000_000;
    await server.stopClock(at);
    onTestFinished(() => server.setClock(0));
    const clock = new ManualClock(at, at);
    const wishes = wishesOf(costs, isKnown);
    const [one, other] = [freshPrefix(), freshPrefix()];
    const together = await limiterOf({ prefix: one, clock });
    // A script that the server has yet to learn is overtaken by those that it knows.
    for (const cost of [0, 1]) await together.take({ actor: 'none', cost });
    const before = await limiterOf({ prefix: other, clock });
    await before.take({ actor: 'none' });
    const first = together.take(wishes[0]!.request, wishes[0]!);
    const got = await Promise.all([
      first,
      ...wishes.slice(1).map((wish) => together.take(wish.request, wish)),
    ]);
    const alone: RedisTaken[] = [];
    for (const wish of wishes) {
      // One that remembers no refusal.
      const limiter = await limiterOf({ prefix: other, clock });
      alone.push(await limiter.take(wish.request, wish));
    }
    expect(got.map(plain)).toEqual(alone.map(plain));
    expect(new Set(got.map(isAllowed)).size).toBe(2);
    // What each took is known, so that it can be given back.
    for (const taken of [got, alone]) {
      for (const [i, grant] of taken.entries())
        if (grant.allowed && i % 3 === 0) await grant.refund();
    }
    const left = async (prefix: string): Promise<unknown> => {
      const limiter = await limiterOf({ prefix, clock });
      return await Promise.all(
        ['ann', 'bob', 'cid'].map(async (actor) => plain(await limiter.peek({ actor, cost: 0.5 }))),
      );
    };
    expect(await left(one)).toEqual(await left(other));
  });

  test('are one request where they have one id, and an error where they are not alike', async () => {
    const limiter = await limiterOf();
    const [, ...got] = await Promise.allSettled([
      limiter.take({ actor: 'first' }),
      limiter.take({ actor: 'ann' }, { id: 'a' }),
      limiter.take({ actor: 'ann' }, { id: 'a' }),
      limiter.take({ actor: 'bob' }, { id: 'a' }),
      limiter.take({ actor: 'bob' }),
    ]);
    expect(got.map((one) => (one.status === 'fulfilled' ? one.value.remaining : 'error'))).toEqual([
      ...[3, 3, 'error', 3],
    ]);
    expect(got[2]).toMatchObject({ reason: { code: 'idempotency_conflict' } });
    expect((await limiter.peek({ actor: 'ann' })).remaining).toBe(3);
  });

  test('do not fail with one whose bucket holds what is none of ours', async () => {
    const prefix = freshPrefix();
    const limiter = await limiterOf({ prefix });
    await limiter.take({ actor: 'bad' });
    const [bad] = (await server.command('keys', `{${prefix}}:user#*:bad`)) as [string];
    await server.command('set', bad, 'none of ours');
    const actors = ['first', 'ann', 'bad', 'bob', 'bad', 'cid'];
    const got = await Promise.all(actors.map((actor) => limiter.take({ actor })));
    expect(got.map(isAllowed)).toEqual(actors.map((actor) => actor !== 'bad'));
    expect(got[2]).toMatchObject({ reason: 'store' });
    await server.command('del', bad);
    // Each was charged once: `bad` before, and four now.
    await eventually(
      async () => (await limiter.peek({ actor: 'new', cost: 0 })).remaining === 4,
      () => 'a new bucket is not whole',
    );
    const left = await takeAll(limiter);
    expect(left).toBe(50 - 5);
  });

  test('are refused alone where a key is blocked', async () => {
    const limiter = await limiterOf();
    await limiter.block('user', { actor: 'bad' }, 60_000);
    const actors = ['first', 'ann', 'bad', 'bob', 'bad', 'cid'];
    const got = await Promise.all(actors.map((actor) => limiter.take({ actor })));
    expect(got.map(isAllowed)).toEqual(actors.map((actor) => actor !== 'bad'));
    expect(got[2]).toMatchObject({ by: 'user', reason: 'blocked' });
    expect(await takeAll(limiter)).toBe(50 - 4);
  });

  test('whose answer is late are given back each, and those with an id are kept', async () => {
    const proxy = await TcpProxy.start(server);
    onTestFinished(() => proxy.close());
    const { client, close } = await openClient(kind, proxy);
    onTestFinished(close);
    const prefix = freshPrefix();
    const patient = await limiterOf({ prefix });
    const hasty = await limiterOf({ prefix, client, timeoutMs: 200 });
    await eventually(
      async () => isAllowed(await hasty.take({ cost: 0 })),
      () => 'the script is not there',
    );
    proxy.hold();
    const ids = [undefined, undefined, 'a', undefined, 'b', undefined];
    const ask = (): Promise<RedisTaken[]> =>
      Promise.all(
        ids.map((id, i) => hasty.take({ actor: `user-${i}` }, id === undefined ? {} : { id })),
      );
    const got = await ask();
    expect(got.map(({ reason }) => reason)).toEqual(ids.map(() => 'store'));
    proxy.release();
    const left = async (actor: string): Promise<number> =>
      (await patient.peek({ actor })).remaining;
    await eventually(
      async () =>
        (await Promise.all(ids.map((_, i) => left(`user-${i}`)))).join() === '4,4,3,4,3,4',
      () => 'what nobody heard of is not given back',
    );
    await eventually(
      async () => isAllowed(await hasty.take({ actor: 'user-2' }, { id: 'a' })),
      () => 'who asks again does not get what was granted',
    );
    expect(await left('user-2')).toBe(3);
    expect(await takeAll(patient)).toBe(50 - 2);
  });

  test('that arrive after they were given up are granted no more, but for those with an id', async () => {
    const { client } = open;
    if (!(client instanceof Redis)) return;
    const held: (() => Promise<unknown>)[] = [];
    let isHolding = false;
    const slow = {
      eval: client.eval.bind(client),
      evalsha: (...args: Parameters<Redis['evalsha']>): Promise<unknown> => {
        if (!isHolding) return client.evalsha(...args);
        held.push(() => client.evalsha(...args));
        return Promise.reject(new Error('the connection is closed'));
      },
    };
    const prefix = freshPrefix();
    const limiter = await limiterOf({ prefix, client: slow });
    const first = limiter.take({ actor: 'first' });
    isHolding = true;
    const ids = [undefined, 'a', undefined, undefined];
    const got = await Promise.all(
      ids.map((id, i) => limiter.take({ actor: `user-${i}` }, id === undefined ? {} : { id })),
    );
    isHolding = false;
    expect(isAllowed(await first)).toBe(true);
    expect(got.map(({ reason }) => reason)).toEqual(ids.map(() => 'store'));
    expect(held).toHaveLength(1);
    // Each is given up by a call of its own.
    await eventually(
      async () => ((await server.command('keys', `{${prefix}}:id:*`)) as string[]).length === 2,
      () => 'nobody gives up',
    );
    await sleep(300);
    const answers = (await held[0]!()) as number[][];
    expect(answers.map(([code]) => code)).toEqual([3, 1, 3, 3]);
    expect(await takeAll(limiter)).toBe(50 - 2);
    const again = await limiter.take({ actor: 'user-1' }, { id: 'a' });
    expect(again).toMatchObject({ allowed: true, remaining: 3 });
  });

  test('and sent twice by a client are charged once', async () => {
    const { client } = open;
    if (!(client instanceof Redis)) return;
    let isTwice = false;
    const twice = {
      eval: client.eval.bind(client),
      evalsha: async (...args: Parameters<Redis['evalsha']>): Promise<unknown> => {
        if (isTwice) await client.evalsha(...args);
        return await client.evalsha(...args);
      },
    };
    const limiter = await limiterOf({ client: twice });
    await limiter.take({ cost: 0 });
    isTwice = true;
    const actors = Array.from({ length: 10 }, (_, i) => `user-${i}`);
    const got = await Promise.all(actors.map((actor) => limiter.take({ actor })));
    expect(got.map(({ remaining }) => remaining)).toEqual(actors.map(() => 3));
    const grants = got.filter((one): one is RedisGrant => one.allowed);
    await Promise.all(grants.slice(5).map((grant) => grant.refund()));
    isTwice = false;
    expect(await takeAll(limiter)).toBe(50 - 5);
  });

  /** What is left of the common bucket. */
  async function takeAll(limiter: RedisLimiter): Promise<number> {
    let count = 0;
    while (count < 100 && isAllowed(await limiter.take({ actor: `last-${count}` }))) count++;
    return count;
  }
});

/** Many more than there are tokens for, of few actors; some ask twice with one id. */
function wishesOf(costs: readonly number[], isKnown: boolean): Wish[] {
  return Array.from({ length: 90 }, (_, i) => {
    const cost = costs[(i * 7) % costs.length]!;
    const request = { actor: ['ann', 'bob', 'cid', `other-${i}`][(i * 13) % 4]!, cost };
    if (!isKnown || i % 4 === 3) return { request };
    return { request, id: `id-${i}` };
  }).flatMap((wish, i) => (i % 9 === 0 && isKnown ? [wish, wish] : [wish]));
}

function plain({
  by,
  allowed,
  remaining,
  limit,
  retryAfterMs,
  resetMs,
  ...rest
}: RedisTaken | Awaited<ReturnType<RedisLimiter['peek']>>) {
  const reason = 'reason' in rest ? rest.reason : undefined;
  return { by, allowed, remaining, limit, retryAfterMs, resetMs, reason };
}
