import { type Random, randomFrom, shuffled } from '../crash/random.js';
import { Disk, type Sync } from './disk.js';
import { type Bounds, fatesOf } from './fates.js';
import type { Case } from './judge.js';
import { type DiskState, StateReader } from './states.js';
import type { Call } from './trace.js';
import type { Tree } from './tree.js';

/** Programs that ran one after the other on a disk; only crashes during the last one are looked at. */
export interface Scenario {
  readonly name: string;
  /** What lies on the disk, all of it synced, and what had been said until then. */
  readonly base: Tree;
  readonly said: readonly string[];
  /** All but the last were killed: what they had not synced is in memory, and goes on being unsynced. */
  readonly programs: readonly (readonly Call[])[];
  /** The key files that are gone for good once the program has said that a user was `erased` or the key `rotated`. */
  readonly ends?: readonly string[];
}

export type Lost = (sync: Sync) => boolean;
export const nothingLost: Lost = () => false;

export interface FoundCase extends Case {
  /** All kept or all dropped: such states are always checked. */
  readonly extreme: boolean;
}

/** Every state the bounds allow at every crash point, in order; the same state may come again with more said. */
export function* casesOf(
  scenario: Scenario,
  lost: Lost,
  bounds: Bounds | 'extremes',
  random: Random,
): Generator<FoundCase> {
  const disk = new Disk(scenario.base);
  const reader = new StateReader(disk);
  const said = [...scenario.said];
  // Before the first sync is lost nothing differs from the writer as it is.
  let differs = lost === nothingLost;
  const watch = (sync: Sync): boolean => {
    const isLost = lost(sync);
    differs ||= isLost;
    return isLost;
  };
  for (const [at, calls] of scenario.programs.entries()) {
    disk.startProgram();
    for (const call of calls) {
      disk.apply(call, watch);
      if (call.kind === 'said') said.push(call.line);
      const idle = call.kind === 'close' || (call.kind === 'open' && !call.create);
      if (idle || !differs || at < scenario.programs.length - 1) continue;
      const gone = goneAfter(scenario, said);
      for (const one of casesAt(disk, reader, [...said], bounds, random)) yield { ...one, gone };
    }
  }
}

function goneAfter({ ends }: Scenario, said: readonly string[]): readonly string[] {
  return said.some((line) => /^(erased|rotated)\b/.test(line)) ? (ends ?? []) : [];
}

function* casesAt(
  disk: Disk,
  reader: StateReader,
  said: readonly string[],
  bounds: Bounds | 'extremes',
  random: Random,
): Generator<Omit<FoundCase, 'gone'>> {
  const pending = disk.pending();
  let place = 0;
  const none = { exhaustive: 0, derived: 0, cuts: 1, random: 0 };
  for (const fates of fatesOf(pending, bounds === 'extremes' ? none : bounds, random)) {
    const extreme = place++ < 2;
    if (!extreme && bounds === 'extremes') return;
    yield { state: reader.read(fates), said, extreme };
  }
}

/** The distinct states, each with the most that was said before it, at most `most` of them; extremes first. */
export function distinctCases(
  scenario: Scenario,
  bounds: Bounds,
  random: Random,
  most: number,
): { readonly cases: FoundCase[]; readonly found: number } {
  // Only what names a state is kept of all of them, since there may be very many; the chosen are made once more.
  const seed = random.int(2 ** 32);
  const every = () => casesOf(scenario, nothingLost, bounds, randomFrom(seed));
  const extremeBy = new Map<string, boolean>();
  for (const { state, extreme } of every())
    extremeBy.set(state.digest, extreme || extremeBy.get(state.digest) === true);
  const of = (wanted: boolean): string[] =>
    shuffled(
      [...extremeBy].filter(([, extreme]) => extreme === wanted).map(([digest]) => digest),
      random,
    );
  const chosen = new Map<string, FoundCase | undefined>();
  for (const digest of [...of(true), ...of(false)].slice(0, most)) chosen.set(digest, undefined);
  for (const one of every()) if (chosen.has(one.state.digest)) chosen.set(one.state.digest, one);
  const cases = [...chosen.values()].filter((one) => one !== undefined);
  return { cases, found: extremeBy.size };
}

/** The state after so many calls of a scenario's last program, and what had been said. */
export function stateAfter(scenario: Scenario, count: number, fate: 'kept' | 'dropped'): Case {
  const disk = new Disk(scenario.base);
  const said = [...scenario.said];
  for (const [at, calls] of scenario.programs.entries()) {
    disk.startProgram();
    const isLast = at === scenario.programs.length - 1;
    for (const call of isLast ? calls.slice(0, count) : calls) {
      disk.apply(call, nothingLost);
      if (call.kind === 'said') said.push(call.line);
    }
  }
  const state: DiskState = new StateReader(disk).read(() => fate);
  return { state, said, gone: goneAfter(scenario, said) };
}
