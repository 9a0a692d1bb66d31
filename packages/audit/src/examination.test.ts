import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { examineLog } from './examination.js';
import { takeLock } from './lock.js';
import { openAuditLog } from './log.js';
import { appendEvents, numbered, openDirect } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { segmentFiles, temporaryLog } from './testing/folders.js';

pretendToSync();

test('says how a log stands, while it is written and after, and changes nothing', async () => {
  const log = temporaryLog();
  expect(examineLog(log.dir)).toBeUndefined();
  const opened = await openAuditLog({ ...log, checkpointIntervalMs: 60_000 });
  await opened.append({ eventType: 'a.b' });
  expect(examineLog(log.dir, [opened.publicKey])).toMatchObject({
    origin: opened.origin,
    segments: 1,
    records: 2,
    unfinishedBytes: 0,
    lastType: 'a.b',
    checkpoint: { size: 1, signed: true },
    writer: { state: 'writing', pid: process.pid },
    faults: [],
  });
  await opened.close();
  const lock = fs.statSync(path.join(log.dir, 'lock'));
  expect(examineLog(log.dir)).toMatchObject({
    records: 3,
    lastType: 'log.closed',
    checkpoint: { size: 3, signed: undefined },
    writer: { state: 'none' },
  });
  expect(fs.statSync(path.join(log.dir, 'lock'))).toEqual({
    ...lock,
    atime: expect.anything(),
    atimeMs: expect.any(Number),
  });
});

test('another key has not signed it', async () => {
  const [log, other] = [temporaryLog(), temporaryLog()];
  openDirect(log).close();
  openDirect(other).close();
  const key = fs.readFileSync(path.join(other.keysDir, 'public-key'), 'utf8').trim();
  expect(examineLog(log.dir, [key])?.checkpoint?.signed).toBe(false);
});

test('an end that nobody finished, and what cannot be read, is told with why', () => {
  const log = temporaryLog();
  const writer = openDirect(log);
  appendEvents(writer, numbered(0, 3));
  writer.close();
  const [segment] = segmentFiles(log.dir);
  fs.appendFileSync(segment!, '{"seq":');
  expect(examineLog(log.dir)).toMatchObject({ unfinishedBytes: 7, faults: [] });
  fs.appendFileSync(segment!, 'x\n');
  const checkpoint = path.join(log.dir, 'checkpoint');
  fs.rmSync(checkpoint);
  execFileSync('mkfifo', [checkpoint]);
  const found = examineLog(log.dir);
  expect(found?.faults).toEqual([
    expect.stringMatching(/^the last record: /),
    expect.stringMatching(/^the checkpoint: .*not a regular file/),
  ]);
});

test.skipIf(process.platform !== 'linux')(
  'a lock is seen without being taken; a note of a process that is gone is no writer',
  async () => {
    const log = temporaryLog();
    openDirect(log).close();
    const file = path.join(log.dir, 'lock');
    const lock = takeLock(file, 'the log');
    // The system's own list knows better than the note.
    fs.writeFileSync(file, '1\n');
    expect(examineLog(log.dir)?.writer).toEqual({ state: 'writing', pid: 1 });
    const sleeper = spawn('sleep', ['60']);
    fs.writeFileSync(file, `${sleeper.pid}\n`);
    sleeper.kill('SIGSTOP');
    await expect
      .poll(() => examineLog(log.dir)?.writer)
      .toEqual({ state: 'stopped', pid: sleeper.pid });
    lock.release();
    expect(examineLog(log.dir)?.writer).toEqual({ state: 'none', pid: undefined });
    sleeper.kill('SIGKILL');
  },
);
