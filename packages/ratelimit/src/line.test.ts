import { expect, test } from 'vitest';
import type { Limit } from './limit.js';
import { Limiter } from './limiter.js';
import { ManualClock } from './manual-clock.js';

const count = 5_000;

/** How often requests are looked at until all who wait are served; each look asks what the request costs. */
async function looksFor(
  limits: (cost: () => number) => Limit[],
  actorOf: (i: number) => string,
  timeoutMs?: number,
): Promise<{ looks: number; served: number; tookMs: number }> {
  const clock = new ManualClock();
  let looks = 0;
  const cost = (): number => {
    looks++;
    return 1;
  };
  const limiter = new Limiter({ clock, limits: limits(cost) });
  let served = 0;
  const waiting = Array.from({ length: count }, (_, i) =>
    limiter.wait({ actor: actorOf(i) }, { timeoutMs }).then(({ allowed }) => {
      if (allowed) served++;
    }),
  );
  let tookMs = 0;
  while (served < count && tookMs < 20_000) {
    clock.advance(1);
    tookMs++;
    for (let i = 0; i < 4; i++) await Promise.resolve();
  }
  await Promise.all(waiting);
  return { looks, served, tookMs };
}

const all = { name: 'all', rate: { count: 5_000, perMs: 1_000 }, burst: 10 };

test.each<[string, (cost: () => number) => Limit[], (i: number) => string, number]>([
  ['one key', (cost) => [{ ...all, cost }], () => 'a', 998],
  [
    'keys of their own, and the parent',
    (cost) => [
      { ...all, cost },
      { name: 'user', scope: ['actor'], rate: { count: 1, perMs: 100 } },
    ],
    (i) => `user ${i}`,
    998,
  ],
  [
    'a few keys, each slower than the parent',
    (cost) => [
      { ...all, cost },
      { name: 'user', scope: ['actor'], rate: { count: 500, perMs: 1_000 }, burst: 1 },
    ],
    (i) => `user ${i % 10}`,
    1_000,
  ],
  [
    'keys of their own only, all of which are used up',
    (cost) => [{ name: 'user', scope: ['actor'], rate: { count: 1, perMs: 100 }, cost }],
    (i) => `user ${i >>> 1}`,
    100,
  ],
])('those who wait for %s are each looked at a few times, not at every turn', async (_, limits, actorOf, leastMs) => {
  for (const timeoutMs of [undefined, 60_000]) {
    const { looks, served, tookMs } = await looksFor(limits, actorOf, timeoutMs);
    expect(served).toBe(count);
    expect(tookMs).toBeLessThanOrEqual(leastMs + 4);
    expect(tookMs).toBeGreaterThanOrEqual(leastMs - 4);
    expect(looks).toBeLessThan(count * 8);
  }
});

test('permits of many keys: each release looks at those who wait for that key only', async () => {
  let looks = 0;
  const clock = new ManualClock();
  const cost = (): number => {
    looks++;
    return 1;
  };
  const limiter = new Limiter({
    clock,
    limits: [{ name: 'flight', kind: 'concurrency', scope: ['actor'], max: 1, cost }],
  });
  const first = Array.from({ length: 2_000 }, (_, i) => limiter.take({ actor: `user ${i}` }));
  const second = first.map((_, i) => limiter.wait({ actor: `user ${i}` }));
  await Promise.resolve();
  looks = 0;
  for (const [i, grant] of first.entries()) {
    if (grant.allowed) grant.release();
    expect((await second[i]!).allowed).toBe(true);
  }
  expect(looks).toBeLessThan(2_000 * 3);
});

test('who has waited for an own key has its place in the parent by arrival, and nobody takes from that meanwhile', async () => {
  const clock = new ManualClock();
  const limiter = new Limiter({
    clock,
    limits: [
      { name: 'all', rate: { count: 10, perMs: 1_000 }, burst: 10 },
      { name: 'user', scope: ['actor'], rate: { count: 1, perMs: 1_000 }, burst: 1 },
    ],
  });
  limiter.take({ actor: 'a' });
  limiter.take({ actor: 'z', cost: 1 });
  const order: string[] = [];
  const wait = (actor: string): void => {
    void limiter.wait({ actor }).then(() => order.push(`${actor} ${clock.now()}`));
  };
  // Held up by its own key until 1,000 ms; it holds nothing of the parent.
  wait('a');
  await Promise.resolve();
  for (let i = 0; i < 8; i++) expect(limiter.take({ actor: `b${i}` }).allowed).toBe(true);
  for (let ms = 0; ms < 9; ms++) {
    clock.advance(100);
    expect(limiter.take({ actor: `c${ms}` }).allowed).toBe(true);
  }
  // The parent is empty now, and these come after it.
  wait('d');
  wait('e');
  await Promise.resolve();
  expect(limiter.take({ actor: 'f' })).toMatchObject({
    allowed: false,
    reason: 'queue',
    by: 'all',
  });
  for (let i = 0; i < 6; i++) {
    clock.advance(100);
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  }
  // At 1,000 ms its own key is free and something comes in to the parent: it came before the others.
  expect(order).toEqual(['a 1000', 'd 1100', 'e 1200']);
});
