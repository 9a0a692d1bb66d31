import type { Limit } from '@gatebook/ratelimit';
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { type Model, type Real, steps } from './commands.js';
import { ExactLimiter } from './exact-limiter.js';
import { MemorySubject } from './memory-subject.js';
import type { Open } from './subject.js';
import { limitOf, plans } from './world.js';

/** One run of the suite on each is always the same, the other never; fast-check prints its seed when it fails. */
const seeds = [20_261_129, Math.floor(Math.random() * 2 ** 31)];
const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const wall = Date.parse('2026-03-28T22:30:00Z');

async function compare(open: Open, seed: number, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      plans,
      fc.commands(steps, { maxCommands: 60, size: 'max' }),
      async (planned, commands) => {
        const limits: Limit[] = planned.map(limitOf);
        const subject = await open(limits, wall);
        try {
          const setup = async (): Promise<{ model: Model; real: Real }> => ({
            model: { exact: new ExactLimiter(limits, { now: 0, wall }) },
            real: { subject, held: [] },
          });
          await fc.asyncModelRun(setup, commands);
        } finally {
          await subject.close();
        }
      },
    ),
    { seed, numRuns },
  );
}

describe.each(seeds)('decides and tells what exact numbers do, seed %i', (seed) => {
  test('in memory', async () => {
    await compare(async (...given) => new MemorySubject(...given), seed, full ? 10_000 : 300);
  });
});
