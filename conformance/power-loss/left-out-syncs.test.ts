import { afterAll, beforeAll, expect, test } from 'vitest';
import { full } from '../crash/programs.js';
import { newSeed, randomFrom, shuffled } from '../crash/random.js';
import type { Scenario } from './cases.js';
import { Checking } from './checking.js';
import { findWithout, kindsIn, legalStates } from './mutation.js';
import { ensureStrace } from './recording.js';
import { crashesOf, openingAfter, recordScenarios, type Scenarios } from './scenarios.js';

/**
 * Each sync of the writer is needed: with one kind of them left out of what was recorded, a power loss leaves a state that
 * the checks find bad. So the checks of the other suite can fail, and the writer syncs no more than it must.
 */

interface Redundant {
  readonly kinds: readonly string[];
  readonly why: string;
  /** Whether leaving all of `kinds` out together must be found. */
  readonly together: boolean;
}

/** Syncs that a power loss alone cannot show to be needed, and why the writer has them all the same. */
const redundant: readonly Redundant[] = [
  {
    kinds: [
      'fsync log: segments',
      'fsync log: checkpoints',
      // What the second sync is called when the first was left out.
      'fsync log: checkpoints segments',
    ],
    why: 'both folders are made one after the other, so that the second sync covers the first, and checkpoints are only kept behind another',
    together: true,
  },
  {
    kinds: ['fsync log: what an earlier process left'],
    why: 'a later sync of the log folder comes before anything relies on what that process left in it',
    together: false,
  },
  {
    kinds: ['fsync log/segments/N.jsonl: nothing'],
    why: 'the file is empty or was synced before; it costs one sync a segment and an opening',
    together: false,
  },
  {
    kinds: ['fsync keys/tally.tmp: write'],
    why: 'what is lost of the counts of the open segment is counted again from its lines',
    together: false,
  },
  {
    kinds: ['fsync keys/reserve.tmp: write', 'fsync keys: reserve', 'fsync log/reserve.tmp: write'],
    why: 'a reserve that a power loss took is made again by the next opening',
    together: false,
  },
  {
    kinds: ['fsync keys: signing-key.pem'],
    why: 'the sync of the keys folder for the rest of the key set covers it, and before that the set-up begins anew',
    together: false,
  },
  {
    kinds: [
      'fsync keys: -epoch-N.key -initial-hmac-key -public-key',
      'fsync keys: -epoch-N.key -initial-hmac-key -public-key signing-key.pem',
    ],
    why: 'a signing key that is made anew syncs the folder before any other new file is named; one from elsewhere does not',
    together: true,
  },
  {
    kinds: ['fsync keys/subjects: ID.names'],
    why: 'it is a name by which a user can be looked up; what was recorded of him opens without it',
    together: false,
  },
  {
    kinds: ['fsync log/tile: 1'],
    why: 'the hashes of the levels above are made again from the leaves',
    together: false,
  },
  {
    kinds: ['fsync keys: -erasing'],
    why: 'an erasure that is finished a second time finds nothing to remove',
    together: false,
  },
  {
    kinds: ['fsync keys: public-key'],
    why: 'the key that was there before verifies as well: the book leads from one to the other',
    together: false,
  },
  {
    kinds: ['fsync log/segments: -N.jsonl'],
    why: 'what a power loss brought back is removed again by the next opening, after a deletion and after an archive',
    together: false,
  },
  {
    kinds: ['fsync log: kept'],
    why: 'the sync of the log folder for the checkpoint that covers log.pruned comes before anything is deleted',
    together: false,
  },
  {
    kinds: ['fsync log: checkpoint reserve'],
    why: 'it is that of the first checkpoint; no records but the first are signed by it, which the next opening signs again',
    together: false,
  },
];

const seed = newSeed();
const random = randomFrom(seed);
const statesMost = full ? 400 : 24;
/** GATEBOOK_SYNCS=PATTERN tries every kind whose name matches, and no other. */
const wanted = process.env['GATEBOOK_SYNCS'];
const kindsMost = full || wanted !== undefined ? Number.POSITIVE_INFINITY : 2;
const hours = 3_600_000;

let scenarios: readonly Scenario[];
let checking: Checking;
const legal = new Map<Scenario, ReadonlySet<string>>();
const kinds = new Map<string, number>();

beforeAll(() => {
  ensureStrace();
  const recorded = recordScenarios();
  scenarios = [...Object.values(recorded), ...(full ? openingsAfterKills(recorded) : [])];
  for (const scenario of scenarios) {
    legal.set(scenario, legalStates(scenario, randomFrom(seed)));
    for (const [kind, count] of kindsIn(scenario)) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
  }
  checking = new Checking(2);
  console.log(`left-out syncs: seed ${seed}, ${kinds.size} kinds of sync`);
}, 300_000);

afterAll(async () => {
  console.log(`left-out syncs: ${checking.checked} disk states checked`);
  await checking.end();
});

/** What an opening syncs for a process that was killed is only seen after a kill: before a sync of each kind. */
function openingsAfterKills({ setUp, load }: Scenarios): Scenario[] {
  const steps = [
    'mkdir log ',
    'mkdir keys ',
    'mkdir log/segments ',
    'sync keys/head.tmp ',
    'rename keys/origin ',
    'open log/segments/N.jsonl ',
    'write log/segments/N.jsonl ',
    'write log/segments/N.jsonl sealed',
    'write log/segments/N.jsonl epoch',
    'write log/segments/N.jsonl closed',
  ];
  const killed = [...crashesOf(setUp), ...crashesOf(load)].filter(({ way }) => way === 'killed');
  return steps.flatMap((step) => {
    const crash = killed.find((one) => one.step.startsWith(step));
    return crash === undefined ? [] : [openingAfter(crash)];
  });
}

test(
  'a writer that leaves out one kind of sync is found',
  async () => {
    const excused = new Set(redundant.flatMap((entry) => entry.kinds));
    const tried = shuffled(
      [...kinds.keys()].filter(
        (kind) => (full || !excused.has(kind)) && new RegExp(wanted ?? '').test(kind),
      ),
      random,
    ).slice(0, kindsMost);
    const unseen: string[] = [];
    for (const kind of tried.sort()) {
      const found = await findWithout([kind], scenarios, legal, checking, random, statesMost);
      const how = found === undefined ? 'NOT SEEN' : found.failure.wrong.join('; ').slice(0, 160);
      console.log(`left-out syncs: ${kind} (${kinds.get(kind)}×): ${how}`);
      if (found === undefined && !excused.has(kind)) unseen.push(kind);
    }
    expect(unseen).toEqual([]);
  },
  6 * hours,
);

test(
  'a writer that leaves out syncs which cover each other is found',
  async () => {
    // Openings after kills are only looked at in a whole run.
    const looked = redundant.filter(
      (entry) => entry.together && (full || entry.kinds.some((kind) => kinds.has(kind))),
    );
    expect(looked).not.toEqual([]);
    for (const { kinds: together } of looked) {
      const found = await findWithout(together, scenarios, legal, checking, random, statesMost);
      expect(found, together.join(' and ')).toBeDefined();
    }
  },
  6 * hours,
);
