import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AuditErrorCode } from './errors.js';
import { appendEvents, numbered, openDirect, type Told } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { copyFolder, type Folders, segmentFiles, temporaryLog } from './testing/folders.js';
import type { Writer } from './writer.js';

pretendToSync();

function openWithRecords(log: Folders): Writer {
  const writer = openDirect(log);
  appendEvents(writer, numbered(0, 3));
  return writer;
}

function errorOf(told: readonly Told[]): { code: AuditErrorCode; message: string } | undefined {
  const [first] = told;
  return first !== undefined && 'error' in first ? first.error : undefined;
}

const losses: [string, RegExp, (log: Folders) => void][] = [
  ['the segment deleted', /jsonl was deleted/, (log) => fs.rmSync(segmentFiles(log.dir).at(-1)!)],
  [
    'the segment replaced by a copy',
    /jsonl was deleted or replaced/,
    (log) => {
      const file = segmentFiles(log.dir).at(-1)!;
      fs.copyFileSync(file, `${file}.copy`);
      fs.renameSync(`${file}.copy`, file);
    },
  ],
  [
    'the segment replaced by a link to itself',
    /jsonl was deleted or replaced/,
    (log) => {
      const file = segmentFiles(log.dir).at(-1)!;
      fs.renameSync(file, `${log.dir}/moved`);
      fs.symlinkSync(`${log.dir}/moved`, file);
    },
  ],
  ['the segment emptied', /has 0 bytes/, (log) => fs.truncateSync(segmentFiles(log.dir).at(-1)!)],
  [
    'the segment grown',
    /somebody else changed it/,
    (log) => fs.appendFileSync(segmentFiles(log.dir).at(-1)!, '{"seq":'),
  ],
  ['the log folder deleted', /jsonl was deleted/, (log) => fs.rmSync(log.dir, { recursive: true })],
  [
    'the log folder moved and made anew',
    /jsonl was deleted/,
    (log) => {
      fs.renameSync(log.dir, `${log.dir}.old`);
      fs.mkdirSync(path.join(log.dir, 'segments'), { recursive: true });
    },
  ],
  ['the keys deleted', /keys was deleted/, (log) => fs.rmSync(log.keysDir, { recursive: true })],
  [
    'the keys folder replaced by a copy',
    /keys was deleted or replaced/,
    (log) => {
      copyFolder(log.keysDir, `${log.keysDir}.copy`);
      fs.renameSync(log.keysDir, `${log.keysDir}.old`);
      fs.renameSync(`${log.keysDir}.copy`, log.keysDir);
    },
  ],
];

describe.each(losses)('%s while the log is open', (_, message, lose) => {
  test('the next append is refused, and so is everything after it', () => {
    const log = temporaryLog();
    const writer = openWithRecords(log);
    lose(log);
    const error = errorOf(appendEvents(writer, numbered(3, 1)));
    expect(error?.code).toBe('log_failed');
    expect(error?.message).toMatch(message);
    expect(errorOf(appendEvents(writer, numbered(4, 1)))?.code).toBe('log_failed');
    expect(() => writer.checkpoint()).toThrow(message);
    expect(() => writer.close()).toThrow(message);
  });
});

test('a checkpoint is not signed for a segment that is gone', () => {
  const log = temporaryLog();
  const writer = openWithRecords(log);
  const before = fs.readFileSync(path.join(log.dir, 'checkpoint'), 'utf8');
  fs.rmSync(segmentFiles(log.dir).at(-1)!);
  expect(() => writer.checkpoint()).toThrow(/was deleted/);
  expect(fs.readFileSync(path.join(log.dir, 'checkpoint'), 'utf8')).toBe(before);
});

test('a log whose folders are reached through links, or were renamed together with it, is watched by what is there', () => {
  const log = temporaryLog();
  fs.mkdirSync(`${log.keysDir}.real`, { mode: 0o700 });
  fs.symlinkSync(`${log.keysDir}.real`, log.keysDir);
  const writer = openWithRecords(log);
  expect(errorOf(appendEvents(writer, numbered(3, 1)))).toBeUndefined();
  writer.close();
});
