import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect, type Told } from './testing/direct-writer.js';
import { type Fault, pretendToSync, withFaults } from './testing/faults.js';
import { type Folders, linesOf, temporaryLog } from './testing/folders.js';

pretendToSync();

function reserves(log: Folders): boolean[] {
  return [log.dir, log.keysDir].map((folder) => fs.existsSync(path.join(folder, 'reserve')));
}

/** A disk with no room but what the reserve gives: nothing can be written while the reserve is there, or to make it anew. */
function fullDisk(log: Folders, room = Number.POSITIVE_INFINITY): Fault {
  let left = room;
  return (name, first) => {
    if (name === 'openSync' && /reserve\.tmp$/.test(String(first))) return true;
    if (name !== 'writeSync') return false;
    return reserves(log)[0] === true || left-- <= 0;
  };
}

function errorsOf(told: readonly Told[]): string[] {
  return told.flatMap((one) => ('error' in one ? [`${one.error.code} ${one.error.message}`] : []));
}

function types(log: Folders): string[] {
  return linesOf(log.dir).map((line) => (JSON.parse(line) as LogRecord).event_type);
}

test('an open log keeps space in both folders, and takes what it finds', () => {
  const log = temporaryLog();
  openDirect(log).close();
  expect(reserves(log)).toEqual([true, true]);
  const { ino } = fs.statSync(path.join(log.dir, 'reserve'));
  openDirect(log).close();
  expect(fs.statSync(path.join(log.dir, 'reserve')).ino).toBe(ino);
});

describe('when the disk is full', () => {
  test('the caller is told, the book says so at once, and nothing more is taken', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 2));
    withFaults(
      fullDisk(log),
      () => {
        expect(errorsOf(appendEvents(writer, numbered(2, 1)))).toEqual([
          expect.stringMatching(/^write_failed .*ENOSPC/),
        ]);
        const last = JSON.parse(linesOf(log.dir).at(-1)!) as LogRecord;
        expect(last.event_type).toBe('log.recovered');
        expect(last.details).toMatchObject({ reason: 'write_failed', error: 'ENOSPC' });
        const before = linesOf(log.dir).length;
        expect(errorsOf(appendEvents(writer, numbered(3, 1)))).toEqual([
          expect.stringMatching(/^write_failed the disk is full .*Make room/),
        ]);
        expect(linesOf(log.dir)).toHaveLength(before);
        expect(reserves(log)).toEqual([false, false]);
        writer.close();
      },
      'ENOSPC',
    );
    expect(types(log).slice(-2)).toEqual(['log.recovered', 'log.closed']);
    const report = await audit(log);
    expect(report.verdict).toBe('ok');
    expect(report.pending).toBe(0);
  });

  test('with room again it goes on, and keeps space again', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    withFaults(fullDisk(log), () => appendEvents(writer, numbered(0, 1)), 'ENOSPC');
    expect(errorsOf(appendEvents(writer, numbered(1, 2)))).toEqual([]);
    expect(reserves(log)).toEqual([true, true]);
    writer.close();
    expect(types(log).filter((type) => type === 'test.event')).toHaveLength(2);
    expect((await audit(log)).verdict).toBe('ok');
  });

  test('with a reserve that was too small the record is written once there is room', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    withFaults(fullDisk(log, 0), () => appendEvents(writer, numbered(0, 1)), 'ENOSPC');
    expect(types(log)).not.toContain('log.recovered');
    expect(errorsOf(appendEvents(writer, numbered(1, 1)))).toEqual([]);
    expect(types(log).slice(-2)).toEqual(['log.recovered', 'test.event']);
    writer.close();
    expect((await audit(log)).verdict).toBe('ok');
  });
});

test('another error than a full disk leaves the reserve alone', () => {
  const log = temporaryLog();
  const writer = openDirect(log);
  withFaults(
    (name) => name === 'writeSync',
    () => appendEvents(writer, numbered(0, 1)),
    'EIO',
  );
  expect(reserves(log)).toEqual([true, true]);
  writer.close();
});

test('a log that can keep no reserve works without one', () => {
  const log = temporaryLog();
  const writer = withFaults(
    (name, first) => name === 'openSync' && /reserve/.test(String(first)),
    () => openDirect(log),
    'ENOSPC',
  );
  expect(errorsOf(appendEvents(writer, numbered(0, 1)))).toEqual([]);
  expect(reserves(log)).toEqual([false, false]);
  writer.close();
});
