import { createHash } from 'node:crypto';
import { LeasedLimiter, RedisLimiter } from '@gatebook/ratelimit/redis';
import { Redis } from 'ioredis';
import { RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible';
import { createClient } from 'redis';
import type { HandLimit } from './hand-gcra.js';
import { type AsyncTaker, type Levels, limitsOf } from './ratelimit-contenders.js';
import { names } from './ratelimit-names.js';

export type NodeRedis = Awaited<ReturnType<typeof openNodeRedis>>;

export async function openNodeRedis(socket: string) {
  return await createClient({ socket: { path: socket, tls: false } }).connect();
}

export function openIoredis(socket: string): Redis {
  return new Redis(socket);
}

/**
 * The smallest script that takes from three token buckets, all or none, by the server's time: one number a bucket, in µs, and nothing
 * else. No ids, no care for clocks that are set, for a store that lost its data, or for limits that change.
 */
const gcra = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local v = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])
local n = {}
for i = 1, 3 do
  local at = math.max(now, (v[i] or 0) + 0) + ARGV[2 * i - 1]
  if at - now > ARGV[2 * i] + 0 then return -1 end
  n[i] = at
end
for i = 1, 3 do
  redis.call('SET', KEYS[i], string.format('%.0f', n[i]), 'PX', math.ceil((n[i] - now) / 1000))
end
return 1
`;
const gcraSha = createHash('sha1').update(gcra).digest('hex');

export const kinds = ['ioredis', 'node-redis'] as const;
export type Kind = (typeof kinds)[number];

export const nameOf = (who: string, kind: Kind): string => `${who}, ${kind}`;
export const gcraName = 'smallest GCRA script';
export const unionName = `${names.flexible} Union, not all or nothing`;

export interface Clients {
  readonly ioredis: Redis;
  readonly nodeRedis: NodeRedis;
}

/** With an id of its own for each call, which it makes itself. */
export async function ownOver(
  { ioredis, nodeRedis }: Clients,
  kind: Kind,
  levels: Levels,
  prefix: string,
): Promise<AsyncTaker & { close(): void }> {
  const client = kind === 'ioredis' ? ioredis : nodeRedis;
  const limiter = new RedisLimiter({
    client,
    limits: limitsOf(levels),
    prefix: `${prefix}-${kind}`,
    timeoutMs: 10_000,
  });
  await limiter.declareUnused();
  return {
    name: nameOf(names.own, kind),
    take: async (call) => (await limiter.take(call)).allowed,
    close: () => limiter.close(),
  };
}

export async function gcraOver(
  { ioredis, nodeRedis }: Clients,
  kind: Kind,
  levels: Levels,
  prefix: string,
): Promise<AsyncTaker> {
  await ioredis.script('LOAD', gcra);
  const values = levels.flatMap(({ count, perMs }) =>
    [(perMs * 1_000) / count, perMs * 1_000].map(String),
  );
  const head = `${prefix}-${kind}`;
  const keysOf = (actor: string, tool: string): string[] => [
    `${head}:all`,
    `${head}:user:${actor}`,
    `${head}:pair:${actor}:${tool}`,
  ];
  return {
    name: nameOf(gcraName, kind),
    take:
      kind === 'ioredis'
        ? async ({ actor, tool }) =>
            (await ioredis.evalsha(gcraSha, 3, ...keysOf(actor, tool), ...values)) === 1
        : async ({ actor, tool }) =>
            (await nodeRedis.evalSha(gcraSha, { keys: keysOf(actor, tool), arguments: values })) ===
            1,
  };
}

export function unionOver(
  { ioredis, nodeRedis }: Clients,
  kind: Kind,
  levels: Levels,
  prefix: string,
): AsyncTaker {
  const [all, user, pair] = levels.map(
    ({ name, count, perMs }) =>
      new RateLimiterRedis({
        storeClient: kind === 'ioredis' ? ioredis : nodeRedis,
        useRedisPackage: kind === 'node-redis',
        keyPrefix: `${prefix}-${kind}-${name}`,
        points: count,
        duration: perMs / 1_000,
      }),
  );
  const union = new RateLimiterUnion(all!, user!, pair!);
  return {
    name: nameOf(unionName, kind),
    take: ({ actor, tool }) =>
      union.consume(`${actor}|${tool}`).then(
        () => true,
        () => false,
      ),
  };
}

export const leasedName = `${names.own}, the common bucket leased`;

/** One bucket for all, of which the process has leased a slice that lasts for a while. */
export async function leasedOver(
  { ioredis }: Clients,
  all: HandLimit,
  prefix: string,
): Promise<{ readonly limiter: LeasedLimiter }> {
  const limiter = new LeasedLimiter({
    client: ioredis,
    prefix: `${prefix}-leased`,
    limits: [{ name: all.name, rate: { count: all.count, perMs: all.perMs } }],
    leases: { [all.name]: { overshoot: all.count / 10, slice: all.count / 20 } },
    timeoutMs: 10_000,
  });
  await limiter.reset(all.name, {});
  return { limiter };
}
