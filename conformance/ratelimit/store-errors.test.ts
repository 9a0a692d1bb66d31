import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisLimit, RedisLimiter } from '@gatebook/ratelimit/redis';
import { describe, expect, type TestContext, test } from 'vitest';
import { clientKinds, openClient } from './clients.js';
import { findExcess, type GrantRecord } from './grants.js';
import { redisIsMissing } from './redis-binary.js';
import { eventually, RedisServer, type RedisServerOptions } from './redis-server.js';
import { freshPrefix, makeOld, patientMs } from './redis-subject.js';

type Finish = TestContext['onTestFinished'];

const dayMs = 86_400_000;
const limit = { name: 'all', rate: { count: 20, perMs: dayMs } } satisfies RedisLimit;

/** How a server that runs can refuse to write, and how it is made to go on. */
const refusals: readonly {
  readonly name: string;
  readonly begin: (server: RedisServer) => Promise<unknown>;
  readonly end: (server: RedisServer) => Promise<unknown>;
}[] = [
  {
    name: 'has no memory left',
    begin: (server) => server.command('config', 'set', 'maxmemory', 1),
    end: (server) => server.command('config', 'set', 'maxmemory', 0),
  },
  {
    name: 'is a replica that may not be written',
    begin: (server) => server.command('replicaof', '127.0.0.1', 1),
    end: (server) => server.promote(),
  },
  {
    name: 'wants enough replicas',
    begin: (server) => server.command('config', 'set', 'min-replicas-to-write', 1),
    end: (server) => server.command('config', 'set', 'min-replicas-to-write', 0),
  },
];

describe.skipIf(redisIsMissing()).concurrent.each(clientKinds)(
  'a server, over %s, that',
  (kind) => {
    async function open(
      finish: Finish,
      options?: RedisServerOptions,
    ): Promise<{ server: RedisServer; limiter: RedisLimiter }> {
      const server = await RedisServer.start(options);
      finish(() => server.stop());
      const { client, close } = await openClient(kind, server);
      finish(close);
      const limiter = new RedisLimiter({
        ...{ limits: [limit], client },
        ...{ prefix: freshPrefix(), timeoutMs: patientMs },
      });
      finish(() => limiter.close());
      await makeOld(limiter);
      return { server, limiter };
    }

    test.for(refusals)('$name is a store that failed, and costs nothing', async (way, {
      onTestFinished,
    }) => {
      const { server, limiter } = await open(onTestFinished);
      expect((await limiter.take({})).allowed).toBe(true);
      await way.begin(server);
      for (let call = 0; call < 10; call++)
        expect(await limiter.take({})).toMatchObject({ allowed: false, reason: 'store' });
      await way.end(server);
      // What the ten would have taken is all there, once it is known that none of them did.
      let granted = 1;
      await eventually(
        async () => {
          if ((await limiter.take({})).allowed) granted++;
          return granted === 20;
        },
        () => `only ${granted} of 20 were granted`,
      );
      await sleep(1_500);
      expect((await limiter.take({})).allowed).toBe(false);
    });

    test('keeps what it had when it is killed goes on where it was', async ({ onTestFinished }) => {
      const { server, limiter } = await open(onTestFinished, { persistence: true });
      const grants: GrantRecord[] = [];
      const take = async (): Promise<boolean> => {
        const sentMs = performance.now();
        const { allowed } = await limiter.take({});
        if (allowed) grants.push({ sentMs, receivedMs: performance.now(), cost: 1 });
        return allowed;
      };
      for (let call = 0; call < 8; call++) expect(await take()).toBe(true);
      await server.kill();
      await server.restart();
      await eventually(
        async () => {
          await take();
          return grants.length === 20;
        },
        () => `only ${grants.length} of 20 were granted`,
      );
      await sleep(1_500);
      expect(await take()).toBe(false);
      expect(findExcess(grants, { burst: 20, perMs: 20 / dayMs })).toBe(undefined);
    });
  },
);
