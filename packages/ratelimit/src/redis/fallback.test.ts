import { expect, test } from 'vitest';
import { RedisLimiter } from './redis-limiter.js';
import type { RedisLimit } from './term.js';

const away = () => Promise.reject(new Error('away'));

test('what a process counted by itself still counts when limits change while the store is away', async () => {
  const daily = (count: number): RedisLimit[] => [
    { name: 'all', rate: { count, perMs: 86_400_000 }, onStoreFailure: 'local' },
  ];
  const limiter = new RedisLimiter({ limits: daily(3), client: { evalsha: away, eval: away } });
  const burstOf = async (): Promise<number> => {
    let granted = 0;
    while (granted < 10 && (await limiter.take({})).allowed) granted++;
    return granted;
  };
  expect(await burstOf()).toBe(3);
  limiter.setLimits(daily(3));
  expect(await burstOf()).toBe(0);
  limiter.setLimits(daily(5));
  expect(await burstOf()).toBe(2);
  limiter.close();
});
