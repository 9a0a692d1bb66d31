import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Keeper, KeyBytes } from './child-tasks.js';
import { fastifySingle, flexibleSingle, limiterSingle, ownSingle } from './ratelimit-contenders.js';
import { names } from './ratelimit-names.js';

/** Two in a day: none is full again, and all are let in. */
const limit = { name: 'user', count: 2, perMs: 86_400_000 };

/** Uses keys, each once, and tells at each size what one takes. */
export async function fillKeys(keeper: Keeper, sizes: readonly number[]): Promise<KeyBytes> {
  const { take } = makerOf(keeper, sizes.at(-1) ?? 1);
  const before = usedBytes();
  const bytesPerKey: number[] = [];
  let made = 0;
  for (const size of sizes) {
    for (; made < size; made++) {
      const isIn = take({ actor: `user${String(made).padStart(8, '0')}`, tool: '' });
      if (!(typeof isIn === 'boolean' ? isIn : await isIn)) throw new Error('a new key is refused');
    }
    bytesPerKey.push((usedBytes() - before) / size);
  }
  return { bytesPerKey };
}

function makerOf(keeper: Keeper, keys: number) {
  if (keeper === names.own) return ownSingle(limit);
  if (keeper === names.limiter) return limiterSingle(limit);
  return keeper === names.fastify ? fastifySingle(limit, keys) : flexibleSingle(limit);
}

let collect: (() => void) | undefined;

function usedBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose_gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
