import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { full } from '../crash/programs.js';
import { newSeed, randomFrom, shuffled } from '../crash/random.js';
import { distinctCases, type Scenario } from './cases.js';
import { Checking, summary } from './checking.js';
import type { Bounds } from './fates.js';
import { ensureStrace } from './recording.js';
import { crashesOf, openingAfter, recordScenarios, type Scenarios } from './scenarios.js';

/**
 * After a power loss at any instant the log opens, verify finds nothing wrong before and after, and every acknowledged
 * record is there once. The writer's system calls are recorded, and every state of the disk that they allow is made.
 */

const seed = newSeed();
const random = randomFrom(seed);
const bounds: Bounds = full
  ? { exhaustive: 7, derived: 6, cuts: 6, random: 12 }
  : { exhaustive: 4, derived: 2, cuts: 2, random: 2 };
/**
 * States checked of each recorded run, and of each opening after a crash: all kept and all dropped at every instant come
 * first, then others, chosen anew by each run. GATEBOOK_STATES=N checks N, all of them if there are fewer; thirty thousand take hours.
 */
const statesMost = Number(process.env['GATEBOOK_STATES'] ?? (full ? 250 : 4));
const statesMostAfterCrash = full ? 12 : 3;
/** Crashes, of each run, after which the opening is crashed too. */
const crashesMost = full ? 6 : 1;
const hours = 3_600_000;

let scenarios: Scenarios;
let checking: Checking;

beforeAll(() => {
  ensureStrace();
  scenarios = recordScenarios();
  checking = new Checking(2);
  console.log(`power loss: seed ${seed} (GATEBOOK_SEED=${seed} gives the same choice)`);
}, 300_000);

afterAll(async () => {
  console.log(`power loss: ${checking.checked} disk states checked`);
  await checking.end();
});

/** What is wrong with the states of a scenario, one line a kind; and how many were looked at. */
async function lookAt(
  scenario: Scenario,
  most: number,
): Promise<{ wrong: string[]; looked: string }> {
  const { cases, found } = distinctCases(scenario, bounds, random, most);
  const failures = await checking.run(cases, Number.POSITIVE_INFINITY);
  return { wrong: summary(failures), looked: `${cases.length} of ${found} states` };
}

describe('every state a power loss can leave is a good log', () => {
  const names = [
    ...(['setUp', 'load', 'recovery', 'secondRecovery', 'failedSync', 'tiles'] as const),
    ...(['pruning', 'keyChange', 'erasure', 'archive'] as const),
  ] as const;
  test.each(names)(
    '%s',
    async (name) => {
      const scenario = scenarios[name];
      const { wrong, looked } = await lookAt(scenario, statesMost);
      console.log(`power loss: ${scenario.name}: ${looked}`);
      expect(wrong).toEqual([]);
    },
    2 * hours,
  );
});

describe('a second crash, while the log is opened after the first, leaves a good log', () => {
  const names = [
    ...(['setUp', 'load', 'recovery', 'failedSync'] as const),
    ...(['pruning', 'keyChange', 'erasure', 'archive'] as const),
  ] as const;
  // Each of them is recorded anew: the reduced run has some, others each time.
  test.each(full ? names : shuffled(names, random).slice(0, 3))(
    '%s',
    async (name) => {
      const crashes = shuffled(crashesOf(scenarios[name]), random).slice(0, crashesMost);
      const wrong: string[] = [];
      for (const crash of crashes) {
        const opening = openingAfter(crash);
        const found = await lookAt(opening, statesMostAfterCrash);
        wrong.push(...found.wrong.map((line) => `${opening.name}: ${line}`));
      }
      console.log(
        `power loss: ${crashes.length} openings after a crash in "${name}" crashed again`,
      );
      expect(wrong).toEqual([]);
    },
    2 * hours,
  );
});
