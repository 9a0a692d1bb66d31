import type { Limit } from '@gatebook/ratelimit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientKinds } from '../clients.js';
import { redisIsMissing } from '../redis-binary.js';
import { RedisServer } from '../redis-server.js';
import { compare, seeds, wall } from './compare.js';
import { RedisSubject } from './redis-subject.js';
import { bookedSteps, change, crowdedStoreSteps, spaced, stepsOf, storedSteps } from './steps.js';
import type { StoredSubject } from './subject.js';
import {
  aroundLapses,
  crowdedAndFewOf,
  crowdedPlansOf,
  evenMs,
  lapsesMs,
  type NamedPlan,
  oddMs,
  passing,
  permitPlansOf,
  plansOf,
} from './world.js';

/** Permits are renewed every few seconds, so those that have some let no months pass. */
const withoutPermits = plansOf(oddMs).map((all) =>
  all.map(
    (plan): NamedPlan => ({ ...plan, kind: plan.kind === 'concurrency' ? 'rate' : plan.kind }),
  ),
);

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
/** They move one server's clock, so none may go on when the next begins. */
const patience = { timeout: full ? 1_800_000 : 600_000 };

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

    test('gives nothing back that came in at a rate that was set since', async () => {
      const limit = { name: 'all', rate: { count: 1, perMs: 60_000 }, burst: 10 } satisfies Limit;
      const subject = await RedisSubject.open(server, kind, [limit], wall);
      const first = await subject.take({ cost: 5 });
      await subject.setLimits([{ ...limit, rate: { count: 10, perMs: 1_000 } }]);
      await subject.advance(500);
      await subject.take({ cost: 5 });
      await subject.setLimits([limit]);
      await first.held?.refund();
      expect((await subject.peek({})).remaining).toBe(5);
      await subject.close();
    });

    test('corrects what was taken before the units of its bucket were changed', async () => {
      const limit = { name: 'all', rate: { count: 1, perMs: 1_000 }, burst: 10 } satisfies Limit;
      const subject = await RedisSubject.open(server, kind, [limit], wall);
      const [first, second] = [await subject.reserve({}, 4), await subject.reserve({}, 4)];
      await first.held?.release();
      await subject.setLimits([{ ...limit, rate: { count: 1, perMs: 3_600_000 } }]);
      expect(await second.held?.settle(20)).toBe(0);
      expect((await subject.peek({})).retryAfterMs).toBe(11 * 3_600_000);
      await subject.close();
    });

    test('tells of a rate of 0 the same again, and of a block at once', async () => {
      const limits: Limit[] = [
        { name: 'once', rate: { count: 0, perMs: 1_000 }, burst: 1 },
        { name: 'all', rate: { count: 1, perMs: 1_000 } },
      ];
      const subject = await RedisSubject.open(server, kind, limits, wall);
      await subject.take({});
      await subject.advance(1_000);
      const never = { by: 'once', retryAfterMs: Infinity, resetMs: Infinity };
      expect((await subject.take({})).decision).toMatchObject(never);
      expect((await subject.take({})).decision).toMatchObject(never);
      await subject.setLimits(limits.slice(1));
      await subject.take({});
      expect((await subject.take({})).decision).toMatchObject({ retryAfterMs: 1_000 });
      await subject.block('all', {}, 60_000);
      expect((await subject.take({})).decision).toMatchObject({ reason: 'blocked' });
      await subject.close();
    });

    test('counts what a limit in the shadow would refuse of what is refused anyway', async () => {
      const limits: Limit[] = [
        { name: 'all', rate: { count: 1, perMs: 60_000 } },
        {
          ...{ name: 'new', rate: { count: 0, perMs: 1_000 }, burst: 0, shadow: true },
          match: ({ tool }) => tool === 'x',
        },
      ];
      const subject = await RedisSubject.open(server, kind, limits, wall);
      const requests = [{}, { tool: 'x' }, {}, { tool: 'x' }];
      for (const request of requests) await subject.take(request);
      expect(subject.counters().map(({ shadowRefused }) => shadowRefused)).toEqual([0, 2]);
      await subject.close();
    });

    test('lets a permit lapse 30 s after its process died, though others have some of the key', async () => {
      const limits: Limit[] = [{ name: 'few', kind: 'concurrency', max: 2 }];
      const subject = await RedisSubject.open(server, kind, limits, wall);
      await subject.take({});
      await subject.die(limits);
      await subject.advance(15_000);
      await subject.take({});
      await subject.advance(14_999);
      expect((await subject.take({})).decision.allowed).toBe(false);
      await subject.advance(1);
      expect((await subject.take({})).decision.allowed).toBe(true);
      await subject.advance(60_000);
      expect((await subject.take({})).decision.allowed).toBe(false);
      await subject.close();
    });

    test('renews what is left of a request’s permits when one has lapsed', async () => {
      const limits: Limit[] = [
        { name: 'both', kind: 'concurrency', max: 5 },
        { name: 'own', kind: 'concurrency', scope: ['actor'], max: 5 },
      ];
      const subject = await RedisSubject.open(server, kind, limits, wall);
      await subject.take({ actor: 'ann' });
      await subject.advance(5_000);
      await subject.take({ actor: 'bob' });
      // Only the key of both is still there then, since it was used later.
      await subject.stall(26_000);
      await subject.advance(40_000);
      expect(await subject.peek({ actor: 'eve' })).toMatchObject({ by: 'both', remaining: 3 });
      await subject.close();
    });

    describe.each(seeds)('seed %i', patience, (seed) => {
      const common = {
        open: (limits: readonly Limit[]) => RedisSubject.open(server, kind, limits, wall),
        at: { now: wall, wall },
        where: 'store' as const,
        waitingMost: 0,
        seed,
        numRuns: full ? 100 : 5,
      };

      const waiting = {
        ...common,
        waitingMost: 4,
        open: (limits: readonly Limit[]) => RedisSubject.open(server, kind, limits, wall, 4),
      };

      test('at any rates', async () => {
        await compare({ ...common, plans: withoutPermits, steps: spaced(stepsOf(passing)) });
      });

      test('with permits, of which some are not renewed in time', async () => {
        const steps = spaced<StoredSubject>([...stepsOf(aroundLapses, lapsesMs), ...storedSteps]);
        await compare({ ...common, plans: permitPlansOf(oddMs), steps });
      });

      test('while others wait for what all share', async () => {
        const plans = crowdedPlansOf([1, 2, 4]).map((all) => all.slice(0, 1));
        await compare({ ...waiting, plans, steps: spaced(bookedSteps) });
      });

      test('while others wait for keys of their own, and for permits', async () => {
        const plans = crowdedAndFewOf([1, 2, 4]);
        await compare({ ...waiting, plans, steps: spaced(crowdedStoreSteps) });
      });

      test('while limits change', async () => {
        const steps = spaced<StoredSubject>([
          ...stepsOf(aroundLapses, lapsesMs),
          ...storedSteps,
          change,
          change,
        ]);
        await compare({ ...common, plans: plansOf(evenMs), steps });
      });
    });
  });
});
