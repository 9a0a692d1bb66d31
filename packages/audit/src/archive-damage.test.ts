import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberHeaderBytes } from './archive-format.js';
import { archiveLog } from './archive-log.js';
import { findLine, readLines, type UnreadLines } from './reader.js';
import { repairLog } from './repair.js';
import { archivePath } from './segment.js';
import { logStatus } from './status.js';
import type { LogRecord } from './stored-record.js';
import { archivesOf, makeSealedLog } from './testing/archived.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { copyOf, type Folders, linesOf, removeTemporary, temporaryLog } from './testing/folders.js';

pretendToSync();

let made: Folders;
let lines: string[];
/** First seqs of the sealed segments. */
let firsts: number[];
beforeAll(async () => {
  made = makeSealedLog();
  lines = linesOf(made.dir);
  await archiveLog(made);
  firsts = archivesOf(made.dir).map((file) => Number(path.basename(file).slice(0, 20)));
});
afterAll(() => removeTemporary(path.dirname(made.dir)));

/** Where the member with the line of a seq begins in the archive, by the lengths in the headers. */
function memberPlace(file: string, index: number): number {
  const bytes = fs.readFileSync(file);
  let at = 0;
  for (let i = 0; i < index; i++) at += memberHeaderBytes + bytes.readUInt32LE(at + 16) + 8;
  return at;
}

/** Flips a bit of the compressed bytes of the second member of the second archive; gives the first seq of that member. */
function spoil({ dir }: Folders): number {
  const firstSeq = firsts[1]!;
  const file = archivePath(dir, firstSeq);
  const bytes = fs.readFileSync(file);
  bytes[memberPlace(file, 1) + memberHeaderBytes + 40]! ^= 1;
  fs.writeFileSync(file, bytes);
  return 256 * (Math.floor(firstSeq / 256) + 1);
}

function offsetOf(firstSeq: number, seq: number): number {
  return lines.slice(firstSeq, seq).reduce((sum, line) => sum + line.length + 1, 0);
}

describe('a damaged archive', () => {
  test.each([
    1, 2,
  ])('is tampered with, at the first line that cannot be read; %i threads', async (threads) => {
    const log = copyOf(made);
    const seq = spoil(log);
    const report = await audit(log, { threads });
    expect(report.verdict).toBe('tampered');
    expect(report.findings[0]).toMatchObject({
      segment: `${String(firsts[1]).padStart(20, '0')}.jsonl`,
      seq,
      offset: offsetOf(firsts[1]!, seq),
      reason: expect.stringContaining('compressed bytes of a member'),
    });
  });

  test('that is gone is missing', async () => {
    const log = copyOf(made);
    fs.rmSync(archivePath(log.dir, firsts[1]!));
    const report = await audit(log);
    expect(report.verdict).toBe('missing');
    expect(report.findings[0]).toMatchObject({ range: [firsts[1], firsts[2]] });
  });

  test('ends a reading with an error that says where, and what is before it is read', async () => {
    const log = copyOf(made);
    const seq = spoil(log);
    let read = 0;
    const reading = (async () => {
      for await (const line of readLines(log.dir)) read = line.seq + 1;
    })();
    await expect(reading).rejects.toMatchObject({ code: 'log_damaged' });
    await expect(reading).rejects.toThrow(`byte ${offsetOf(firsts[1]!, seq)} of its lines`);
    expect(read).toBe(seq);
    const passed: UnreadLines[] = [];
    const others: number[] = [];
    const passOver = (lines: UnreadLines): void => void passed.push(lines);
    for await (const line of readLines(log.dir, { passOver })) others.push(line.seq);
    const gap = { seq, count: firsts[2]! - seq, offset: offsetOf(firsts[1]!, seq) };
    expect(passed).toMatchObject([gap]);
    expect(others).toHaveLength(lines.length - gap.count);
    for await (const _ of readLines(log.dir, { passOver, fromSeq: firsts[2] })) break;
    expect(passed).toHaveLength(1);
    expect(() => findLine(log.dir, seq)).toThrow('run gatebook audit verify');
    // Other members can be read.
    expect(findLine(log.dir, seq - 1)?.line.toString()).toBe(lines[seq - 1]);
    expect(findLine(log.dir, seq + 256)?.line.toString()).toBe(lines[seq + 256]);
    expect(await logStatus(log)).toMatchObject({ records: lines.length });
  });

  test('does not keep the log from being opened', async () => {
    const log = copyOf(made);
    spoil(log);
    const writer = openDirect(log);
    expect(appendEvents(writer, numbered(0, 1))).toMatchObject([{ count: 1 }]);
    writer.close();
  });

  test.each([
    'with its tiles',
    'without',
  ])('is set aside by a repair, its good lines stay; %s', async (tiles) => {
    const log = copyOf(made);
    const seq = spoil(log);
    if (tiles === 'without') fs.rmSync(path.join(log.dir, 'tile'), { recursive: true });
    const head = fs.readFileSync(path.join(log.keysDir, 'head'), 'utf8');
    const name = path.basename(archivePath(log.dir, firsts[1]!));
    const damaged = fs.readFileSync(archivePath(log.dir, firsts[1]!));
    const plan = await repairLog({ ...log, dryRun: true });
    const report = await repairLog(log);
    expect(report).toEqual(plan);
    expect(report.files).toContain(`segments/${name}`);
    const aside = path.join(log.dir, report.folder!, 'segments', name);
    expect(fs.readFileSync(aside)).toEqual(damaged);
    const after = await audit(log, { head });
    expect(after.verdict).toBe('missing');
    // Without tiles only signed roots tell how far the lines are good.
    if (tiles === 'with its tiles') expect(report.ranges).toEqual([[seq, firsts[2]]]);
    else expect(report.ranges[0]![0]).toBeLessThanOrEqual(seq);
    expect(after.findings[0]).toMatchObject({ kind: 'range', range: report.ranges[0] });
    expect((await repairLog(log)).action).toBe('none');
    const writer = openDirect(log, { archive: true });
    appendEvents(writer, numbered(0, 5));
    writer.close();
    expect((await audit(log)).verdict).toBe('missing');
    const kept: number[] = [];
    for await (const { line } of readLines(log.dir))
      kept.push((JSON.parse(line.toString()) as LogRecord).seq);
    expect(kept.slice(0, report.ranges[0]![0])).toEqual(
      Array.from({ length: report.ranges[0]![0] }, (_, i) => i),
    );
  });

  test('whose repair was interrupted does not stay beside the lines that it saved', async () => {
    const log = copyOf(made);
    const seq = spoil(log);
    const file = archivePath(log.dir, firsts[1]!);
    const { folder } = await repairLog({ ...log, dryRun: true });
    const aside = path.join(log.dir, folder!, 'segments');
    fs.mkdirSync(aside, { recursive: true });
    fs.linkSync(file, path.join(aside, path.basename(file)));
    const kept = lines.slice(firsts[1], seq).map((line) => `${line}\n`);
    fs.writeFileSync(file.slice(0, -'.gz'.length), kept.join(''));
    const report = await repairLog(log);
    expect(report).toMatchObject({ action: 'continue', ranges: [[seq, firsts[2]]] });
    expect(fs.existsSync(file)).toBe(false);
    const after = await audit(log);
    expect(after.verdict).toBe('missing');
    expect(after.findings.map(({ kind }) => kind)).toEqual(['range', 'repair']);
  });

  test('that is the first one does not make a repair begin a new log', async () => {
    const log = copyOf(made);
    const file = archivePath(log.dir, 0);
    const bytes = fs.readFileSync(file);
    bytes[5]! ^= 1;
    fs.writeFileSync(file, bytes);
    expect((await repairLog({ ...log, dryRun: true })).action).toBe('continue');
    expect((await repairLog(log)).action).toBe('continue');
    expect((await audit(log)).verdict).toBe('missing');
  });
});

test('a segment of several chunks is read by several threads, and named at its place by them', async () => {
  const log = temporaryLog();
  const writer = openDirect(log);
  const events = numbered(0, 50).map((event, i) => ({
    ...event,
    details: { text: String(i).repeat(25_000) },
  }));
  for (let i = 0; i < 18; i++) appendEvents(writer, events);
  writer.rotate();
  appendEvents(writer, numbered(0, 1));
  writer.close();
  const whole = linesOf(log.dir);
  await archiveLog(log);
  expect((await logStatus(log)).archive.lineBytes).toBeGreaterThan(34 * 1024 * 1024);
  expect((await audit(log, { threads: 2 })).findings).toEqual([]);
  const file = archivePath(log.dir, 0);
  const bytes = fs.readFileSync(file);
  bytes[memberPlace(file, 3) + memberHeaderBytes + 40]! ^= 1;
  fs.writeFileSync(file, bytes);
  for (const threads of [1, 2]) {
    const { verdict, findings } = await audit(log, { threads });
    const offset = whole.slice(0, 768).reduce((sum, line) => sum + line.length + 1, 0);
    expect(verdict).toBe('tampered');
    expect(findings[0]).toMatchObject({ seq: 768, offset });
  }
});
