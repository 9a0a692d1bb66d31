import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { promisedBy } from '../crash/book.js';
import { Checker } from '../crash/checker.js';
import { inspect } from '../crash/inspection.js';
import { full } from '../crash/programs.js';
import { randomFrom, shuffled } from '../crash/random.js';
import { ensureStrace } from '../power-loss/recording.js';
import { type Fault, faults, findPoints, runInjected } from './injecting.js';
import { listFile, listOf, listText, type Point, readList } from './points.js';
import { foldersIn, makeScenarios, type Scenario } from './scenarios.js';

/**
 * EIO, ENOSPC and SIGKILL at every file call of a set-up, an append, a rotation, a recovery and a pruning: the caller gets the error
 * or the call did not matter, nothing acknowledged is lost or doubled, no half line stays, the log opens again, and
 * verify finds nothing wrong at either level.
 */

const names = ['set-up', 'append', 'rotation', 'recovery', 'prune'] as const;
const lanes = full ? 3 : 2;
/** Of each scenario, in the reduced run. */
const sampleSize = 3;
const triesMax = 3;
const hour = 3_600_000;
const node = process.versions.node.split('.')[0]!;

interface Lane {
  readonly folder: string;
  readonly checker: Checker;
}

let work: string;
let scenarios: Map<string, Scenario>;
const found = new Map<string, Point[]>();
const pathsOf = new Map<string, string[]>();
const open: Lane[] = [];
let wanted = 0;
let hits = 0;
let tolerated = 0;

beforeAll(async () => {
  ensureStrace();
  work = mkdtempSync(join(tmpdir(), 'gatebook-faults-'));
  scenarios = new Map(makeScenarios().map((scenario) => [scenario.name, scenario]));
  for (let i = 0; i < lanes; i++) {
    const folder = mkdtempSync(join(work, 'lane-'));
    open.push({ folder, checker: new Checker() });
  }
  for (const [name, scenario] of scenarios) {
    const { points, paths } = await findPoints(scenario, open[0]!.folder);
    found.set(name, points);
    pathsOf.set(name, paths);
  }
  const count = [...found.values()].reduce((sum, points) => sum + points.length, 0);
  console.log(`faults: ${count} calls, ${count * faults.length} injection points`);
}, 300_000);

afterAll(async () => {
  const share = wanted === 0 ? 0 : hits / wanted;
  console.log(
    `faults: ${hits} of ${wanted} faults shown by the trace as given; ${tolerated} of the errors did not matter to the caller`,
  );
  for (const { checker } of open) await checker.end();
  rmSync(work, { recursive: true, force: true });
  expect(share, 'too few faults were really given').toBeGreaterThanOrEqual(full ? 0.98 : 0.9);
});

test('the points are those of the list', () => {
  expect([...found.keys()]).toEqual(names);
  if (process.env['GATEBOOK_WRITE_POINTS'] !== undefined) {
    writeFileSync(listFile, listText(node, found));
  }
  const list = readList();
  if (list.node !== node) {
    console.warn(`faults: points.md is of Node ${list.node}, this is ${node}: not compared`);
    return;
  }
  // How often a call is made goes by how busy the machine is; which calls are made, and on what, does not.
  const kinds = (lines: readonly string[]): string[] => lines.map((line) => line.split(' × ')[1]!);
  for (const [name, points] of found)
    expect(kinds(listOf(points)), name).toEqual(kinds(list.lists.get(name) ?? []));
});

interface Trial {
  readonly point: Point;
  readonly fault: Fault;
}

function trialsOf(points: readonly Point[]): Trial[] {
  const trials = (some: readonly Point[]): Trial[] =>
    some.flatMap((point) => faults.map((fault) => ({ point, fault })));
  if (full) return trials(points);
  // How many calls there are differs from run to run; the same few kinds of them are tried each time.
  const first = new Map(
    [...points].reverse().map((point) => [`${point.call} ${point.place}`, point]),
  );
  const sorted = [...first].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, point]) => point);
  return shuffled(trials(sorted), randomFrom(1)).slice(0, sampleSize);
}

/** What is wrong after one fault at one point; undefined when it could not be given there. */
async function tryOut(scenario: Scenario, trial: Trial, lane: Lane): Promise<string[] | undefined> {
  const { point, fault } = trial;
  const paths = pathsOf.get(scenario.name)!;
  for (let tries = 0; tries < triesMax; tries++) {
    const ran = await runInjected(scenario, lane.folder, paths, point, fault);
    if (!ran.hit) continue;
    const { said } = ran;
    const wrong: string[] = [];
    const last = said.at(-1) ?? '';
    if (fault !== 'SIGKILL') {
      if (ran.exit === null || ran.exit > 128) wrong.push(`an error ended it: ${ran.exit}`);
      if (ran.exit === 0 && promisedBy(said).refused.size === 0) tolerated++;
      if (!/^(closed$|failed )/.test(last)) wrong.push(`it ended with: ${last}`);
    }
    const folders = foldersIn(join(lane.folder, 'root'));
    if (fault !== 'SIGKILL') {
      const { before } = await lane.checker.check(folders.log, folders.keys, false);
      // An opening that failed may have left what it found.
      const opened = said[0]?.startsWith('opened') === true;
      if (opened && (before.public.unfinishedBytes ?? 0) > 0) wrong.push('half a line stays');
    }
    wrong.push(...(await inspect(folders, [...scenario.said, ...said], lane.checker)));
    return wrong.map((text) => `${text} [${said.join(' | ')} ${ran.errors.slice(0, 300)}]`);
  }
  return undefined;
}

describe.each(names)('%s', (name) => {
  test(
    'a fault at any of its calls harms nothing',
    async () => {
      const scenario = scenarios.get(name)!;
      const trials = trialsOf(found.get(name)!);
      const wrong: string[] = [];
      let next = 0;
      const run = async (lane: Lane): Promise<void> => {
        for (let trial = trials[next++]; trial !== undefined; trial = trials[next++]) {
          const { point, fault } = trial;
          wanted++;
          const problems = await tryOut(scenario, trial, lane);
          if (problems !== undefined) hits++;
          const what = `${fault} at ${point.call} ${point.at} (${point.place})`;
          if (problems === undefined) console.log(`faults: ${name}: ${what}: not given`);
          const said = (problems ?? []).map((problem) => `${what}: ${problem}`);
          // A whole run takes an hour: what it found so far is not lost if it is ended.
          for (const line of said) console.log(`faults: ${name}: ${line}`);
          if (next % 200 === 0) console.log(`faults: ${name}: ${next} of ${trials.length} begun`);
          wrong.push(...said);
        }
      };
      await Promise.all(open.map(run));
      expect(wrong).toEqual([]);
    },
    12 * hour,
  );
});
