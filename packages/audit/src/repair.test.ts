import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { repairLog } from './repair.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import {
  copyOf,
  type Folders,
  foldersIn,
  linesOf,
  makeTemporary,
  segmentFiles,
} from './testing/folders.js';

pretendToSync();

let made: Folders;
let older: Folders;
let notes: { name: string; note: string }[];

/** Several segments, closed, and an older copy of it. */
beforeAll(() => {
  made = foldersIn(makeTemporary());
  older = foldersIn(makeTemporary());
  notes = [];
  const write = (from: number): void => {
    const writer = openDirect(made, { segmentBytesMax: 8_192 });
    for (let i = 0; i < 60; i++) {
      appendEvents(writer, numbered(from + i, 1));
      if (i % 20 === 0) notes.push({ name: `held ${from + i}`, note: writer.checkpoint() });
    }
    writer.close();
  };
  write(0);
  fs.cpSync(made.dir, older.dir, { recursive: true });
  write(60);
});

function change(file: string, edit: (bytes: Buffer) => Buffer): void {
  fs.writeFileSync(file, edit(fs.readFileSync(file)));
}

/** Changes one byte of the content of a line. */
function spoil(file: string, line: number): void {
  change(file, (bytes) => {
    const lines = bytes.toString('utf8').split('\n');
    lines[line] = lines[line]!.replace('"emitter":"', '"emitter":"X');
    return Buffer.from(lines.join('\n'));
  });
}

interface Damage {
  readonly name: string;
  readonly verdict: 'missing' | 'tampered';
  readonly tiles: 'kept' | 'gone';
  hurt(log: Folders): void;
}

const damages: Damage[] = (['kept', 'gone'] as const).flatMap((tiles) =>
  (
    [
      ['a record in the middle changed', 'missing', (log) => spoil(segmentFiles(log.dir)[2]!, 3)],
      ['the first record changed', 'missing', (log) => spoil(segmentFiles(log.dir)[0]!, 0)],
      [
        'the last record changed',
        'missing',
        (log) =>
          spoil(
            segmentFiles(log.dir).at(-1)!,
            -2 + fs.readFileSync(segmentFiles(log.dir).at(-1)!, 'utf8').split('\n').length,
          ),
      ],
      ['a segment deleted', 'missing', (log) => fs.rmSync(segmentFiles(log.dir)[1]!)],
      ['the last segment deleted', 'missing', (log) => fs.rmSync(segmentFiles(log.dir).at(-1)!)],
      [
        'the end cut off',
        'missing',
        (log) => change(segmentFiles(log.dir).at(-1)!, (bytes) => bytes.subarray(0, -1_500)),
      ],
      [
        'forged lines behind the end',
        'tampered',
        (log) => fs.appendFileSync(segmentFiles(log.dir).at(-1)!, `${linesOf(log.dir).at(-1)}\n`),
      ],
      [
        'a segment that nobody wrote',
        'tampered',
        (log) =>
          fs.copyFileSync(
            segmentFiles(log.dir)[1]!,
            path.join(log.dir, 'segments', `${'9'.repeat(15).padStart(20, '0')}.jsonl`),
          ),
      ],
      [
        'the checkpoint overwritten',
        'tampered',
        (log) => fs.writeFileSync(path.join(log.dir, 'checkpoint'), 'rubbish\n'),
      ],
      [
        'two segments changed',
        'missing',
        (log) => {
          spoil(segmentFiles(log.dir)[1]!, 1);
          spoil(segmentFiles(log.dir)[3]!, 2);
        },
      ],
      [
        'the folder replaced by an older copy',
        'missing',
        (log) => {
          fs.rmSync(log.dir, { recursive: true });
          fs.cpSync(older.dir, log.dir, { recursive: true });
        },
      ],
      [
        'all segments deleted',
        'missing',
        (log) => {
          for (const file of segmentFiles(log.dir)) fs.rmSync(file);
        },
      ],
    ] as [string, 'missing' | 'tampered', (log: Folders) => void][]
  ).map(([name, verdict, hurt]) => ({
    name: `${name}, tiles ${tiles}`,
    verdict,
    tiles,
    hurt: (log: Folders) => {
      hurt(log);
      if (tiles === 'gone') fs.rmSync(path.join(log.dir, 'tile'), { recursive: true, force: true });
    },
  })),
);

describe.each(damages)('$name', ({ verdict, hurt }) => {
  test('is set aside and recorded; verify reports it, the log goes on, later damage still shows', async () => {
    const log = copyOf(made);
    hurt(log);
    const head = fs.readFileSync(path.join(log.keysDir, 'head'), 'utf8');
    const before = await audit(log, { head });
    expect(before.verdict).not.toBe('ok');
    const plan = await repairLog({ ...log, dryRun: true });
    expect((await audit(log, { head })).verdict).toBe(before.verdict);
    const report = await repairLog(log);
    expect(report).toEqual(plan);
    expect(report.action).toBe('continue');
    const after = await audit(log, { held: notes });
    expect(after.findings[0]?.kind, JSON.stringify(after.findings)).toMatch(/^(range|repair)$/);
    expect(after.verdict).toBe(verdict);
    expect(after.findings.at(-1)?.kind).toBe('repair');
    expect(after.pending).toBe(0);
    expect((await repairLog(log)).action).toBe('none');

    const writer = openDirect(log);
    appendEvents(writer, numbered(500, 5));
    writer.close();
    const reopened = openDirect(log);
    appendEvents(reopened, numbered(600, 5));
    const later = await audit(log, { held: notes });
    expect(later.verdict).toBe(verdict);
    expect(later.findings.map(({ kind }) => kind)).toEqual(after.findings.map(({ kind }) => kind));
    reopened.close();
    const numbers = linesOf(log.dir)
      .map((line) => JSON.parse(line) as LogRecord)
      .filter((record) => record.event_type === 'test.event')
      .map((record) => Number(record.details?.['number']));
    expect(numbers.slice(-10)).toEqual([500, 501, 502, 503, 504, 600, 601, 602, 603, 604]);
    expect(new Set(numbers).size).toBe(numbers.length);

    // What comes behind the repair is bound as before.
    spoil(segmentFiles(log.dir).at(-1)!, 2);
    expect((await audit(log)).verdict).toBe('tampered');
  });
});
