import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bucket, type Excess, findExcess, type Life } from './grants.js';
import { redisIsMissing } from './redis-binary.js';
import { RedisServer } from './redis-server.js';
import { actorLimit, globalLimit, type StoreKind, type Taken, Takers } from './takers.js';

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const processes = full ? 16 : 4;
const lives = full ? 8 : 3;
const lifeMs = full ? 60_000 / lives : 2_000;
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
  async function play(store: StoreKind): Promise<Run> {
    const server = await RedisServer.start();
    closing.push(() => server.stop());
    const takers = await Takers.start(processes, { store, host: server.host, port: server.port });
    closing.push(() => takers.kill());
    const lived: Life[] = [];
    for (let life = 0; life < lives; life++) {
      const fromMs = now();
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
      if (life < lives - 1) await server.restart();
    }
    const reports = await takers.stop();
    return {
      taken: reports.flatMap(({ taken }) => taken),
      lives: lived,
      refused: reports.reduce((sum, { refused }) => sum + refused, 0),
    };
  }

  /** The worst window of the global bucket and of each actor's. */
  function excesses({ taken }: Run): Excess[] {
    const actors = [...new Set(taken.map(({ actor }) => actor))];
    return [
      findExcess(taken, globalBucket),
      ...actors.map((one) =>
        findExcess(
          taken.filter(({ actor }) => actor === one),
          actorBucket,
        ),
      ),
    ].filter((excess) => excess !== undefined);
  }

  test('the check finds the fresh burst of a store that does not know when it was born', async () => {
    const run = await play('naive');
    expect(run.refused).toBeGreaterThan(0);
    const [worst] = excesses(run);
    expect(worst?.granted).toBeGreaterThan(worst!.allowed + globalBucket.burst / 4);
  });
});
