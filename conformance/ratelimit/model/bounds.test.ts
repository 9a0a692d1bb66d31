import type { Limit } from '@gatebook/ratelimit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seeds, wall } from './compare.js';
import { MemorySubject } from './memory-subject.js';
import type { Held } from './subject.js';

const count = 3;
const perMs = 1_000;
const burst = 10;
const limits: readonly Limit[] = [{ name: 'budget', rate: { count, perMs }, burst }];

/** What was let in, and what it turned out to cost: its estimate as long as nobody says. */
interface Spent {
  readonly now: number;
  readonly estimate: number;
  actual: number;
  readonly held: Held;
  isOpen: boolean;
}

const cost = fc.integer({ min: 0, max: 12 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('reserve' as const), cost }),
  fc.record({
    kind: fc.constantFrom('settle' as const, 'release' as const),
    which: fc.nat(20),
    cost,
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(3_000) }),
);

test.each(
  seeds,
)('spends no more in any window than came in, but for what estimates were short of, seed %i', async (seed) => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
    async (steps) => {
      const subject = new MemorySubject(limits, wall, 0);
      const all: Spent[] = [];
      let now = 0;
      const left = async (): Promise<number> => (await subject.peek({ cost: 0 })).remaining;
      for (const one of steps) {
        if (one.kind === 'pass') {
          await subject.advance(one.ms);
          now += one.ms;
        } else if (one.kind === 'reserve') {
          const { held } = await subject.reserve({}, one.cost);
          if (held !== undefined)
            all.push({ now, estimate: one.cost, actual: one.cost, held, isOpen: true });
        } else if (all.length > 0) {
          const spent = all[one.which % all.length]!;
          const give = async (): Promise<unknown> =>
            one.kind === 'settle' ? await spent.held.settle(one.cost) : await spent.held.release();
          const before = await left();
          await give();
          const after = await left();
          if (spent.isOpen) spent.actual = one.kind === 'settle' ? one.cost : 0;
          else expect(after, 'what was done before is not done again').toBe(before);
          spent.isOpen = false;
          await give();
          expect(await left(), 'the second call does nothing').toBe(after);
        }
        expect(await left()).toBeLessThanOrEqual(burst);
      }
      expectWithinBudget(all);
      await subject.close();
    },
  );
  await fc.assert(property, {
    seed,
    numRuns: process.env['GATEBOOK_CONFORMANCE'] === 'full' ? 5_000 : 150,
  });
});

function expectWithinBudget(all: readonly Spent[]): void {
  for (const [from, first] of all.entries()) {
    let spent = 0;
    let short = 0;
    for (const { now, estimate, actual } of all.slice(from)) {
      spent += actual;
      short += Math.max(0, actual - estimate);
      const come = ((now - first.now) * count) / perMs;
      expect(spent).toBeLessThanOrEqual(burst + come + short + 1e-9);
    }
  }
}
