import type { Limit } from '@gatebook/ratelimit';
import { afterAll, beforeAll, describe, test } from 'vitest';
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
