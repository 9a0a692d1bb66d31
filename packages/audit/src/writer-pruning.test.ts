import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keptPath, listKept } from './kept.js';
import type { AuditLogOptions } from './options.js';
import { checkProof, proveRecord } from './proof.js';
import { removedMax } from './pruned-ranges.js';
import { findLine, parseRecord, readLines } from './reader.js';
import { policyFrom } from './retention.js';
import { tallyPath } from './segment.js';
import type { LogRecord } from './stored-record.js';
import { checkTallyProof, proveTally } from './tally-proof.js';
import { appendEvents, audit, numbered, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import {
  callsToTry,
  changingAndLooking,
  dieAt,
  pretendToSync,
  wholeRun,
  withFaults,
} from './testing/faults.js';
import { copyOf, type Folders, segmentFiles, temporaryLog } from './testing/folders.js';
import { recordsOf } from './testing/people.js';
import type { VerifyOptions } from './verify.js';
import type { VerifyReport } from './verify-report.js';
import type { Writer } from './writer.js';

pretendToSync();

const dayMs = 86_400_000;
const options: Partial<AuditLogOptions> = { rotate: 'daily', retention: { retentionDays: 10 } };

/** Days of 60 records each, a session a day. */
function write(log: Folders, clock: FakeClock, days: number, more = options): void {
  for (let day = 0; day < days; day++) {
    const writer = openDirect(log, more, clock);
    appendEvents(writer, numbered(0, 60));
    writer.close();
    clock.pass(dayMs);
  }
}

function prune(log: Folders, clock: FakeClock, more = options): number {
  const writer = openDirect(log, more, clock);
  const removed = writer.prune({ dryRun: false, confirmClock: false });
  writer.close();
  return removed.length;
}

async function expectOk(log: Folders, more: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  const report = await audit(log, more);
  expect(report.findings).toEqual([]);
  expect(report.verdict).toBe('ok');
  return report;
}

describe('retention by age', () => {
  test('deletes whole segments when they are old enough, and everything kept verifies, two horizons later too', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 8);
    const held = fs.readFileSync(path.join(log.dir, 'checkpoint'), 'utf8');
    expect(prune(log, clock)).toBe(0);
    write(log, clock, 10);
    // Opening deletes too, as far as one turn goes; the rest now.
    prune(log, clock);
    const first = await expectOk(log, { held: [{ name: 'held', note: held }] });
    expect(first.pruned).toMatchObject([{ range: [0, expect.any(Number)], reason: 'age' }]);
    expect(listKept(log.dir).length).toBeGreaterThan(4);
    write(log, clock, 22);
    prune(log, clock);
    const later = await expectOk(log, { held: [{ name: 'held', note: held }] });
    expect(later.pruned[0]!.range[1]).toBeGreaterThan(first.pruned[0]!.range[1]);
    expect(segmentFiles(log.dir).length).toBeLessThan(15);
    await expectOk(log, { hmacKey: undefined });
    await expectOk(log, { threads: 2 });
  });

  test('reads and proves what is kept: the log’s own records, tallies, and all that is behind', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 20);
    prune(log, clock);
    const keys = [publicKeyOf(log)];
    const opened = parseRecord(findLine(log.dir, 0)!.line);
    expect(opened.event_type).toBe('log.opened');
    expect(checkProof(await proveRecord({ dir: log.dir, seq: 0 }), keys).index).toBe(0);
    await expect(proveRecord({ dir: log.dir, seq: 5 })).rejects.toMatchObject({
      code: 'not_found',
    });
    const seqs: number[] = [];
    for await (const { seq, line } of readLines(log.dir)) {
      expect(parseRecord(line).seq).toBe(seq);
      seqs.push(seq);
    }
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(seqs[0]).toBe(0);
    const last = seqs.at(-1)!;
    expect(checkProof(await proveRecord({ dir: log.dir, seq: last }), keys).index).toBe(last);
    const question = { dimension: 'type', value: 'test.event' } as const;
    const proof = await proveTally({ dir: log.dir, segment: 0, question });
    expect(checkTallyProof(proof, keys)).toMatchObject({ count: 60, firstSeq: 0 });
  });

  test('goes on by itself in turns, between which records are written', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 20, { rotate: 'daily' });
    const before = segmentFiles(log.dir).length;
    const writer = openDirect(log, options, clock);
    let turns = 0;
    while (writer.dueInMs() <= 0 && turns++ < 10_000) {
      writer.tick();
      appendEvents(writer, numbered(turns, 1));
    }
    expect(turns).toBeGreaterThan(5);
    expect(turns).toBeLessThan(10_000);
    expect(segmentFiles(log.dir).length).toBeLessThan(before - 5);
    writer.close();
    await expectOk(log);
  });

  test('says what would go, and leaves it', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 20, { rotate: 'daily' });
    const before = segmentFiles(log.dir).length;
    const writer = openDirect(log, options, clock);
    const removed = writer.prune({ dryRun: true, confirmClock: false });
    expect(removed.length).toBeGreaterThan(5);
    expect(segmentFiles(log.dir).length).toBeGreaterThanOrEqual(before);
    writer.close();
  });

  test('says what another policy would let go, and does not put it in force', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 20, { rotate: 'daily' });
    const before = segmentFiles(log.dir);
    const writer = openDirect(log, {}, clock);
    clock.jump(30 * dayMs);
    appendEvents(writer, numbered(0, 1));
    const policy = policyFrom({ retentionDays: 5 });
    expect(writer.prune({ dryRun: true, confirmClock: false, policy })).toEqual([]);
    const tried = writer.prune({ dryRun: true, confirmClock: true, policy });
    expect(tried.length).toBeGreaterThan(5);
    for (let hour = 0; hour < 24; hour++) {
      clock.pass(3_600_000);
      writer.tick();
    }
    expect(writer.prune({ dryRun: true, confirmClock: false })).toEqual([]);
    expect(writer.prune({ dryRun: false, confirmClock: false })).toEqual([]);
    writer.close();
    expect(segmentFiles(log.dir)).toEqual(expect.arrayContaining(before));
    const types = recordsOf(log).map(({ event_type: type }) => type);
    expect(types).not.toContain('log.pruned');
    expect(types).not.toContain('log.clock_confirmed');
  });

  test('says all that would go, also where one record cannot name it', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = openDirect(
      log,
      { segmentBytesMax: 4_096, retention: { recordsMax: 300 } },
      clock,
    );
    appendEvents(writer, numbered(0, 2_500));
    const tried = writer.prune({ dryRun: true, confirmClock: false });
    expect(tried.length).toBeGreaterThan(removedMax);
    // That it deletes is recorded, and those records may let one more segment go.
    const removed = writer.prune({ dryRun: false, confirmClock: false });
    expect(removed.slice(0, tried.length)).toEqual(tried);
    expect(removed.length).toBeLessThanOrEqual(tried.length + 1);
    writer.close();
  });
});

describe('other rules', () => {
  const small: Partial<AuditLogOptions> = { segmentBytesMax: 20_000 };

  function fill(
    log: Folders,
    clock: FakeClock,
    more: Partial<AuditLogOptions>,
    count = 2_000,
  ): Writer {
    const writer = openDirect(log, { ...small, ...more }, clock);
    for (let at = 0; at < count; at += 20) {
      const actor = at === 100 ? 'ann' : 'bob';
      const type = at === 600 ? 'policy_violation' : 'test.event';
      appendEvents(
        writer,
        numbered(at, 20).map((event) => ({ ...event, eventType: type, actor: { userId: actor } })),
      );
    }
    return writer;
  }

  test.each([
    ['size', { totalBytesMax: 100_000 }],
    ['records', { recordsMax: 500 }],
  ] as const)('%s: the oldest go until there is no more than allowed', async (reason, retention) => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = fill(log, clock, { retention });
    writer.prune({ dryRun: false, confirmClock: false });
    writer.close();
    const report = await expectOk(log);
    expect(report.pruned).toMatchObject([{ reason }]);
    const bytes = segmentFiles(log.dir).reduce((sum, file) => sum + fs.statSync(file).size, 0);
    if (reason === 'size') {
      expect(bytes).toBeLessThan(100_000 + 30_000);
      expect(bytes).toBeGreaterThan(70_000);
    }
  });

  test.each([
    ['a hold by actor', { hold: [{ actor: 'ann' }] }, 1],
    ['a hold by two values', { hold: [{ actor: 'ann', type: 'policy_violation' }] }, 0],
    ['a minimum for a type', { typeDays: { policy_violation: 10 } }, 1],
    ['both', { hold: [{ actor: 'ann' }], typeDays: { policy_violation: 10 } }, 2],
  ] as const)('%s keeps the segments with such a record', async (_, keep, kept) => {
    const log = temporaryLog();
    const clock = new FakeClock();
    const writer = fill(log, clock, { retention: { recordsMax: 500, ...keep } });
    writer.prune({ dryRun: false, confirmClock: false });
    expect((await expectOk(log)).pruned.length).toBe(kept + 1);
    clock.pass(11 * dayMs);
    appendEvents(writer, numbered(0, 1));
    writer.prune({ dryRun: false, confirmClock: false });
    writer.close();
    await expectOk(log);
  });

  test('a policy stays in force until another is given, and never again', async () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    fill(log, clock, { retention: { recordsMax: 500 } }, 20).close();
    fill(log, clock, {}).close();
    openDirect(log, {}, clock).prune({ dryRun: false, confirmClock: false });
    expect((await expectOk(log)).pruned).toHaveLength(1);
    const never = fill(log, clock, { retention: 'never' });
    expect(never.prune({ dryRun: false, confirmClock: false })).toEqual([]);
    never.close();
  });
});

describe('the clock', () => {
  test.each([
    ['a jump while it is open', 'jump'],
    ['a jump while it is closed', 'closed'],
    ['a long time that no clock vouches for', 'reboot'],
  ])('%s: nothing goes by age until somebody confirms the clock', async (_, how) => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 9);
    if (how === 'reboot') {
      clock.reboot();
      clock.pass(60 * dayMs);
      clock.reboot();
    } else if (how === 'closed') clock.jump(60 * dayMs);
    const writer = openDirect(log, options, clock);
    if (how === 'jump') clock.jump(60 * dayMs);
    expect(writer.prune({ dryRun: false, confirmClock: false })).toEqual([]);
    for (let i = 0; i < 50; i++) writer.tick();
    const before = segmentFiles(log.dir).length;
    expect(before).toBeGreaterThan(8);
    await expectOk(log);
    expect(writer.prune({ dryRun: false, confirmClock: true }).length).toBeGreaterThan(4);
    writer.close();
    await expectOk(log);
  });

  test.each([
    -40 * dayMs,
    40 * dayMs,
  ])('one wrong reading of the clock, whichever it is, deletes nothing before its time (%i ms)', (wrongMs) => {
    class WrongOnce extends FakeClock {
      readings = 0;
      readonly #at: number;

      constructor(at: number) {
        super();
        this.#at = at;
      }

      override wallMs(): number {
        return super.wallMs() + (this.readings++ === this.#at ? wrongMs : 0);
      }
    }
    let all = Number.POSITIVE_INFINITY;
    for (const at of callsToTry()) {
      if (at >= all) break;
      const log = temporaryLog();
      const clock = new WrongOnce(at);
      for (let session = 0; session < 2; session++) {
        const writer = openDirect(log, options, clock);
        for (let day = 0; day < 2; day++) {
          // What is in no full tile of the tree is not deleted anyway.
          appendEvents(writer, numbered(0, 300));
          clock.pass(dayMs);
          writer.tick();
        }
        writer.prune({ dryRun: false, confirmClock: false });
        writer.close();
      }
      expect(segmentFiles(log.dir).length, `wrong at reading ${at}`).toBeGreaterThanOrEqual(4);
      expect(listKept(log.dir), `wrong at reading ${at}`).toEqual([]);
      fs.rmSync(path.dirname(log.dir), { recursive: true });
      all = clock.readings;
      expect(all).toBeGreaterThan(20);
    }
  });

  test('a month without a session is no jump while the machine runs on', () => {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 9);
    clock.pass(60 * dayMs);
    expect(prune(log, clock)).toBeGreaterThan(4);
  });
});

describe('a deletion that the book does not allow', () => {
  function pruned(): { log: Folders; clock: FakeClock } {
    const log = temporaryLog();
    const clock = new FakeClock();
    write(log, clock, 20);
    prune(log, clock);
    return { log, clock };
  }

  test('of one more segment is missing, with its range', async () => {
    const { log } = pruned();
    const [first, second] = segmentFiles(log.dir).map((file) =>
      Number(path.basename(file, '.jsonl')),
    );
    fs.rmSync(segmentFiles(log.dir)[0]!);
    const report = await audit(log);
    expect(report.verdict).toBe('missing');
    expect(report.findings[0]).toMatchObject({ kind: 'range', range: [first, second] });
  });

  test('is missing when the verifier asks for more days than the book', async () => {
    const { log } = pruned();
    await expectOk(log, { minRetentionDays: 10 });
    const report = await audit(log, { minRetentionDays: 60 });
    expect(report.verdict).toBe('missing');
    expect(report.findings[0]!.range![0]).toBe(0);
  });

  test.each<[string, string, (log: Folders) => void]>([
    ['a kept file is gone', 'missing', (log) => fs.rmSync(listKept(log.dir)[3]!.path)],
    [
      'all kept files are gone',
      'missing',
      (log) => fs.rmSync(path.join(log.dir, 'kept'), { recursive: true }),
    ],
    [
      'a kept line is gone',
      'tampered',
      (log) => change(listKept(log.dir)[3]!.path, (lines) => lines.slice(1)),
    ],
    [
      'a kept line is changed',
      'tampered',
      (log) =>
        change(listKept(log.dir)[3]!.path, (lines) =>
          lines.map((line) => line.replace('"pid":', '"pid":1')),
        ),
    ],
    [
      'the seal of a kept file is gone',
      'tampered',
      (log) => change(listKept(log.dir)[3]!.path, (lines) => lines.slice(0, -1)),
    ],
    ['a tally of a deleted segment is gone', 'tampered', (log) => fs.rmSync(tallyPath(log.dir, 0))],
    [
      'a tally of a deleted segment is changed',
      'tampered',
      (log) => change(tallyPath(log.dir, 0), (lines) => lines.slice(1)),
    ],
    [
      'the tiles are gone',
      'tampered',
      (log) => fs.rmSync(path.join(log.dir, 'tile'), { recursive: true }),
    ],
    [
      'a tile of deleted records is changed',
      'tampered',
      (log) => {
        const file = path.join(log.dir, 'tile/0/000');
        const bytes = fs.readFileSync(file);
        bytes[100]! ^= 1;
        fs.writeFileSync(file, bytes);
      },
    ],
  ])('%s: %s', async (_, verdict, spoil) => {
    const { log } = pruned();
    const copy = copyOf(log);
    spoil(copy);
    expect((await audit(copy)).verdict).toBe(verdict);
    expect((await audit(copy, { hmacKey: undefined })).verdict).toBe(verdict);
  });
});

function change(file: string, edit: (lines: string[]) => string[]): void {
  const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
  fs.writeFileSync(
    file,
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

test('an interrupted deletion is finished by the next opening', async () => {
  const base = temporaryLog();
  const clock = new FakeClock();
  write(base, clock, 50, { rotate: 'daily' });
  let finished = 0;
  // A stride that no segment's calls are a multiple of, so that each kind of call is met in some segment.
  for (let at = 0; at < 2_000; at += wholeRun ? 17 : 53) {
    const log = copyOf(base);
    const { died } = dieAt(at, () => {
      const writer = openDirect(log, options, clock);
      writer.prune({ dryRun: false, confirmClock: false });
      writer.close();
    });
    const reopened = openDirect(log, {}, clock);
    reopened.close();
    const report = await audit(log);
    expect(report.findings, `died at call ${at}`).toEqual([]);
    for (const { range } of report.pruned) {
      const left = segmentFiles(log.dir).filter(
        (file) => Number(path.basename(file, '.jsonl')) < range[1],
      );
      expect(left, `died at call ${at}`).toEqual([]);
      finished++;
    }
    if (!died) break;
    expect(at).toBeLessThan(1_990);
  }
  expect(finished).toBeGreaterThan(1);
}, 300_000);

test('a deletion that is recorded, but could not be signed, is finished without another record', async () => {
  const log = temporaryLog();
  const clock = new FakeClock();
  write(log, clock, 20, { rotate: 'daily' });
  const writer = openDirect(log, options, clock);
  // What is due besides is done before.
  appendEvents(writer, numbered(0, 1));
  writer.checkpoint();
  const act = (): number => writer.prune({ dryRun: false, confirmClock: false }).length;
  const fails = (name: string, first: unknown): boolean =>
    name === 'renameSync' && /checkpoint\.tmp$/.test(String(first));
  expect(() => withFaults(fails, act)).toThrow(/EIO/);
  const before = segmentFiles(log.dir).length;
  expect(prunedIn(log)).toHaveLength(1);
  const removed = act();
  expect(removed).toBeGreaterThan(5);
  expect(segmentFiles(log.dir)).toHaveLength(before - removed);
  expect(act()).toBe(0);
  writer.close();
  expect(prunedIn(log)).toHaveLength(1);
  await expectOk(log);
});

function prunedIn(log: Folders): LogRecord[] {
  return recordsOf(log).filter((record) => record.event_type === 'log.pruned');
}

test('a deletion in which one call failed is recorded once, and the same writer finishes it', async () => {
  const base = temporaryLog();
  const clock = new FakeClock();
  write(base, clock, 30, { rotate: 'daily' });
  const ended = { failed: 0, finished: 0 };
  for (let at = 0; at < 4_000; at += wholeRun ? 7 : 61) {
    const log = copyOf(base);
    const pruning = openDirect(log, options, clock);
    let calls = 0;
    const act = (): void => {
      pruning.tick();
      pruning.prune({ dryRun: false, confirmClock: false });
    };
    try {
      withFaults(() => calls++ === at, act, 'EIO', changingAndLooking);
    } catch {
      ended.failed++;
    }
    clock.pass(2_000);
    act();
    pruning.close();
    const report = await audit(log);
    expect(report.findings, `call ${at} failed`).toEqual([]);
    expect(report.verdict).toBe('ok');
    const named = prunedIn(log)
      .flatMap((record) => record.details?.['removed'] as { first_seq: number }[])
      .map((each) => each.first_seq);
    expect(new Set(named).size, `call ${at} failed`).toBe(named.length);
    const left = segmentFiles(log.dir).map((file) => Number(path.basename(file, '.jsonl')));
    expect(left.filter((firstSeq) => named.includes(firstSeq))).toEqual([]);
    if (named.length > 0) ended.finished++;
    if (calls <= at) break;
  }
  expect(ended.failed).toBeGreaterThan(1);
  expect(ended.finished).toBeGreaterThan(1);
}, 300_000);

test('after a kill and without tiles a pruned log is refused, with them it opens', async () => {
  const log = temporaryLog();
  const clock = new FakeClock();
  write(log, clock, 20);
  prune(log, clock);
  const killed = openDirect(log, {}, clock);
  appendEvents(killed, numbered(0, 3));
  fs.rmSync(path.join(log.dir, 'tile/1'), { recursive: true, force: true });
  openDirect(log, {}, clock).close();
  await expectOk(log);
  expect(fs.existsSync(keptPath(log.dir, 0))).toBe(true);
});
