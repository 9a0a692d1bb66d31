import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecondVerifier } from '../attacks/verifiers.js';
import { openBench, type Ran, start } from '../cli/gatebook.js';
import { listening, type WitnessProcess, witnessArgs } from '../witness/witness-process.js';
import { openCalendar } from './calendar.js';
import { Diary, type Report, withByteChanged, without } from './diary.js';
import { type Step, writePage } from './page.js';

/**
 * A year of a log that rotates every day, deletes what is older than its retention and has a witness: at every step the
 * public verifier and the auditor come to the right verdict, on the log as it is and on the log as somebody changed it. Its signing
 * key changes meanwhile; who has the first one or the newest can verify all of it.
 */

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const plan = full
  ? {
      days: 365,
      events: 27_400,
      retention: 30,
      stepDays: 14,
      secondEvery: 6,
      rotations: [60, 180, 300],
    }
  : { days: 8, events: 130, retention: 3, stepDays: 4, secondEvery: 1, rotations: [1] };
const hours = 3_600_000;

let diary: Diary;
let witness: WitnessProcess;
let second: SecondVerifier;
let daily: readonly string[];
let hmacKey: string;
let publicKey: string;
let newestKey: string;
const steps: Step[] = [];
let failed = false;

beforeAll(async () => {
  const bench = await openBench();
  diary = new Diary(bench, await openCalendar(bench.folder));
  second = new SecondVerifier();
  await diary.must(['init']);
  hmacKey = join(bench.folder, 'auditor-key');
  publicKey = join(bench.folder, 'auditor-public-key');
  await rename(join(bench.keys, 'initial-hmac-key'), hmacKey);
  cpSync(join(bench.keys, 'public-key'), publicKey);
  newestKey = publicKey;
  await openWitness([publicKey]);
}, 300_000);

afterAll(async () => {
  second?.close();
  await witness?.end();
  // A log of so many days is not had again soon.
  if (failed) console.log(`a year: the log and its keys stay in ${diary?.bench.folder}`);
  else await diary?.bench.remove();
  if (full && !failed && process.env['GATEBOOK_WRITE_YEAR'] !== undefined) writePage(steps);
});

async function openWitness(logKeys: readonly string[]): Promise<void> {
  const state = join(diary.bench.folder, 'witness');
  const args = witnessArgs({ state, logKeys, name: 'witness.example/year' });
  witness = await listening(start(args, { env: diary.calendar.lasting }));
  daily = ['--rotate', 'daily', '--witness', witness.option];
}

/** Both keys sign until the day after, when the witness knows the new one. */
async function changeKey(day: number): Promise<void> {
  const { bench } = diary;
  if (plan.rotations.includes(day)) {
    const { stdout } = await diary.must(['keys', 'rotate', '--overlap']);
    const older = newestKey;
    newestKey = join(bench.folder, `public-key-${day}`);
    writeFileSync(newestKey, stdout);
    await witness.end();
    await openWitness([older, newestKey]);
  }
  if (plan.rotations.includes(day - 1)) await diary.must(['keys', 'retire']);
}

const levels = (): [string, string[]][] => [
  ['public', ['--key', publicKey]],
  ['auditor', ['--key', newestKey, '--hmac-key', hmacKey]],
];

const saying = (report: Report): string => JSON.stringify(report);

/** What must be deleted by then, and nothing else: all whose seal is as old as the retention. */
async function expectDeletions(report: Report, day: number): Promise<void> {
  const kept = diary.firstSeqs[day - plan.retention];
  if (day <= plan.retention || kept === undefined) {
    expect(report.pruned).toEqual([]);
    return;
  }
  const [run, ...more] = report.pruned;
  const [begin, end] = run?.range ?? [Number.NaN, Number.NaN];
  // Between a day's seal and its first event stand a few records of the log's own.
  const right = run?.reason === 'age' && begin === 0 && kept - 20 < end && end <= kept;
  if (right && more.length === 0) return;
  throw new Error(
    `not all up to about ${kept} was deleted for its age, or other: ${saying(report)}\n${await whyKept()}`,
  );
}

/** What the log says of its clock and its deletions, where others were made than there should be. */
async function whyKept(): Promise<string> {
  const own = (type: string, limit: number): Promise<Ran> =>
    diary.run(['audit', '--type', type, '--format', 'json', '--limit', String(limit)]);
  const told = [
    await diary.run(['audit', 'status']),
    await own('log.clock_jump', 10),
    await own('log.pruned', 3),
    await own('log.opened', 3),
    await own('log.sealed', 2 * plan.retention),
    // It opens the log, so it comes last.
    await diary.run(['audit', 'prune', '--dry-run']),
  ];
  return told.map(({ stdout, stderr }) => `${stdout}${stderr}`).join('\n');
}

async function lookAtStep(day: number, held: readonly string[]): Promise<void> {
  const evidence = [...held.flatMap((file) => ['--checkpoint', file]), '--witness', witness.option];
  const seconds: number[] = [];
  let last: Report | undefined;
  for (const [level, flags] of levels()) {
    const { report, code, seconds: took } = await diary.verify([...flags, ...evidence, '--strict']);
    const { verdict, pending } = report;
    expect([verdict, code, report.level, pending], saying(report)).toEqual(['ok', 0, level, 0]);
    await expectDeletions(report, day);
    seconds.push(took);
    last = report;
  }
  const segments = diary.segments();
  const oldest = segments[0]!;
  const middle = segments[segments.length >> 1]!;
  const newest = segments.at(-1)!;
  const [, auditor] = levels()[1]!;
  for (const [, flags] of day % (2 * plan.stepDays) === 0 ? levels() : [levels()[0]!]) {
    const gone = await without(oldest.file, () => diary.verify(flags));
    expect([gone.report.verdict, gone.code], saying(gone.report)).toEqual(['missing', 1]);
    // With its lines the log lost the records that tell of some earlier deletions, so these are missing too.
    const missing = gone.report.findings.map(({ range }) => range);
    expect(missing).toContainEqual([oldest.firstSeq, segments[1]!.firstSeq]);
    const spoilt = await withByteChanged(middle.file, () => diary.verify(flags));
    expect([spoilt.report.verdict, spoilt.code], saying(spoilt.report)).toEqual(['tampered', 1]);
    expect(spoilt.report.findings[0]?.seq).toBeGreaterThanOrEqual(middle.firstSeq);
    const cut = await without(newest.file, () => diary.verify(flags));
    expect([cut.report.verdict, cut.code], saying(cut.report)).toEqual(['truncated', 1]);
  }
  if (steps.length % plan.secondEvery === 0) {
    const brought = { keys: [newestKey], hmacKey, held: [...held] };
    expect(await second.ask(diary.bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
  }
  // More than the policy kept was never promised, and a verifier who wants it says so.
  if (last!.pruned.length > 0) {
    const more = await diary.verify([...auditor, '--min-retention', `${plan.retention + 5}d`]);
    expect([more.report.verdict, more.code], saying(more.report)).toEqual(['missing', 1]);
  }
  const end = last!.pruned[0]?.range[1] ?? 0;
  steps.push({
    day,
    records: last!.records,
    kept: last!.records - end,
    segments: segments.length,
    bytes: diary.bytes(),
    publicSeconds: seconds[0]!,
    auditorSeconds: seconds[1]!,
  });
}

/** A session, what has become old deleted before it, and now and then a look at all. */
async function live(day: number, held: string[]): Promise<void> {
  const { bench } = diary;
  const policy = day === 0 ? ['--retention-days', String(plan.retention)] : [];
  await diary.calendar.set(day);
  await changeKey(day);
  if (day > plan.retention) await diary.must(['audit', 'prune']);
  await diary.record(plan.events, [...daily, ...policy]);
  if ((day + 1) % plan.stepDays !== 0 && day !== plan.days - 1) return;
  await lookAtStep(day, held.slice(-3));
  const file = join(bench.folder, `held-${day}`);
  writeFileSync(file, readFileSync(join(bench.log, 'checkpoint')));
  held.push(file);
}

/** Names the day on which something fails. */
async function onDay(day: number, live: () => Promise<void>): Promise<void> {
  try {
    await live();
  } catch (cause) {
    throw new Error(`day ${day}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

test(
  'every step of a year is judged rightly',
  async ({ onTestFailed }) => {
    onTestFailed(() => {
      failed = true;
    });
    const held: string[] = [];
    for (let day = 0; day < plan.days; day++) await onDay(day, () => live(day, held));
    expect(steps.length).toBe(Math.ceil(plan.days / plan.stepDays));
    expect(steps.at(-1)!.records).toBeGreaterThan(plan.days * plan.events);
    const shown = await diary.must(['keys', 'show', '--json']);
    expect(shown.stdout).toContain(readFileSync(newestKey, 'utf8').trim());
    // A clock that goes as it should is not flagged.
    const jumps = await diary.run(['audit', '--type', 'log.clock_jump', '--format', 'json']);
    expect(jumps.stdout).toBe('');
  },
  12 * hours,
);

test(
  'an older copy of the folder is rolled back for who asks the witness, or holds a checkpoint',
  async () => {
    const { bench } = diary;
    const copy = join(bench.folder, 'copy');
    cpSync(bench.log, copy, { recursive: true, verbatimSymlinks: true });
    await diary.calendar.set(plan.days);
    await diary.record(plan.events, daily);
    const held = join(bench.folder, 'held-last');
    cpSync(join(bench.log, 'checkpoint'), held);
    for (const evidence of [
      ['--witness', witness.option],
      ['--checkpoint', held],
    ]) {
      for (const [level, flags] of levels()) {
        const args = ['audit', 'verify', '--json', '--log', copy, ...flags, ...evidence];
        const ran = await diary.run([...args, '--keys', join(bench.folder, 'none')]);
        expect((JSON.parse(ran.stdout) as Report).verdict, level).toBe('rolled_back');
        expect(ran.code).toBe(1);
      }
    }
    rmSync(copy, { recursive: true });
  },
  12 * hours,
);
