import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Limiter } from './limiter.js';
import { ManualClock } from './manual-clock.js';

const all = { count: 10, perMs: 1_000, burst: 5 };
const each = { count: 3, perMs: 1_000, burst: 4 };

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom('wait' as const, 'wait' as const, 'take' as const),
    actor: fc.constantFrom('a', 'b', 'c'),
    cost: fc.integer({ min: 0, max: 6 }),
    timeoutMs: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 700 }) }),
  fc.record({ kind: fc.constant('abort' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('refund' as const), which: fc.nat(20) }),
);

interface Granted {
  readonly actor: string;
  readonly cost: number;
  readonly atMs: number;
  readonly arrival: number;
  readonly waited: boolean;
  readonly refund: () => void;
  refunded: boolean;
}

/** What was granted in any stretch of time is no more than lay ready at its beginning and came in during it. */
function expectNeverMore(granted: readonly Granted[], limit: typeof all): void {
  for (let from = 0; from < granted.length; from++) {
    let sum = 0;
    for (let to = from; to < granted.length; to++) {
      sum += granted[to]!.refunded ? 0 : granted[to]!.cost;
      const ms = granted[to]!.atMs - granted[from]!.atMs;
      expect(sum * limit.perMs).toBeLessThanOrEqual(limit.burst * limit.perMs + ms * limit.count);
    }
  }
}

test('whoever waits, takes, gives up and gives back: never more than allowed, in order, and nothing is lost', async () => {
  let served = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      async (steps) => {
        const clock = new ManualClock();
        const limiter = new Limiter({
          clock,
          limits: [
            { name: 'all', rate: all, burst: all.burst },
            { name: 'each', scope: ['actor'], rate: each, burst: each.burst },
          ],
        });
        const granted: Granted[] = [];
        const aborts: AbortController[] = [];
        const ended: Promise<void>[] = [];
        let open = 0;
        let arrivals = 0;
        const note = (
          { actor, cost }: { actor: string; cost: number },
          arrival: number,
          waited: boolean,
          refund: () => void,
        ): void => {
          granted.push({
            actor,
            cost,
            arrival,
            waited,
            atMs: clock.now(),
            refund,
            refunded: false,
          });
        };
        for (const one of steps) {
          if (one.kind === 'pass') {
            for (let ms = 0; ms < one.ms; ms++) {
              clock.advance(1);
              await Promise.resolve();
              await Promise.resolve();
            }
          } else if (one.kind === 'abort') aborts[one.which]?.abort();
          else if (one.kind === 'refund') {
            const grant = granted[one.which];
            if (grant === undefined || grant.refunded) continue;
            grant.refund();
            grant.refund();
            grant.refunded = true;
          } else if (one.kind === 'take') {
            const decision = limiter.take(one);
            if (decision.allowed) note(one, arrivals++, false, () => decision.refund());
          } else {
            const abort = new AbortController();
            aborts.push(abort);
            const arrival = arrivals++;
            open++;
            const { signal } = abort;
            const waiting = limiter.wait(one, { signal, timeoutMs: one.timeoutMs });
            ended.push(
              waiting.then(
                (decision) => {
                  open--;
                  if (decision.allowed) note(one, arrival, true, () => decision.refund());
                },
                () => {
                  open--;
                },
              ),
            );
          }
          for (let i = 0; i < 6; i++) await Promise.resolve();
        }
        for (const abort of aborts) abort.abort();
        await Promise.all(ended);
        expect(open).toBe(0);
        // Refunds make room for more; without them the bound must hold as it stands.
        if (!granted.some(({ refunded }) => refunded)) {
          expectNeverMore(granted, all);
          for (const actor of ['a', 'b', 'c'])
            expectNeverMore(
              granted.filter((one) => one.actor === actor),
              each,
            );
        }
        for (const actor of ['a', 'b', 'c']) {
          const order = granted.filter((one) => one.actor === actor && one.cost > 0);
          const arrived = order.filter(({ waited }) => waited).map(({ arrival }) => arrival);
          expect(arrived).toEqual([...arrived].sort((x, y) => x - y));
        }
        served += granted.filter(({ waited }) => waited).length;
        clock.advance(10_000);
        expect(limiter.peek({ actor: 'a' })).toMatchObject({ remaining: each.burst });
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
  console.log(`waiting: ${served} served`);
  expect(served).toBeGreaterThan(500);
});

test('five thousand who wait at five thousand a second are served in a second, by one timer', async () => {
  const limiter = new Limiter({
    limits: [{ name: 'all', rate: { count: 5_000, perMs: 1_000 }, burst: 50 }],
  });
  const since = performance.now();
  const decisions = await Promise.all(Array.from({ length: 5_000 }, () => limiter.wait({})));
  expect(decisions.every(({ allowed }) => allowed)).toBe(true);
  expect(performance.now() - since).toBeGreaterThan(980);
});
