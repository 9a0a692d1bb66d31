import { type Answer, atMost, cellOf, type Measures, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import { type KeyBytes, keepers } from './child-tasks.js';
import { runRounds } from './rounds.js';
import { runTask } from './run-child.js';

const columnOf = (size: number): string => `bytes/key, ${size.toLocaleString('en')}`;

/** How much memory does a key take, whatever their number? */
export async function ratelimitMemory({ plan, workspace }: Bench): Promise<Answer> {
  const { keySizes } = plan.ratelimit;
  const rounds = await runRounds(
    plan,
    keepers.map((keeper) => ({
      name: keeper,
      async measure(): Promise<Measures> {
        const found = await runTask<KeyBytes>(
          { kind: 'keys', keeper, sizes: keySizes },
          workspace.signal,
        );
        return Object.fromEntries(
          keySizes.map((size, i) => [columnOf(size), found.bytesPerKey[i] ?? Number.NaN]),
        );
      },
    })),
    workspace.settle,
  );
  const worst = Math.max(...keySizes.map((size) => cellOf(rounds, keepers[0], columnOf(size)).max));
  return {
    question: 'ratelimit-memory',
    title: 'Memory of a key',
    method: [
      'A process of its own for each contender and round, with one limit a user. Keys of 12 characters, each used once. Heap and buffers after a collection, less what there was before the first key, divided by the keys. The target is for the worst size and round.',
      'limiter: a bucket for each user in a Map. @fastify/rate-limit’s store has room for all the keys; by itself it forgets all but 5,000.',
    ],
    tables: [tableOf('Heap and buffers', rounds)],
    targets: [
      atMost(
        'memory of a key of 12 characters, at every size',
        worst,
        96,
        'bytes',
        'a row of 64 bytes and two buckets of 4.',
      ),
    ],
  };
}
