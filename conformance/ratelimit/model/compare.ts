import type { Limit } from '@gatebook/ratelimit';
import fc from 'fast-check';
import type { Instant } from './account.js';
import type { Model, Real, Step } from './commands.js';
import type { Where } from './exact-limit.js';
import { ExactLimiter } from './exact-limiter.js';
import { ExactLine } from './exact-line.js';
import { StoreLine } from './store-line.js';
import type { Subject } from './subject.js';
import { limitOf, type NamedPlan } from './world.js';

/** One run is always the same, the other never; fast-check prints the seed of one that fails. */
export const seeds: readonly number[] = [20_261_129, Math.floor(Math.random() * 2 ** 31)];

/** When it begins, in ms since 1970: soon after, the clocks of Berlin are set. */
export const wall = Date.parse('2026-03-28T22:30:00Z');

export interface Comparison<S extends Subject> {
  readonly open: (limits: readonly Limit[]) => Promise<S>;
  /** What its clocks show when it is opened. */
  readonly at: Instant;
  readonly where: Where;
  readonly plans: fc.Arbitrary<NamedPlan[]>;
  readonly steps: fc.Arbitrary<Step<S>>[];
  /** How many may wait at once. */
  readonly waitingMost: number;
  readonly seed: number;
  readonly numRuns: number;
}

/** Has a limiter and the reference do the same, in all kinds of orders, and fails with the shortest in which they differ. */
export async function compare<S extends Subject>(comparison: Comparison<S>): Promise<void> {
  const { open, at, where, plans, steps, waitingMost, seed, numRuns } = comparison;
  const commands = fc.commands(steps, { maxCommands: 60, size: 'max' });
  const property = fc.asyncProperty(plans, commands, async (planned, given) => {
    const limits = planned.map(limitOf);
    const subject = await open(limits);
    const exact = new ExactLimiter(limits, at, where);
    const Made = where === 'store' ? StoreLine : ExactLine;
    const line = new Made(exact, waitingMost);
    const model: Model = { exact, line, plans: planned, made: planned.length };
    const real: Real<S> = { subject, held: [] };
    try {
      await fc.asyncModelRun(async () => ({ model, real }), given);
    } finally {
      await subject.close();
    }
  });
  await fc.assert(property, { seed, numRuns });
}
