import {
  LeasedLimiter,
  type RedisClient,
  type RedisLimit,
  RedisLimiter,
} from '@gatebook/ratelimit/redis';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ClientKind, clientKinds } from '../clients.js';
import { redisIsMissing } from '../redis-binary.js';
import { joinCluster, RedisServer } from '../redis-server.js';
import { patientMs } from '../redis-subject.js';

/** Three servers that share the slots, by both clients. */

const perHour = (count: number) => ({ count, perMs: 3_600_000 });
const timeoutMs = patientMs;
const all: RedisLimit = { name: 'all', rate: perHour(1_000) };
const user: RedisLimit = { name: 'user', scope: ['actor'], rate: perHour(5) };
const users = Array.from({ length: 30 }, (_, i) => ({ actor: `user-${i}` }));

describe.skipIf(redisIsMissing()).each(clientKinds)('a cluster, by %s', (kind) => {
  let nodes: RedisServer[] = [];
  let client: RedisClient;
  let disconnect: () => void;

  beforeAll(async () => {
    nodes = await Promise.all([1, 2, 3].map(() => RedisServer.start({ cluster: true })));
    await joinCluster(nodes);
    ({ client, disconnect } = await openCluster(kind, nodes));
  });
  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.command('flushall')));
    await Promise.all(nodes.map((node) => node.command('script', 'flush')));
  });
  afterAll(async () => {
    disconnect?.();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  const sizes = (): Promise<number[]> =>
    Promise.all(nodes.map(async (node) => Number(await node.command('dbsize'))));

  test('decides all limits in one slot where none is leased', async () => {
    const limiter = new RedisLimiter({ limits: [all, user], client, timeoutMs });
    await limiter.declareUnused();
    const taken = await Promise.all(users.map((one) => limiter.take(one)));
    expect(taken.every(({ allowed }) => allowed)).toBe(true);
    expect((await sizes()).filter((size) => size > 0)).toHaveLength(1);
    limiter.close();
  });

  test('spreads the level with most keys over the servers, and leases the others', async () => {
    const make = (): LeasedLimiter =>
      new LeasedLimiter({
        limits: [all, user],
        leases: { all: { overshoot: 40 } },
        client,
        timeoutMs,
      });
    const limiter = make();
    await limiter.reset('all', {});
    await Promise.all(users.map((one) => limiter.reset('user', one)));
    for (const one of users) {
      const taken = await Promise.all(Array.from({ length: 8 }, () => limiter.take(one)));
      expect(taken.filter(({ allowed }) => allowed)).toHaveLength(5);
      expect(taken.at(-1)).toMatchObject({ allowed: false, by: 'user' });
    }
    expect((await sizes()).filter((size) => size > 10)).toHaveLength(3);
    await limiter.close();
    const level = make();
    expect((await level.peek({ actor: 'nobody' })).by).toBe('user');
    expect((await level.peek({ actor: 'user-3' })).retryAfterMs).toBeGreaterThan(700_000);
    await level.close();
    const alone = new LeasedLimiter({
      limits: [all],
      leases: { all: { overshoot: 0 } },
      client,
      timeoutMs,
    });
    expect((await alone.peek({})).remaining).toBe(850);
    await alone.close();
  });

  test('finds a key in the same slot in every process', async () => {
    const make = (): LeasedLimiter =>
      new LeasedLimiter({
        limits: [all, user],
        leases: { all: { overshoot: 40 } },
        client,
        timeoutMs,
      });
    const some = [make(), make(), make()];
    await some[0]!.reset('all', {});
    await Promise.all(users.map((one) => some[1]!.reset('user', one)));
    for (const one of users) {
      let allowed = 0;
      for (let i = 0; i < 9; i++) if ((await some[i % 3]!.take(one)).allowed) allowed++;
      expect(allowed).toBe(5);
    }
    await Promise.all(some.map((limiter) => limiter.close()));
  });

  test('does not let limits move to other slots', async () => {
    const tool: RedisLimit = { name: 'tool', scope: ['tool'], rate: perHour(5) };
    const limiter = new LeasedLimiter({
      limits: [all, user],
      leases: { all: { overshoot: 40 }, tool: { overshoot: 1 } },
      client,
    });
    expect(() => limiter.setLimits([all, user, { ...tool, name: 'other' }])).toThrow(
      /"other": its scope lacks actor/,
    );
    limiter.setLimits([all, user, tool, { ...tool, name: 'other', scope: ['actor', 'tool'] }]);
    expect(limiter.counters().map(({ limit }) => limit)).toEqual(['all', 'tool', 'user', 'other']);
    await limiter.close();
  });
});

async function openCluster(
  kind: ClientKind,
  nodes: readonly RedisServer[],
): Promise<{ client: RedisClient; disconnect: () => void }> {
  if (kind === 'ioredis') {
    const client = new Cluster(nodes.map(({ host, port }) => ({ host, port })));
    client.on('error', () => {});
    return { client, disconnect: () => client.disconnect() };
  }
  const client = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) });
  client.on('error', () => {});
  await client.connect();
  return { client, disconnect: () => client.destroy() };
}
