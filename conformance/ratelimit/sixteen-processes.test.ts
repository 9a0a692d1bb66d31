import { setTimeout as sleep } from 'node:timers/promises';
import { RedisLimiter } from '@gatebook/ratelimit/redis';
import { afterEach, describe, expect, test } from 'vitest';
import { openClient } from './clients.js';
import {
  type Bucket,
  type Excess,
  findExcess,
  findExcessSince,
  type Life,
  shareOfRate,
} from './grants.js';
import { redisIsMissing } from './redis-binary.js';
import { RedisServer } from './redis-server.js';
import { makeOld } from './redis-subject.js';
import {
  actorLimit,
  globalLimit,
  overshoot,
  type StoreKind,
  type Taken,
  Takers,
  takerLimits,
} from './takers.js';

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const processes = full ? 16 : 4;
const lives = full ? 8 : 2;
const lifeMs = full ? 60_000 / lives : 1_800;
/** Short beside the time in which an empty bucket would be full again, so that a fresh burst is none that was due. */
const downMs = 100;

function bucketOf({ rate, burst }: { rate: { count: number; perMs: number }; burst: number }) {
  return { burst, perMs: rate.count / rate.perMs } satisfies Bucket;
}

const globalBucket = bucketOf(globalLimit);
const actorBucket = bucketOf(actorLimit);

interface Run {
  readonly taken: readonly Taken[];
  readonly lives: readonly Life[];
  readonly refused: number;
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

describe.skipIf(redisIsMissing())('many processes and one Redis that is killed', () => {
  const closing: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  /** The server lives several times and loses all it had each time; in every life its scripts are flushed and a client is frozen. */
  async function play(store: StoreKind, by: 'take' | 'wait' = 'take'): Promise<Run> {
    const server = await RedisServer.start();
    closing.push(() => server.stop());
    if (store === 'gatebook') await startFull(server);
    const takers = await Takers.start(processes, {
      store,
      by,
      host: server.host,
      port: server.port,
    });
    closing.push(() => takers.kill());
    const lived: Life[] = [];
    let fromMs = now();
    for (let life = 0; life < lives; life++) {
      const frozen = life % processes;
      await sleep(lifeMs / 4);
      await server.command('script', 'flush');
      takers.freeze(frozen);
      await sleep(lifeMs / 2);
      takers.resume(frozen);
      await server.command('script', 'flush');
      await sleep(lifeMs / 4);
      lived.push({ fromMs, toMs: now() });
      await server.kill();
      await sleep(downMs);
      fromMs = now();
      if (life < lives - 1) await server.restart();
    }
    const reports = await takers.stop();
    return {
      taken: reports.flatMap(({ taken }) => taken),
      lives: lived,
      refused: reports.reduce((sum, { refused }) => sum + refused, 0),
    };
  }

  /** So that the first life has a burst to give, and the check nothing to spare for the others. */
  async function startFull(server: RedisServer): Promise<void> {
    const { client, close } = await openClient('ioredis', server);
    const limiter = new RedisLimiter({ limits: takerLimits, client });
    await makeOld(limiter);
    limiter.close();
    close();
  }

  /** What each bucket granted too much of, in any window or since its server came back with nothing; what was leased may come on top. */
  function excesses(
    { taken, lives }: Run,
    leased = 0,
  ): { anywhere: Excess[]; afterRestarts: Excess[] } {
    const actors = [...new Set(taken.map(({ actor }) => actor))];
    const buckets = [
      { grants: taken, bucket: globalBucket, spare: leased },
      ...actors.map((one) => ({
        grants: taken.filter(({ actor }) => actor === one),
        bucket: actorBucket,
        spare: 0,
      })),
    ];
    const isExcess = (excess: Excess | undefined): excess is Excess => excess !== undefined;
    return {
      anywhere: buckets
        .map(({ grants, bucket, spare }) =>
          findExcess(grants, { ...bucket, burst: bucket.burst + spare }),
        )
        .filter(isExcess),
      afterRestarts: lives.slice(1).flatMap(({ fromMs }) =>
        buckets
          .map(({ grants, bucket, spare }) => {
            const excess = findExcessSince(grants, bucket, fromMs);
            return excess !== undefined && excess.granted - excess.allowed > spare
              ? excess
              : undefined;
          })
          .filter(isExcess),
      ),
    };
  }

  test.each([
    { store: 'gatebook', by: 'take', leased: 0 },
    { store: 'gatebook', by: 'wait', leased: 0 },
    { store: 'leased', by: 'take', leased: overshoot },
  ] as const)('get never more than allowed in any window, and almost all that was: $store, $by', async ({
    store,
    by,
    leased,
  }) => {
    const run = await play(store, by);
    expect(excesses(run, leased)).toEqual({ anywhere: [], afterRestarts: [] });
    expect(run.refused).toBeGreaterThan(0);
    expect(shareOfRate(run.taken, globalBucket, run.lives)).toBeGreaterThan(0.95);
  });

  test('the check finds the fresh burst of a store that does not know when it was born', async () => {
    const run = await play('naive');
    expect(run.refused).toBeGreaterThan(0);
    const { anywhere, afterRestarts } = excesses(run);
    // How much it is hangs on how long the server was away, in which some of a burst comes back by right.
    expect(anywhere).not.toEqual([]);
    // In every life but the first, of which nobody says that it began with nothing.
    expect(new Set(afterRestarts.map(({ fromMs }) => fromMs)).size).toBe(lives - 1);
  });
});
