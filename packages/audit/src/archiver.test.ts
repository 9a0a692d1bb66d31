import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveLog } from './archive-log.js';
import { makeArchive } from './archive-make.js';
import { archiveTask, plainSegments, putArchive, readUnarchived } from './archive-place.js';
import { readHead } from './keys.js';
import { LineFile } from './line-file.js';
import { openAuditLog } from './log.js';
import { findLine } from './reader.js';
import { archivePath, listSegments, segmentPath } from './segment.js';
import { linesAtMost } from './segment-bytes.js';
import { logStatus } from './status.js';
import {
  archived,
  archivesOf,
  makeSealedLog,
  readAllLines,
  tickUntil,
  unfinishedIn,
} from './testing/archived.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import { callsToTry, dieAt, pretendToSync, withFaults } from './testing/faults.js';
import { copyOf, type Folders, linesOf, removeTemporary, segmentFiles } from './testing/folders.js';

pretendToSync();

let made: Folders;
let lines: string[];
let sealed: number;
beforeAll(() => {
  made = makeSealedLog();
  lines = linesOf(made.dir);
  sealed = segmentFiles(made.dir).length - 1;
});
afterAll(() => removeTemporary(path.dirname(made.dir)));

/** Everything that was there is there, in the same bytes, and verifies at both levels. */
async function expectWhole(log: Folders, what = ''): Promise<void> {
  const report = await audit(log);
  expect(report.findings, what).toEqual([]);
  expect(report.verdict, what).toBe('ok');
  expect((await audit(log, { hmacKey: undefined })).verdict, what).toBe('ok');
  expect((await readAllLines(log.dir)).slice(0, lines.length), what).toEqual(lines);
}

describe('while a log is open', () => {
  test('its sealed segments are archived, but for the open one, and all is read as before', async () => {
    const log = copyOf(made);
    const writer = openDirect(log, { archive: true });
    await tickUntil(writer, () => archivesOf(log.dir).length === sealed);
    expect(segmentFiles(log.dir)).toHaveLength(1);
    await tickUntil(writer, () => writer.dueInMs() > 0);
    appendEvents(writer, numbered(0, 5));
    writer.rotate();
    appendEvents(writer, numbered(5, 5));
    await tickUntil(writer, () => archivesOf(log.dir).length === sealed + 1);
    writer.close();
    expect(unfinishedIn(log.dir)).toEqual([]);
    await expectWhole(log);
    for (const seq of [0, 1, 255, 256, 257, 700, lines.length - 1]) {
      expect(findLine(log.dir, seq)?.line.toString()).toBe(lines[seq]);
    }
    const status = await logStatus(log);
    expect(status).toMatchObject({ segments: sealed + 2, archive: { segments: sealed + 1 } });
    expect(status.archive.bytes).toBeLessThan(status.archive.lineBytes / 2);
    expect(status.bytes).toBeGreaterThan(status.archive.lineBytes);
  });

  test('by the thread of a log’s own writer too', async () => {
    const log = copyOf(made);
    const open = await openAuditLog({ ...log, archive: true });
    const untilMs = Date.now() + 20_000;
    while (archivesOf(log.dir).length < sealed && Date.now() < untilMs) {
      await open.append({ eventType: 'test.event' });
    }
    expect(archivesOf(log.dir)).toHaveLength(sealed);
    await open.close();
    await expectWhole(log);
  });

  test('is off unless asked for', async () => {
    const log = copyOf(made);
    const writer = openDirect(log);
    for (let i = 0; i < 20; i++) writer.tick();
    writer.close();
    expect(archivesOf(log.dir)).toEqual([]);
    expect(() => openDirect(log, { archive: 'yes' as unknown as boolean })).toThrow('archive must');
  });

  test('closing does not wait for an archive, and leaves nothing unfinished', async () => {
    const log = copyOf(made);
    const writer = openDirect(log, { archive: true });
    writer.tick();
    writer.close();
    // The thread had not begun, so it was told to leave it.
    expect(archivesOf(log.dir)).toEqual([]);
    expect(unfinishedIn(log.dir)).toEqual([]);
    await expectWhole(log);
  });

  test('a segment that is not as the tree has it stays, and is noted once', async () => {
    const log = copyOf(made);
    const file = segmentFiles(log.dir)[1]!;
    const changed = fs.readFileSync(file);
    changed[changed.length >> 1]! ^= 1;
    fs.writeFileSync(file, changed);
    const writer = openDirect(log, { archive: true });
    await tickUntil(writer, () => archivesOf(log.dir).length === sealed - 1);
    await tickUntil(writer, () => readUnarchived(log.dir).length > 0);
    const noted = fs.statSync(path.join(log.dir, 'unarchived')).mtimeMs;
    appendEvents(writer, numbered(0, 1));
    writer.rotate();
    appendEvents(writer, numbered(1, 1));
    await tickUntil(writer, () => archivesOf(log.dir).length === sealed);
    expect(fs.statSync(path.join(log.dir, 'unarchived')).mtimeMs).toBe(noted);
    expect(fs.readFileSync(file)).toEqual(changed);
    expect((await logStatus(log)).archive.unarchived).toMatchObject([
      {
        segment: path.basename(file),
        reason: expect.stringContaining('does not hold the records'),
      },
    ]);
    writer.close();
    openDirect(log).close();
    expect((await logStatus(log)).archive.unarchived).toEqual([]);
  });
});

describe('the place of a segment', () => {
  /** What archiving does to the sealed segments of a closed log, without its locks. */
  function archiveAll({ dir, keysDir }: Folders): void {
    for (const segment of plainSegments(dir, readHead({ folder: keysDir }).segment)) {
      const task = archiveTask(dir, segment)!;
      makeArchive(task);
      putArchive(dir, task.firstSeq);
    }
  }

  /** A smaller log, since each call is tried in a copy of its own. */
  let small: Folders;
  let book: string[];
  beforeAll(() => {
    small = makeSealedLog(950);
    book = linesOf(small.dir);
    expect(segmentFiles(small.dir)).toHaveLength(3);
  });
  afterAll(() => removeTemporary(path.dirname(small.dir)));

  async function expectBook(log: Folders, what: string): Promise<void> {
    const report = await audit(log);
    expect(report.findings, what).toEqual([]);
    expect(report.verdict, what).toBe('ok');
    expect((await readAllLines(log.dir)).slice(0, book.length), what).toEqual(book);
  }

  test('killed at any call, the log opens, verifies and has lost nothing, and goes on archiving', async () => {
    for (const at of callsToTry()) {
      const log = copyOf(small);
      const { died } = dieAt(at, () => archiveAll(log));
      await expectBook(log, `died at call ${at}`);
      openDirect(log).close();
      await expectBook(log, `died at call ${at}, opened`);
      expect(unfinishedIn(log.dir), `died at call ${at}`).toEqual([]);
      await archiveLog(log);
      expect(archivesOf(log.dir), `died at call ${at}`).toHaveLength(2);
      expect(segmentFiles(log.dir), `died at call ${at}`).toHaveLength(1);
      await expectBook(log, `died at call ${at}, archived`);
      if (!died) break;
      expect(at).toBeLessThan(500);
    }
  });

  test('one call fails: nothing is lost, and the next try finishes it', async () => {
    for (const at of callsToTry()) {
      const log = copyOf(small);
      let calls = 0;
      const tried = withFaults(
        () => calls++ === at,
        () => archiveLog(log).then(String, String),
      );
      await tried;
      await expectBook(log, `call ${at} failed`);
      await archiveLog(log);
      expect(archivesOf(log.dir), `call ${at} failed`).toHaveLength(2);
      await expectBook(log, `call ${at} failed, archived`);
      if (calls <= at) break;
      expect(at).toBeLessThan(500);
    }
  });

  test('the plain file goes when the archive and its name are on disk, and not before', () => {
    const log = copyOf(made);
    const calls: string[] = [];
    const opened = new Map<unknown, string>();
    const realOpen = fs.openSync;
    Object.assign(fs, {
      openSync: (file: string, ...rest: [string]) => {
        const fd = realOpen(file, ...rest);
        opened.set(fd, path.basename(file));
        return fd;
      },
    });
    syncBuiltinESMExports();
    try {
      const note = (name: string, first: unknown): boolean => {
        const file = opened.get(first) ?? path.basename(String(first));
        if (name !== 'writeSync' && name !== 'openSync') calls.push(`${name} ${file}`);
        return false;
      };
      const [segment] = plainSegments(log.dir, Number.POSITIVE_INFINITY);
      const task = archiveTask(log.dir, segment!)!;
      withFaults(note, () => {
        makeArchive(task);
        putArchive(log.dir, task.firstSeq);
      });
    } finally {
      Object.assign(fs, { openSync: realOpen });
      syncBuiltinESMExports();
    }
    const name = path.basename(segmentPath(log.dir, 0));
    expect(calls).toEqual([
      `rmSync ${name}.gz.tmp`,
      `fsyncSync ${name}.gz.tmp`,
      `renameSync ${name}.gz.tmp`,
      'fsyncSync segments',
      `rmSync ${name}`,
      'fsyncSync segments',
    ]);
  });

  test('where both forms are left the plain one counts, and its archive is made again', async () => {
    const log = copyOf(made);
    const [segment] = plainSegments(log.dir, Number.POSITIVE_INFINITY);
    const task = archiveTask(log.dir, segment!)!;
    makeArchive(task);
    fs.renameSync(task.target, archivePath(log.dir, 0));
    const bytes = fs.readFileSync(archivePath(log.dir, 0));
    const spoilt = Buffer.from(bytes);
    spoilt[200]! ^= 1;
    fs.writeFileSync(archivePath(log.dir, 0), spoilt);
    await expectWhole(log);
    const writer = openDirect(log, { archive: true });
    await tickUntil(writer, () => archivesOf(log.dir).length === sealed);
    await tickUntil(writer, () => segmentFiles(log.dir).length === 1);
    writer.close();
    expect(fs.readFileSync(archivePath(log.dir, 0))).toEqual(bytes);
    await expectWhole(log);
  });

  test('a segment that was deleted meanwhile does not come back', () => {
    const log = copyOf(made);
    const [segment] = plainSegments(log.dir, Number.POSITIVE_INFINITY);
    makeArchive(archiveTask(log.dir, segment!)!);
    fs.rmSync(segmentPath(log.dir, 0));
    putArchive(log.dir, 0);
    expect(archivesOf(log.dir)).toEqual([]);
    expect(unfinishedIn(log.dir)).toEqual([]);
  });

  test('retention deletes archives like plain segments', async () => {
    const log = await archived(copyOf(made));
    const plain = copyOf(made);
    const removed = [log, plain].map((each) => {
      const writer = openDirect(each, { retention: { totalBytesMax: 250_000 } });
      const gone = writer.prune({ dryRun: false, confirmClock: false });
      writer.close();
      return gone;
    });
    expect(removed[0]!.length).toBeGreaterThan(0);
    expect(removed[0]).toEqual(removed[1]);
    expect(archivesOf(log.dir)).toHaveLength(sealed - removed[0]!.length);
    const report = await audit(log);
    expect(report.findings).toEqual([]);
    expect(report.pruned).toHaveLength(1);
  });
});

describe('a reader', () => {
  test('opens whichever form there is, whatever the listing said', async () => {
    const log = copyOf(made);
    const listed = listSegments(log.dir);
    await archiveLog(log);
    const first = (file: string): string => {
      const reader = new LineFile(file);
      reader.next();
      const line = reader.buf.toString('utf8', reader.start, reader.end);
      reader.close();
      return line;
    };
    expect(first(listed[0]!.path)).toBe(lines[0]);
    const later = listSegments(log.dir);
    expect(later.map(({ name }) => name)).toEqual(listed.map(({ name }) => name));
    expect(later[0]!.path).toBe(archivePath(log.dir, 0));
    fs.copyFileSync(segmentFiles(made.dir)[0]!, segmentPath(log.dir, 0));
    fs.rmSync(archivePath(log.dir, 0));
    expect(first(later[0]!.path)).toBe(lines[0]);
    fs.rmSync(segmentPath(log.dir, 0));
    expect(() => first(later[0]!.path)).toThrow('ENOENT');
    // What is no regular file is nothing that anybody listed.
    fs.symlinkSync(segmentFiles(made.dir)[0]!, segmentPath(log.dir, 0));
    expect(() => first(later[0]!.path)).toThrow('ENOENT');
  });

  test('does not lose a segment whose place changes while the folder is listed', () => {
    const log = copyOf(made);
    const names = listSegments(log.dir).map(({ name }) => name);
    const real = fs.readdirSync as (...args: unknown[]) => fs.Dirent[];
    let calls = 0;
    const torn = (...args: unknown[]): fs.Dirent[] =>
      real(...args).filter(({ name }) => calls++ > 0 || !name.startsWith(names[0]!));
    Object.assign(fs, { readdirSync: torn });
    syncBuiltinESMExports();
    try {
      expect(listSegments(log.dir).map(({ name }) => name)).toEqual(names);
      expect(calls).toBeGreaterThan(0);
    } finally {
      Object.assign(fs, { readdirSync: real });
      syncBuiltinESMExports();
    }
  });
});

test('the last segment is never archived, and a log does not go on in an archive', async () => {
  const log = copyOf(made);
  const last = listSegments(log.dir).at(-1)!;
  await archiveLog(log);
  expect(fs.existsSync(last.path)).toBe(true);
  const target = `${last.path}.gz`;
  const task = { dir: log.dir, firstSeq: last.firstSeq, endSeq: lines.length };
  makeArchive({ ...task, source: last.path, target });
  fs.rmSync(last.path);
  expect(() => openDirect(log)).toThrow('which the log never makes of its end');
  // A verifier judges its lines.
  expect((await audit(log)).verdict).toBe('ok');
});

test('a segment that the head’s last record ends is not archived yet', async () => {
  const log = copyOf(made);
  const killed = openDirect(log);
  killed.rotate();
  const left = listSegments(log.dir).at(-2)!;
  expect(readHead({ folder: log.keysDir }).segment).toBe(left.firstSeq);
  expect((await archiveLog(log)).archived).toHaveLength(sealed);
  expect(fs.existsSync(left.path)).toBe(true);
  openDirect(log).close();
  await expectWhole(log);
});

test('an archive is never believed to hold fewer lines than it does', async () => {
  const log = await archived(copyOf(made));
  for (const [i, file] of archivesOf(log.dir).entries()) {
    const [first, next] = listSegments(log.dir).slice(i, i + 2);
    expect(linesAtMost(file)).toBeGreaterThanOrEqual(next!.firstSeq - first!.firstSeq);
  }
});

test('a log that is open is not archived from outside', async () => {
  const log = copyOf(made);
  const open = await openAuditLog(log);
  await expect(archiveLog(log)).rejects.toMatchObject({ code: 'log_locked' });
  await open.close();
  await expect(archiveLog({ ...log, dir: `${log.dir}-absent` })).rejects.toMatchObject({
    code: 'not_found',
  });
});
