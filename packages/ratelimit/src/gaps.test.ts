import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Grant } from './decision.js';
import { gapsOfKeyMost } from './gaps.js';
import { Limiter } from './limiter.js';
import { ManualClock } from './manual-clock.js';

function open(burst: number): { limiter: Limiter; clock: ManualClock } {
  const clock = new ManualClock();
  const limits = [{ name: 'all', rate: { count: 1, perMs: 1_000 }, burst, maxKeys: 2 }];
  return { limiter: new Limiter({ limits, clock }), clock };
}

function takeAll(limiter: Limiter, count: number): Grant[] {
  return Array.from({ length: count }, () => {
    const grant = limiter.take({});
    if (!grant.allowed) throw new Error('refused');
    return grant;
  });
}

test('in whatever order all is given back, all is there again', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...Array(60).keys()], { minLength: 60 }), (order) => {
      const { limiter } = open(60);
      const grants = takeAll(limiter, 60);
      for (const [done, which] of order.entries()) {
        grants[which]?.refund();
        expect(limiter.peek({}).remaining).toBe(done + 1);
      }
    }),
    { numRuns: 50 },
  );
});

test('more than are kept are given back in part, and never make room for more than is allowed', () => {
  const count = 3 * gapsOfKeyMost;
  const { limiter, clock } = open(count);
  const grants = takeAll(limiter, count);
  // Every second, from the first on, so that each leaves a gap.
  for (let which = 0; which < count; which += 2) grants[which]?.refund();
  const { remaining } = limiter.peek({});
  expect(remaining).toBeGreaterThan(gapsOfKeyMost);
  expect(remaining).toBeLessThanOrEqual(count / 2);
  const others = takeAll(limiter, remaining);
  clock.advance(10_000);
  for (let which = 1; which < count; which += 2) grants[which]?.refund();
  expect(limiter.peek({}).remaining).toBeLessThanOrEqual(count - others.length);
});
