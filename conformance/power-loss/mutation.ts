import { type Random, shuffled } from '../crash/random.js';
import { casesOf, type Lost, nothingLost, type Scenario } from './cases.js';
import type { Checking, Failure } from './checking.js';
import { Disk } from './disk.js';
import type { Bounds } from './fates.js';
import type { Case } from './judge.js';
import { kindOf } from './kinds.js';

/** The writer with one kind of sync left out, and whether a power loss then shows it. */

/** The kinds of sync that the last program of a scenario asks for, and how often. */
export function kindsIn(scenario: Scenario): Map<string, number> {
  const kinds = new Map<string, number>();
  const disk = new Disk(scenario.base);
  for (const [at, calls] of scenario.programs.entries()) {
    disk.startProgram();
    for (const call of calls) {
      disk.apply(call, (sync) => {
        const kind = kindOf(sync);
        if (kind !== undefined && at === scenario.programs.length - 1)
          kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        return false;
      });
    }
  }
  return kinds;
}

/** In this order: what finds most is looked at first. */
const passes: readonly (Bounds | 'extremes')[] = [
  'extremes',
  { exhaustive: 0, derived: 0, cuts: 1, random: 0 },
  { exhaustive: 6, derived: 2, cuts: 2, random: 4 },
];

export interface Finding {
  readonly scenario: string;
  readonly failure: Failure;
}

/**
 * Leaves some kinds of sync out and looks for a state that fails, at most `most` states a scenario. A state that the
 * writer with all its syncs can leave too does not count.
 */
export async function findWithout(
  leftOut: readonly string[],
  scenarios: readonly Scenario[],
  legal: ReadonlyMap<Scenario, ReadonlySet<string>>,
  checking: Checking,
  random: Random,
  most: number,
): Promise<Finding | undefined> {
  const lost: Lost = (sync) => leftOut.includes(kindOf(sync) ?? '');
  const concerned = scenarios.filter((scenario) =>
    leftOut.some((kind) => kindsIn(scenario).has(kind)),
  );
  for (const pass of passes) {
    for (const scenario of concerned) {
      const seen = legal.get(scenario) ?? new Set();
      const cases = new Map<string, Case>();
      for (const one of casesOf(scenario, lost, pass, random)) {
        const key = caseKey(one);
        if (!seen.has(key)) cases.set(key, one);
      }
      const chosen = shuffled([...cases.values()], random).slice(0, most);
      const [failure] = await checking.run(chosen, 1);
      if (failure === undefined) continue;
      // What fails only once failed for another reason than its state.
      const [again] = await checking.run([failure.one], 1);
      if (again !== undefined) return { scenario: scenario.name, failure: again };
    }
  }
  return undefined;
}

export function caseKey({ state, said }: Case): string {
  return `${state.digest} ${said.length}`;
}

/** Every state the writer can leave with all its syncs, as far as the same bounds find them. */
export function legalStates(scenario: Scenario, random: Random): Set<string> {
  const legal = new Set<string>();
  for (const pass of passes) {
    for (const one of casesOf(scenario, nothingLost, pass, random)) legal.add(caseKey(one));
  }
  return legal;
}
