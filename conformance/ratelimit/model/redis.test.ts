import type { Limit } from '@gatebook/ratelimit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds } from '../clients.js';
import { redisIsMissing } from '../redis-binary.js';
import { RedisServer } from '../redis-server.js';
import { compare, seeds, wall } from './compare.js';
import { RedisSubject } from './redis-subject.js';
import { spacedStepsOf } from './steps.js';
import { type NamedPlan, oddMs, passing, plansOf } from './world.js';

/**
 * Without permits, which lapse unless time passes slowly, and without rates of 0: a bucket that takes for ever to fill starts empty in a
 * store that may have lost it.
 */
const plans = plansOf(oddMs).map((all) =>
  all.map(
    (plan): NamedPlan => ({
      ...plan,
      kind: plan.kind === 'concurrency' ? 'rate' : plan.kind,
      count: plan.count === 0 ? 1 : plan.count,
    }),
  ),
);

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';

describe.skipIf(redisIsMissing())('over Redis it decides and tells what exact numbers do', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start({ wallClock: true });
  });
  afterAll(async () => {
    await server.stop();
  });

  describe.each(clientKinds)('by %s', (kind) => {
    test('gives nothing back of what others took after all of it had come back', async () => {
      const limit: Limit = { name: 'all', rate: { count: 10, perMs: 10_000 } };
      const subject = await RedisSubject.open(server, kind, [limit], wall);
      const [first, second] = [await subject.take({ cost: 5 }), await subject.take({ cost: 5 })];
      await subject.advance(1);
      await first.held?.refund();
      await subject.advance(5_000);
      await subject.take({ cost: 5 });
      await second.held?.refund();
      expect((await subject.peek({})).remaining).toBe(5);
      await subject.close();
    });

    test.each<Limit>([
      { name: 'all', rate: { count: 10, perMs: 60_000 } },
      { name: 'all', kind: 'quota', max: 10, period: { calendar: 'hour' } },
      { name: 'all', kind: 'quota', max: 10, period: { rollingMs: 60_000 } },
    ])('gives nothing back over a reset: $kind', async (limit) => {
      const subject = await RedisSubject.open(server, kind, [limit], wall);
      const first = await subject.take({ cost: 5 });
      await subject.advance(1);
      await subject.reset('all', {});
      await subject.advance(1);
      await subject.take({ cost: 5 });
      await first.held?.refund();
      expect((await subject.peek({})).remaining).toBe(5);
      await subject.close();
    });

    test.each(seeds)('at any rates, seed %i', async (seed) => {
      await compare({
        open: (limits: readonly Limit[]) => RedisSubject.open(server, kind, limits, wall),
        at: { now: wall, wall },
        plans,
        steps: spacedStepsOf(passing),
        waitingMost: 0,
        seed,
        numRuns: full ? 1_000 : 10,
      });
    });
  });
});
