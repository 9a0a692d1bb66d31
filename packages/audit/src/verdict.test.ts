import { createHmac } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signCheckpoint } from './checkpoint.js';
import { formatHmacKey, parseHmacKey } from './epoch-keys.js';
import { readKeys } from './keys.js';
import type { LogRecord } from './stored-record.js';
import {
  appendEvents,
  audit,
  initialKeyOf,
  numbered,
  openDirect,
  publicKeyOf,
} from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import {
  copyFolder,
  copyOf,
  type Folders,
  foldersIn,
  linesOf,
  makeTemporary,
  removeTemporary,
  segmentFiles,
} from './testing/folders.js';
import { verifyLog } from './verify.js';
import { type VerifyReport, verifyExitCode } from './verify-report.js';

pretendToSync();

let folder: string;
/** Several segments and epochs, closed. */
let log: Folders;
/** The same log, earlier. */
let earlier: Folders;
let other: Folders;
let early: string;
let newest: string;

beforeAll(() => {
  folder = makeTemporary();
  log = foldersIn(path.join(folder, 'log'));
  earlier = foldersIn(path.join(folder, 'earlier'));
  other = foldersIn(path.join(folder, 'other'));
  const writer = openDirect(log, { segmentBytesMax: 4_096 });
  for (let n = 0; n < 10; n++) appendEvents(writer, numbered(n, 1));
  early = writer.checkpoint();
  copyFolder(log.dir, earlier.dir);
  copyFolder(log.keysDir, earlier.keysDir);
  for (let n = 10; n < 25; n++) appendEvents(writer, numbered(n, 1));
  writer.close();
  newest = fs.readFileSync(path.join(log.dir, 'checkpoint'), 'utf8');
  const second = openDirect(other);
  appendEvents(second, numbered(0, 60));
  second.close();
});
afterAll(() => removeTemporary(folder));

function publicly(spoilt: Folders, more: object = {}): Promise<VerifyReport> {
  return verifyLog({ dir: spoilt.dir, publicKeys: [publicKeyOf(log)], threads: 1, ...more });
}

/** Where a line of the whole log stands: file and byte. */
function place(of: Folders, seq: number): { file: string; start: number; end: number } {
  let first = 0;
  for (const file of segmentFiles(of.dir)) {
    const bytes = fs.readFileSync(file);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      if (first === seq) return { file, start, end };
      first++;
      start = end + 1;
    }
  }
  throw new Error(`there is no record ${seq}`);
}

function edit(of: Folders, seq: number, change: (line: Buffer) => Buffer): void {
  const { file, start, end } = place(of, seq);
  const bytes = fs.readFileSync(file);
  const line = change(Buffer.from(bytes.subarray(start, end + 1)));
  fs.writeFileSync(file, Buffer.concat([bytes.subarray(0, start), line, bytes.subarray(end + 1)]));
}

test('any changed byte of any record is tampered, named by segment, seq and offset, at both levels', async () => {
  const count = linesOf(log.dir).length;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(count - 1),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (seq, at, flip) => {
        const spoilt = copyTo('flip');
        const { file, start, end } = place(spoilt, seq);
        const bytes = fs.readFileSync(file);
        bytes[start + (at % (end + 1 - start))]! ^= flip;
        fs.writeFileSync(file, bytes);
        for (const report of [await audit(spoilt), await publicly(spoilt)]) {
          expect(report.verdict).toBe('tampered');
          expect(report.findings[0]).toMatchObject({
            kind: 'record',
            segment: path.basename(file),
          });
          // Without tiles for the newest records the line after it may be the first that shows it.
          expect(Math.abs((report.findings[0]?.seq ?? -9) - seq)).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** As copyOf, for use in properties, whose runs share a test. */
function copyTo(name: string): Folders {
  const copy = foldersIn(path.join(folder, `copy-${name}`));
  fs.rmSync(path.dirname(copy.dir), { recursive: true, force: true });
  copyFolder(log.dir, copy.dir);
  copyFolder(log.keysDir, copy.keysDir);
  return copy;
}

describe('tampered', () => {
  test.each<[string, (spoilt: Folders) => void]>([
    ['a record taken out of the middle', (spoilt) => edit(spoilt, 5, () => Buffer.alloc(0))],
    [
      'the last of a segment taken out',
      (spoilt) => edit(spoilt, place(spoilt, 12).start > 0 ? 12 : 11, () => Buffer.alloc(0)),
    ],
    ['a record doubled', (spoilt) => edit(spoilt, 5, (line) => Buffer.concat([line, line]))],
    [
      'two records exchanged',
      (spoilt) => {
        const [a, b] = [linesOf(log.dir)[5]!, linesOf(log.dir)[6]!];
        edit(spoilt, 5, () => Buffer.from(`${b}\n`));
        edit(spoilt, 6, () => Buffer.from(`${a}\n`));
      },
    ],
    [
      'a member added',
      (spoilt) =>
        edit(spoilt, 5, (line) =>
          Buffer.from(line.toString().replace('"details"', '"source":"x","details"')),
        ),
    ],
    [
      'the hash taken out',
      (spoilt) => edit(spoilt, 5, (line) => Buffer.from(`${line.toString().slice(0, -76)}}\n`)),
    ],
    [
      'an epoch changed',
      (spoilt) =>
        edit(spoilt, 5, (line) => Buffer.from(line.toString().replace('"epoch":0', '"epoch":1'))),
    ],
    [
      'a member doubled',
      (spoilt) =>
        edit(spoilt, 5, (line) =>
          Buffer.from(line.toString().replace('{"number"', '{"number":1,"number"')),
        ),
    ],
    [
      'a newline taken out between two records',
      (spoilt) => edit(spoilt, 5, (line) => line.subarray(0, -1)),
    ],
    [
      'the last newline changed',
      (spoilt) =>
        edit(spoilt, linesOf(log.dir).length - 1, (line) => {
          line[line.length - 1] = 0x58;
          return line;
        }),
    ],
    [
      'an empty line added',
      (spoilt) => edit(spoilt, 5, (line) => Buffer.concat([line, Buffer.from('\n')])),
    ],
    [
      'a byte order mark in front',
      (spoilt) => edit(spoilt, 0, (line) => Buffer.concat([Buffer.from('\ufeff'), line])),
    ],
    [
      'a segment renamed',
      (spoilt) => {
        const file = segmentFiles(spoilt.dir)[1]!;
        fs.renameSync(file, path.join(path.dirname(file), '00000000000000000005.jsonl'));
      },
    ],
    [
      'a segment copied under another number',
      (spoilt) => {
        const file = segmentFiles(spoilt.dir)[1]!;
        fs.copyFileSync(file, path.join(path.dirname(file), '00000000000000000999.jsonl'));
      },
    ],
    [
      'the checkpoint emptied',
      (spoilt) => fs.writeFileSync(path.join(spoilt.dir, 'checkpoint'), ''),
    ],
    [
      'the checkpoint unsigned',
      (spoilt) =>
        fs.writeFileSync(path.join(spoilt.dir, 'checkpoint'), newest.replace(/— .*\n/u, '')),
    ],
    [
      'the checkpoint of another size',
      (spoilt) =>
        fs.writeFileSync(
          path.join(spoilt.dir, 'checkpoint'),
          newest.replace(/\n[0-9]+\n/, '\n7\n'),
        ),
    ],
    [
      'the checkpoint of another log',
      (spoilt) =>
        fs.copyFileSync(path.join(other.dir, 'checkpoint'), path.join(spoilt.dir, 'checkpoint')),
    ],
    [
      'a kept checkpoint under another number',
      (spoilt) => {
        const kept = path.join(spoilt.dir, 'checkpoints');
        fs.renameSync(
          path.join(kept, fs.readdirSync(kept)[0]!),
          path.join(kept, '00000000000000000003'),
        );
      },
    ],
    [
      'all checkpoints removed',
      (spoilt) => {
        fs.rmSync(path.join(spoilt.dir, 'checkpoint'));
        fs.rmSync(path.join(spoilt.dir, 'checkpoints'), { recursive: true });
      },
    ],
    [
      'a tile changed',
      (spoilt) => {
        const file = path.join(spoilt.dir, 'tile/0/000.p');
        const tile = path.join(file, fs.readdirSync(file)[0]!);
        const bytes = fs.readFileSync(tile);
        bytes[40]! ^= 1;
        fs.writeFileSync(tile, bytes);
      },
    ],
  ])('%s', async (_, spoil) => {
    const spoilt = copyOf(log);
    spoil(spoilt);
    expect((await audit(spoilt)).verdict).toBe('tampered');
    const report = await publicly(spoilt);
    expect(report.verdict).toBe('tampered');
    expect(verifyExitCode(report, false)).toBe(1);
  });

  test('a changed tile is named, not a record', async () => {
    const spoilt = copyOf(log);
    const folderOf = path.join(spoilt.dir, 'tile/0/000.p');
    const tile = path.join(folderOf, fs.readdirSync(folderOf)[0]!);
    const bytes = fs.readFileSync(tile);
    bytes[32 * 9]! ^= 1;
    fs.writeFileSync(tile, bytes);
    expect((await publicly(spoilt)).findings[0]).toMatchObject({
      kind: 'tile',
      file: expect.stringContaining('tile/0/000'),
      offset: 32 * 9,
    });
  });

  test('a record changed together with its tile, under a good checkpoint, is still found', async () => {
    const spoilt = copyOf(log);
    edit(spoilt, 5, (line) => Buffer.from(line.toString().replace('"number":4', '"number":5')));
    fs.rmSync(path.join(spoilt.dir, 'tile'), { recursive: true });
    expect(await publicly(spoilt)).toMatchObject({
      verdict: 'tampered',
      findings: [{ kind: 'fork', range: [0, expect.any(Number)] }],
    });
    expect((await audit(spoilt)).findings[0]).toMatchObject({ kind: 'record', seq: 5 });
  });

  test('a past epoch rewritten and signed again by who holds the keys: the auditor sees it, and who holds evidence', async () => {
    const spoilt = copyOf(earlier);
    const keys = readKeys(spoilt.keysDir)!;
    // The intruder has every key but the initial one, so a hash of epoch 0 can only be invented.
    let prev = '0'.repeat(64);
    const rewritten = linesOf(spoilt.dir).map((line) => {
      const changed = line
        .replace('"number":3', '"number":4')
        .replace(/"prev_hash":"[0-9a-f]{64}"/, `"prev_hash":"${prev}"`);
      const body = changed.slice(0, -75);
      prev = createHmac('sha256', 'invented').update(body).digest('hex');
      return `${body},"hash":"${prev}"}\n`;
    });
    const { leafHash, Frontier } = await import('./tree.js');
    const frontier = new Frontier();
    for (const line of rewritten) frontier.append(leafHash(Buffer.from(line.slice(0, -1))));
    let from = 0;
    for (const file of segmentFiles(spoilt.dir)) {
      const count = fs.readFileSync(file, 'utf8').split('\n').length - 1;
      fs.writeFileSync(file, rewritten.slice(from, from + count).join(''));
      from += count;
    }
    fs.rmSync(path.join(spoilt.dir, 'tile'), { recursive: true });
    fs.rmSync(path.join(spoilt.dir, 'checkpoints'), { recursive: true });
    const forged = { origin: keys.origin, size: frontier.size, root: frontier.root() };
    fs.writeFileSync(
      path.join(spoilt.dir, 'checkpoint'),
      signCheckpoint(forged, keys.signing.signers),
    );
    expect((await publicly(spoilt)).verdict).toBe('ok');
    expect((await audit(spoilt)).verdict).toBe('tampered');
    const held = [{ name: 'mine', note: early }];
    expect((await publicly(spoilt, { held })).verdict).toBe('tampered');
  });
});

describe('truncated and rolled back', () => {
  const cutTo = (spoilt: Folders, keep: number): void => {
    const { file, start } = place(spoilt, keep);
    for (const later of segmentFiles(spoilt.dir)) if (later > file) fs.rmSync(later);
    fs.truncateSync(file, start);
    if (start === 0) fs.rmSync(file);
  };

  test('records cut off that a checkpoint of the folder covers: truncated, wherever the cut', async () => {
    const count = linesOf(log.dir).length;
    for (const keep of [count - 1, count - 2, 14, 13, 12, 1]) {
      const spoilt = copyOf(log);
      cutTo(spoilt, keep);
      const report = await publicly(spoilt);
      expect(report).toMatchObject({ verdict: 'truncated', records: keep });
      expect(report.findings[0]).toMatchObject({ kind: 'range', range: [keep, count] });
      expect(verifyExitCode(report, false)).toBe(1);
    }
  });

  test('an older copy of the whole folder: rolled back against held evidence, ok without', async () => {
    const held = [{ name: 'mine', note: newest }];
    expect(await publicly(earlier)).toMatchObject({ verdict: 'ok' });
    expect(await publicly(earlier, { held })).toMatchObject({ verdict: 'rolled_back' });
    const head = fs.readFileSync(path.join(log.keysDir, 'head'), 'utf8');
    expect(await publicly(earlier, { head })).toMatchObject({ verdict: 'rolled_back' });
    expect(await publicly(log, { held: [{ name: 'mine', note: early }] })).toMatchObject({
      verdict: 'ok',
    });
  });

  test('a fork against held evidence is tampered', async () => {
    const fork = copyOf(earlier);
    const writer = openDirect(fork);
    appendEvents(writer, numbered(900, 60));
    writer.close();
    expect((await publicly(fork)).verdict).toBe('ok');
    const held = [{ name: 'mine', note: newest }];
    expect(await publicly(fork, { held })).toMatchObject({
      verdict: 'tampered',
      findings: [{ kind: 'fork' }],
    });
  });
});

describe('wrong log', () => {
  test('another log in its place, by key, by HMAC key, by held checkpoint', async () => {
    expect(await publicly(other)).toMatchObject({ verdict: 'wrong_log' });
    const publicKeys = [publicKeyOf(other)];
    const hmacKey = initialKeyOf(log);
    expect(await publicly(other, { publicKeys, hmacKey })).toMatchObject({ verdict: 'wrong_log' });
    const held = [{ name: 'mine', note: newest }];
    expect(await publicly(other, { publicKeys, held })).toMatchObject({ verdict: 'wrong_log' });
    const head = fs.readFileSync(path.join(log.keysDir, 'head'), 'utf8');
    expect(await publicly(other, { publicKeys, head })).toMatchObject({ verdict: 'wrong_log' });
  });

  test('one foreign key among the brought', async () => {
    const publicKeys = [publicKeyOf(log), publicKeyOf(other)];
    expect(await publicly(log, { publicKeys })).toMatchObject({ verdict: 'wrong_log' });
  });

  test('goes before everything else', async () => {
    const spoilt = copyOf(other);
    edit(spoilt, 5, () => Buffer.from('x\n'));
    expect((await publicly(spoilt)).verdict).toBe('wrong_log');
  });
});

describe('missing', () => {
  test('a deleted segment, with its range; what is kept is still checked', async () => {
    const spoilt = copyOf(log);
    const [, second, third] = segmentFiles(spoilt.dir);
    fs.rmSync(second!);
    const range = [second, third].map((file) => Number(path.basename(file!, '.jsonl')));
    for (const report of [await publicly(spoilt), await audit(spoilt)]) {
      expect(report).toMatchObject({ verdict: 'missing', findings: [{ kind: 'range', range }] });
      expect(report.records).toBe(linesOf(log.dir).length);
    }
    edit(spoilt, 0, (line) => Buffer.from(line.toString().replace('"sync"', '"sink"')));
    expect((await audit(spoilt)).verdict).toBe('tampered');
  });

  test('the first segment deleted', async () => {
    const spoilt = copyOf(log);
    fs.rmSync(segmentFiles(spoilt.dir)[0]!);
    expect((await publicly(spoilt)).verdict).toBe('missing');
  });
});

describe('unverifiable', () => {
  test('without a public key, or without the HMAC key for the auditor’s level', async () => {
    const report = await publicly(log, { publicKeys: [] });
    expect(report.verdict).toBe('unverifiable');
    expect(verifyExitCode(report, false)).toBe(3);
    expect(await publicly(log, { level: 'auditor' })).toMatchObject({
      verdict: 'unverifiable',
      level: 'auditor',
    });
  });

  test('is never said of a log that was changed', async () => {
    const spoilt = copyOf(log);
    edit(spoilt, 5, () => Buffer.from('x\n'));
    expect((await publicly(spoilt, { publicKeys: [] })).verdict).toBe('tampered');
    expect((await publicly(spoilt, { level: 'auditor' })).verdict).toBe('tampered');
  });
});

test('a wrong HMAC key of the right origin makes the auditor say tampered, and the public level does not ask', async () => {
  const { origin } = parseHmacKey(initialKeyOf(log));
  const hmacKey = formatHmacKey(origin, Buffer.alloc(32, 1));
  expect((await publicly(log, { hmacKey })).verdict).toBe('tampered');
  expect((await publicly(log, { hmacKey, level: 'public' })).verdict).toBe('ok');
});

test('pending records are counted, and are an error only when strict', async () => {
  const pending = copyOf(log);
  const writer = openDirect(pending);
  appendEvents(writer, numbered(0, 4));
  const report = await audit(pending);
  expect(report).toMatchObject({ verdict: 'ok', pending: 4 });
  expect(report.records).toBe(report.size + 4);
  expect([verifyExitCode(report, false), verifyExitCode(report, true)]).toEqual([0, 3]);
  writer.checkpoint();
  const covered = await audit(pending);
  expect(covered).toMatchObject({ verdict: 'ok', pending: 0 });
  expect(verifyExitCode(covered, true)).toBe(0);
  const held = [
    { name: 'mine', note: fs.readFileSync(path.join(pending.dir, 'checkpoint'), 'utf8') },
  ];
  expect(await publicly(pending, { held })).toMatchObject({ verdict: 'ok', pending: 0 });
});

test('a chain written anew with good HMACs but a skipped epoch is tampered for the auditor', async () => {
  const spoilt = copyOf(earlier);
  const { key } = parseHmacKey(initialKeyOf(spoilt));
  let prev = '';
  const lines = linesOf(spoilt.dir).map((line, i) => {
    const record = JSON.parse(line) as LogRecord;
    if (record.epoch > 0) return `${line}\n`;
    let body = line.slice(0, -75);
    if (i > 0) body = body.replace(/"prev_hash":"[0-9a-f]{64}"/, `"prev_hash":"${prev}"`);
    if (i === 4) body = body.replace('"epoch":0', '"epoch":1');
    prev = createHmac('sha256', key).update(body).digest('hex');
    return `${body},"hash":"${prev}"}\n`;
  });
  fs.writeFileSync(segmentFiles(spoilt.dir)[0]!, lines.slice(0, 8).join(''));
  for (const file of segmentFiles(spoilt.dir).slice(1)) fs.rmSync(file);
  const report = await audit(spoilt);
  expect(report.verdict).toBe('tampered');
  expect(report.findings[0]).toMatchObject({ kind: 'record', seq: 4 });
});

describe('records behind the newest checkpoint, at the public level', () => {
  const pendingLog = (): Folders => {
    const pending = copyOf(log);
    appendEvents(openDirect(pending), numbered(0, 6));
    return pending;
  };
  const seqOf = (of: Folders, back: number): number => linesOf(of.dir).length - back;

  test.each<[string, number, (line: string) => string]>([
    [
      'a prev_hash changed',
      3,
      (line) =>
        line
          .replace(/"prev_hash":"./, '"prev_hash":"x')
          .replace('x', line.includes('"prev_hash":"0') ? '1' : '0'),
    ],
    [
      'a hash changed',
      4,
      (line) => line.replace(/"hash":"./, (start) => `"hash":"${start.endsWith('0') ? '1' : '0'}`),
    ],
    [
      'an epoch raised',
      3,
      (line) => line.replace(/"epoch":([0-9]+)/, (_, epoch) => `"epoch":${Number(epoch) + 1}`),
    ],
    [
      'an epoch lowered',
      3,
      (line) => line.replace(/"epoch":([0-9]+)/, (_, epoch) => `"epoch":${Number(epoch) - 1}`),
    ],
    [
      'a seq raised',
      3,
      (line) => line.replace(/"seq":([0-9]+)/, (_, seq) => `"seq":${Number(seq) + 1}`),
    ],
    ['a record taken out', 3, () => ''],
    ['a record doubled', 3, (line) => `${line}\n${line}`],
  ])('%s: tampered there', async (_, back, change) => {
    const pending = pendingLog();
    const seq = seqOf(pending, back);
    edit(pending, seq, (line) => {
      const changed = change(line.toString().trimEnd());
      return Buffer.from(changed === '' ? '' : `${changed}\n`);
    });
    const report = await publicly(pending);
    expect(report.verdict).toBe('tampered');
    expect(report.findings[0]).toMatchObject({ kind: 'record', seq: expect.any(Number) });
    expect(Math.abs((report.findings[0]?.seq ?? -9) - seq)).toBeLessThanOrEqual(1);
  });

  test('a later segment that does not follow the one before', async () => {
    const pending = copyOf(log);
    const writer = openDirect(pending, { segmentBytesMax: 4_096 });
    const before = segmentFiles(pending.dir).length;
    for (let n = 0; segmentFiles(pending.dir).length <= before; n++) {
      appendEvents(writer, numbered(n, 1));
    }
    const last = segmentFiles(pending.dir).at(-1)!;
    const lines = fs.readFileSync(last, 'utf8').split('\n');
    const first = lines[0]!.replace(
      /"prev_hash":"[0-9a-f]{64}"/,
      `"prev_hash":"${'0'.repeat(64)}"`,
    );
    fs.writeFileSync(last, [first, ...lines.slice(1)].join('\n'));
    const report = await publicly(pending);
    expect(report.verdict).toBe('tampered');
    expect(report.findings[0]).toMatchObject({ kind: 'record', segment: path.basename(last) });
  });
});

test('two signed checkpoints of one size with different roots are tampered, also where the records do not reach', async () => {
  const { origin, signing } = readKeys(log.keysDir)!;
  const forged = signCheckpoint({ origin, size: 900, root: 'ab'.repeat(32) }, signing.signers);
  const other = signCheckpoint({ origin, size: 900, root: 'cd'.repeat(32) }, signing.signers);
  const held = [
    { name: 'one', note: forged },
    { name: 'two', note: other },
  ];
  const report = await publicly(log, { held });
  expect(report).toMatchObject({ verdict: 'tampered' });
  expect(report.findings[0]).toMatchObject({ kind: 'fork' });
});

test('a byte made zero where a checkpoint covers it is tampered, not an accident', async () => {
  const spoilt = copyOf(log);
  const seq = linesOf(log.dir).length - 2;
  edit(spoilt, seq, (line) => line.fill(0, 40, 41));
  for (const report of [await audit(spoilt), await publicly(spoilt)]) {
    expect(report.verdict).toBe('tampered');
    expect(report.findings[0]).toMatchObject({ kind: 'record', seq });
  }
});
