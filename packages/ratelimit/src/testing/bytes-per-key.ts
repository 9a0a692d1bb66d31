import { Limiter } from '../limiter.js';
import { ManualClock } from '../manual-clock.js';

/**
 * Run as a program with `--expose-gc`: fills a limiter with keys of 12 characters and prints, for each size that it is given, what
 * each key takes of the heap and of buffers, and how long the slowest single key took.
 */
const sizes = process.argv.slice(2).map(Number);

function used(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const limiter = new Limiter({
  clock: new ManualClock(),
  limits: [
    { name: 'user', scope: ['actor'], rate: { count: 1, perMs: 60_000 }, maxKeys: 10_000_000 },
  ],
});
const before = used();
let made = 0;
for (const size of sizes) {
  let slowestMs = 0;
  for (; made < size; made++) {
    const since = performance.now();
    limiter.take({ actor: `user${String(made).padStart(8, '0')}` });
    slowestMs = Math.max(slowestMs, performance.now() - since);
  }
  const bytesPerKey = (used() - before) / limiter.counters()[0]!.keys;
  console.log(JSON.stringify({ size, bytesPerKey, slowestMs }));
}
