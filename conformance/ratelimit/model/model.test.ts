import type { Limit } from '@gatebook/ratelimit';
import type fc from 'fast-check';
import { describe, test } from 'vitest';
import type { Step } from './commands.js';
import { compare, seeds, wall } from './compare.js';
import { MemorySubject } from './memory-subject.js';
import { change, crowdedSteps, localSteps, stepsOf, waitingOf } from './steps.js';
import type { LocalSubject } from './subject.js';
import { Served } from './waits.js';
import {
  crowdedPlansOf,
  evenMs,
  nestedPlansOf,
  oddMs,
  passing,
  plansOf,
  shortPassing,
} from './world.js';

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const waitingMost = 4;
/** Ten thousand runs take minutes. */
const timeout = full ? 3_600_000 : 180_000;

describe.each(seeds)('in memory it decides and tells what exact numbers do, seed %i', (seed) => {
  const common = {
    open: async (limits: readonly Limit[]) => new MemorySubject(limits, wall, waitingMost),
    at: { now: 0, wall },
    where: 'memory' as const,
    waitingMost,
    seed,
    numRuns: full ? 10_000 : 150,
  };

  test('at any rates', { timeout }, async () => {
    await compare({ ...common, plans: plansOf(oddMs), steps: stepsOf(passing) });
  });

  test('while others wait', { timeout }, async () => {
    const steps = [
      ...stepsOf(passing).map((each) => each.map((step) => new Served(step))),
      ...waitingOf(passing),
    ];
    await compare({ ...common, plans: nestedPlansOf(oddMs), steps });
  });

  test('where all are in each other’s way', { timeout }, async () => {
    await compare({ ...common, plans: crowdedPlansOf([1, 2, 3, 4]), steps: crowdedSteps });
  });

  test('while limits change, and across restarts', { timeout }, async () => {
    const steps: fc.Arbitrary<Step<LocalSubject>>[] = [
      ...stepsOf(shortPassing),
      change,
      ...localSteps,
    ];
    await compare({ ...common, plans: plansOf(evenMs), steps });
  });
});
