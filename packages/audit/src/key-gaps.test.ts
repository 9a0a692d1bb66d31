import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkNote, parseNote, parseVerifierKey, signCheckpoint } from './checkpoint.js';
import { listKept } from './kept.js';
import { readKeys } from './keys.js';
import { readPreviousLog } from './previous-log.js';
import { repairLog } from './repair.js';
import { keySigner, parsePrivateKey } from './signer.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import { pretendToSync } from './testing/faults.js';
import { copyOf, type Folders, foldersIn, makeTemporary, segmentFiles } from './testing/folders.js';

pretendToSync();

/** The key history where records are gone: deleted by retention, or lost and repaired. */

const segmentBytesMax = 4_096;

interface Rotated {
  readonly log: Folders;
  readonly older: string;
  readonly newer: string;
  readonly olderPem: Buffer;
}

/** Segments under the older key, then the change, then segments under the newer one. */
function makeRotated(): Rotated {
  const log = foldersIn(makeTemporary());
  let writer = openDirect(log, { segmentBytesMax });
  appendEvents(writer, numbered(0, 40));
  const older = publicKeyOf(log);
  const olderPem = fs.readFileSync(path.join(log.keysDir, 'signing-key.pem'));
  writer.rotate();
  const newer = writer.rotateKey({});
  writer.rotate();
  writer.close();
  writer = openDirect(log, { segmentBytesMax });
  appendEvents(writer, numbered(40, 40));
  writer.close();
  return { log, older, newer, olderPem };
}

function recordsIn(file: string): LogRecord[] {
  const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LogRecord);
}

function recordsOf(log: Folders): LogRecord[] {
  return segmentFiles(log.dir).flatMap(recordsIn);
}

function aboutKeys(log: Folders, type: string): number {
  return recordsOf(log).filter((record) => record.event_type === type).length;
}

/** Index of the segment file that holds the first record of a type. */
function holding(log: Folders, type: string): number {
  return segmentFiles(log.dir).findIndex((file) =>
    recordsIn(file).some((record) => record.event_type === type),
  );
}

function spoil(file: string, line: number): void {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  lines[line] = lines[line]!.replace('"emitter":"', '"emitter":"X');
  fs.writeFileSync(file, lines.join('\n'));
}

let made: Rotated;
beforeAll(() => {
  made = makeRotated();
});

describe('a log that deletes', () => {
  test('verifies by any key of its history, and says where it ends, when the records about keys are only kept', async () => {
    const log = foldersIn(makeTemporary());
    const clock = new FakeClock();
    const options = { rotate: 'daily', retention: { retentionDays: 5 } } as const;
    const keys: string[] = [];
    for (let day = 0; day < 20; day++) {
      const writer = openDirect(log, options, clock);
      if (day === 0) keys.push(publicKeyOf(log));
      appendEvents(writer, numbered(day, 30));
      if (day === 2) keys.push(writer.rotateKey({}));
      if (day === 4) keys.push(writer.rotateKey({ overlap: true }));
      if (day === 6) writer.retireKey();
      if (day === 17) keys.push(writer.rotateKey({}));
      writer.close();
      clock.pass(86_400_000);
    }
    const writer = openDirect(log, options, clock);
    writer.prune({ dryRun: false, confirmClock: false });
    writer.close();
    const kept = listKept(log.dir).flatMap(({ path: file }) => recordsIn(file));
    const aboutKeys = kept.filter(({ event_type: type }) => type.startsWith('log.key_'));
    expect(aboutKeys).toHaveLength(4);
    for (const key of keys) {
      const report = await audit(log, { publicKeys: [key] });
      expect(report.findings, key).toEqual([]);
      expect(report).toMatchObject({ verdict: 'ok', pending: 0 });
    }
    const previous = await readPreviousLog(log.dir);
    const { origin, size, root } = JSON.parse(
      fs.readFileSync(path.join(log.keysDir, 'head'), 'utf8'),
    ) as Record<string, unknown>;
    expect(previous).toEqual({ origin, size, root, signed: size, verdict: 'ok' });
  });
});

/** What is hurt, with which tiles the records about keys survive, and how. */
const damages: [string, readonly string[], (log: Folders) => void][] = [
  ['before the change', ['kept'], (log) => spoil(segmentFiles(log.dir)[1]!, 3)],
  [
    'right behind the link, whose size is then the bound',
    [],
    (log) => {
      const at = holding(log, 'log.key_rotated');
      const file = segmentFiles(log.dir)[at]!;
      const line = recordsIn(file).findIndex(({ event_type: type }) => type === 'log.key_retired');
      spoil(file, line);
    },
  ],
  [
    'in the record that names the key',
    [],
    (log) => {
      const file = segmentFiles(log.dir)[holding(log, 'log.key_rotated')]!;
      const line = recordsIn(file).findIndex(({ event_type: type }) => type === 'log.key_rotated');
      spoil(file, line);
    },
  ],
  ['behind the change', ['kept', 'gone'], (log) => spoil(segmentFiles(log.dir).at(-2)!, 3)],
];

describe.each(damages)('damage %s, repaired', (_where, surviving, hurt) => {
  test.each(['kept', 'gone'])('is reported whichever key is brought, tiles %s', async (tiles) => {
    const { older, newer } = made;
    const log = copyOf(made.log);
    hurt(log);
    if (tiles === 'gone') fs.rmSync(path.join(log.dir, 'tile'), { recursive: true });
    const checkpoints = fs.readdirSync(path.join(log.dir, 'checkpoints'));
    expect((await repairLog(log)).action).toBe('continue');
    // What the retired key signed is evidence still, and stays where it was.
    expect(fs.readdirSync(path.join(log.dir, 'checkpoints'))).toEqual(
      expect.arrayContaining(checkpoints),
    );
    const link =
      recordsOf(made.log).find(({ event_type: type }) => type === 'log.key_rotated')!.seq + 1;
    const note = fs.readFileSync(path.join(log.dir, 'checkpoints', String(link).padStart(20, '0')));
    for (const key of [older, newer])
      expect(checkNote(parseNote(note), [parseVerifierKey(key)])).toBe('signed');
    const writer = openDirect(log, { segmentBytesMax });
    appendEvents(writer, numbered(80, 5));
    const newest = writer.rotateKey({});
    appendEvents(writer, numbered(85, 5));
    writer.close();
    const whole = surviving.includes(tiles);
    const types = ['log.key_rotated', 'log.key_retired'];
    expect(types.every((type) => aboutKeys(log, type) === 2)).toBe(whole);
    for (const key of [older, newer, newest]) {
      const { verdict, findings } = await audit(log, { publicKeys: [key] });
      // Where records about keys are lost, nothing leads from one key to the next.
      if (whole) expect(verdict, JSON.stringify(findings)).toBe('missing');
      else expect(['missing', 'tampered']).toContain(verdict);
    }
    expect((await repairLog(log)).action).toBe('none');
  });
});

test('a checkpoint that a stolen retired key signed for more is set aside, and the log goes on', async () => {
  const { older, newer, olderPem } = made;
  const log = copyOf(made.log);
  const { origin } = readKeys(log.keysDir)!;
  const thief = keySigner(origin, parsePrivateKey(olderPem, 'the old key'));
  expect(thief.publicKey.text).toBe(older);
  const forged = signCheckpoint({ origin, size: 9_999, root: 'ab'.repeat(32) }, [thief]);
  const file = path.join(log.dir, 'checkpoints', '9999'.padStart(20, '0'));
  fs.writeFileSync(file, forged);
  expect((await audit(log, { publicKeys: [newer] })).verdict).toBe('tampered');
  const report = await repairLog(log);
  expect(report).toMatchObject({
    action: 'continue',
    files: [`checkpoints/${path.basename(file)}`],
  });
  expect(fs.existsSync(file)).toBe(false);
  expect((await audit(log, { publicKeys: [newer] })).findings.map(({ kind }) => kind)).toEqual([
    'repair',
  ]);
});

test('a signing key that is elsewhere and cannot be had is no reason to begin anew', async () => {
  const { log: whole } = made;
  const log = copyOf(whole);
  const state = { current: { source: { kind: 'variable', variable: 'GATEBOOK_SIGNING_UNSET' } } };
  fs.writeFileSync(path.join(log.keysDir, 'signing'), JSON.stringify(state));
  await expect(repairLog(log)).rejects.toMatchObject({ code: 'keys_missing' });
  expect(fs.existsSync(path.join(log.dir, 'former'))).toBe(false);
});

test('where two keys sign, one of them is enough on held evidence and not in the folder', async () => {
  const log = foldersIn(makeTemporary());
  const writer = openDirect(log);
  const older = publicKeyOf(log);
  const newer = writer.rotateKey({ overlap: true });
  appendEvents(writer, numbered(0, 5));
  writer.close();
  const file = path.join(log.dir, 'checkpoint');
  const whole = fs.readFileSync(file, 'utf8');
  const note = parseNote(Buffer.from(whole));
  for (const key of [older, newer]) {
    const [text = '', lines = ''] = whole.split('\n\n');
    const only = lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `${text}\n\n${line}\n`)
      .find(
        (each) => checkNote(parseNote(Buffer.from(each)), [parseVerifierKey(key)]) === 'signed',
      );
    expect(note.signatures).toHaveLength(2);
    const held = [{ name: 'held', note: only! }];
    for (const brought of [older, newer]) {
      const report = await audit(log, { publicKeys: [brought], held });
      expect(report.findings).toEqual([]);
    }
    const other = copyOf(log);
    fs.writeFileSync(path.join(other.dir, 'checkpoint'), only!);
    expect((await audit(other, { publicKeys: [older] })).verdict).toBe('tampered');
  }
});
