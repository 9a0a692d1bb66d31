import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseCheckpointText, parseNote, signCheckpoint, verifierKey } from './checkpoint.js';
import { AuditError } from './errors.js';
import { checkProof, findEvent, proveConsistency, proveRecord } from './proof.js';
import { keySigner } from './signer.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, numbered, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import {
  copyOf,
  type Folders,
  foldersIn,
  linesOf,
  makeTemporary,
  removeTemporary,
  segmentFiles,
  temporaryLog,
} from './testing/folders.js';
import { checkConsistency, leafHash } from './tree.js';

pretendToSync();

let folder: string;
let log: Folders;
let lines: string[];
const notes: string[] = [];

beforeAll(() => {
  folder = makeTemporary();
  log = foldersIn(folder);
  const writer = openDirect(log, { segmentBytesMax: 60_000 });
  for (let n = 0; n < 9; n++) {
    appendEvents(writer, numbered(n * 70, 70));
    notes.push(writer.checkpoint());
  }
  lines = linesOf(log.dir);
  appendEvents(writer, numbered(700, 3));
});
afterAll(() => removeTemporary(folder));

const keys = (): string[] => [publicKeyOf(log)];
async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof AuditError) return error.code;
    throw error;
  }
  return 'done';
}

describe('a proof', () => {
  test('of any covered record holds, and gives back the exact line', async () => {
    for (const seq of [0, 1, 255, 256, 257, 511, 512, 600, lines.length - 1]) {
      const proof = await proveRecord({ dir: log.dir, seq });
      expect(proof.startsWith('c2sp.org/tlog-proof@v1\nextra ')).toBe(true);
      const checked = checkProof(proof, keys());
      expect(checked).toMatchObject({ index: seq, size: lines.length, line: lines[seq] });
      expect(checked.record.seq).toBe(seq);
    }
  });

  test('of a record that no checkpoint covers, or that is not there, is not found', async () => {
    for (const seq of [lines.length, lines.length + 2, 10_000, -1, 0.5, Number.NaN]) {
      expect(await codeOf(() => proveRecord({ dir: log.dir, seq }))).toBe('not_found');
    }
    expect(await codeOf(() => proveRecord({ dir: temporaryLog().dir, seq: 0 }))).toBe('not_found');
  });

  test('is computed from the lines where tiles are gone or wrong', async () => {
    const copy = copyOf(log);
    const good = await proveRecord({ dir: log.dir, seq: 300 });
    const tile = path.join(copy.dir, 'tile/0/000');
    fs.writeFileSync(tile, fs.readFileSync(tile).fill(7, 0, 64));
    expect(await proveRecord({ dir: copy.dir, seq: 300 })).toBe(good);
    fs.rmSync(path.join(copy.dir, 'tile'), { recursive: true });
    for (const seq of [0, 255, 256, lines.length - 1]) {
      expect(await proveRecord({ dir: copy.dir, seq })).toBe(
        await proveRecord({ dir: log.dir, seq }),
      );
    }
  });

  test('is not made of a record that was changed', async () => {
    const copy = copyOf(log);
    const file = segmentFiles(copy.dir)[0]!;
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"number":20}', '"number":21}'));
    expect(await codeOf(() => proveRecord({ dir: copy.dir, seq: 21 }))).toBe('log_damaged');
  });

  test('with any byte changed does not hold', async () => {
    const proof = await proveRecord({ dir: log.dir, seq: 300 });
    expect(checkProof(proof, keys()).index).toBe(300);
    for (let at = 0; at < proof.length; at += 3) {
      const changed = proof.slice(0, at) + (proof[at] === 'B' ? 'C' : 'B') + proof.slice(at + 1);
      expect(await codeOf(() => checkProof(changed, keys())), `byte ${at}`).toBe('bad_proof');
    }
  });

  test('of one record does not serve another, nor another key', async () => {
    const [a, b] = [
      (await proveRecord({ dir: log.dir, seq: 4 })).split('\n'),
      (await proveRecord({ dir: log.dir, seq: 5 })).split('\n'),
    ];
    const mixed = [a[0], b[1], ...a.slice(2)].join('\n');
    expect(await codeOf(() => checkProof(mixed, keys()))).toBe('bad_proof');
    const renumbered = [a[0], a[1], b[2], ...a.slice(3)].join('\n');
    expect(await codeOf(() => checkProof(renumbered, keys()))).toBe('bad_proof');
    const other = temporaryLog();
    openDirect(other).close();
    const proof = a.join('\n');
    expect(await codeOf(() => checkProof(proof, [publicKeyOf(other)]))).toBe('bad_proof');
    expect(await codeOf(() => checkProof(proof, []))).toBe('bad_proof');
    expect(await codeOf(() => checkProof(proof, ['x']))).toBe('bad_key');
    expect(checkProof(proof, [publicKeyOf(other), ...keys()]).index).toBe(4);
  });

  test('is checked against the seq that the line itself names', () => {
    // A key holder may sign a tree whose leaf 0 says that it is record 7.
    const { privateKey } = generateKeyPairSync('ed25519');
    const line = Buffer.from('{"seq":7}');
    const note = signCheckpoint({ origin: 'x', size: 1, root: leafHash(line) }, [
      keySigner('x', privateKey),
    ]);
    const proof = `c2sp.org/tlog-proof@v1\nextra ${line.toString('base64')}\nindex 0\n\n${note}`;
    const vkey = verifierKey('x', privateKey).text;
    expect(() => checkProof(proof, [vkey])).toThrow(
      expect.objectContaining({ code: 'bad_proof', message: expect.stringContaining('seq 7') }),
    );
  });

  test.each([
    '',
    '\n\n',
    'c2sp.org/tlog-proof@v1',
    'c2sp.org/tlog-proof@v1\n\n',
    'x'.repeat(2_000_000),
  ])('that is none is refused', async (text) => {
    expect(await codeOf(() => checkProof(text, keys()))).toBe('bad_proof');
  });
});

test('consistency with every earlier checkpoint is proven, with a changed one not', async () => {
  for (const note of notes) {
    const first = parseCheckpointText(parseNote(Buffer.from(note)).text);
    const { proof, checkpoint } = await proveConsistency({ dir: log.dir, first });
    expect(checkConsistency(first.size, first.root, checkpoint.size, checkpoint.root, proof)).toBe(
      true,
    );
    const forged = { ...first, root: 'ab'.repeat(32) };
    expect(await codeOf(() => proveConsistency({ dir: log.dir, first: forged }))).toBe(
      'log_damaged',
    );
  }
  const beyond = { origin: 'x', size: 10_000, root: 'ab'.repeat(32) };
  expect(await codeOf(() => proveConsistency({ dir: log.dir, first: beyond }))).toBe('not_found');
});

test('an event is found by its id, and not where another record only speaks of it', async () => {
  const other = temporaryLog();
  const writer = openDirect(other);
  const eventId = 'evt_01890000-0000-7000-8000-000000000000';
  appendEvents(writer, [
    { eventType: 'a.b', details: { quoted: `"event_id":"${eventId}"`, event_id: eventId } },
    { eventType: 'a.b', eventId },
  ]);
  expect(await findEvent(other.dir, eventId)).toBe(2);
  expect(await findEvent(other.dir, `${eventId.slice(0, -1)}1`)).toBeUndefined();
  expect(await findEvent(other.dir, '"')).toBeUndefined();
  const first = JSON.parse(linesOf(other.dir)[0]!) as LogRecord;
  expect(await findEvent(other.dir, first.event_id)).toBe(0);
});
