import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signCheckpoint } from './checkpoint.js';
import { AuditError } from './errors.js';
import { readHead, readKeys, storedEpochs } from './keys.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
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
  temporaryLog,
} from './testing/folders.js';

pretendToSync();

let folder: string;
/** A log of several segments, closed. */
let closed: Folders;
/** One that died with four records behind its head. */
let died: Folders;

beforeAll(() => {
  folder = makeTemporary();
  closed = foldersIn(path.join(folder, 'closed'));
  const first = openDirect(closed, { segmentBytesMax: 4_096 });
  for (let n = 0; n < 20; n++) appendEvents(first, numbered(n, 1));
  first.close();
  died = foldersIn(path.join(folder, 'died'));
  const second = openDirect(died);
  appendEvents(second, numbered(0, 4));
  second.checkpoint();
  appendEvents(second, numbered(4, 4));
});
afterAll(() => removeTemporary(folder));

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof AuditError) return error.code;
    throw error;
  }
  return 'opened';
}

const openCode = (log: Folders): string => codeOf(() => openDirect(log));
const lastSegment = (log: Folders): string => segmentFiles(log.dir).at(-1)!;
function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

function edit(file: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = fs.readFileSync(file);
  fs.writeFileSync(file, change(bytes) ?? bytes);
}

describe('an untouched log opens', () => {
  test('after a clean close nothing is recovered', async () => {
    const log = copyOf(closed);
    const before = linesOf(log.dir);
    openDirect(log).close();
    expect(
      records(log)
        .slice(before.length)
        .map((record) => record.event_type),
    ).toEqual([...['log.opened', 'log.closed']]);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
  });

  test('after a death the records behind the head are kept, counted and signed', async () => {
    const log = copyOf(died);
    openDirect(log).close();
    const recovered = records(log)[9];
    expect(recovered).toMatchObject({
      event_type: 'log.recovered',
      details: { reason: 'unclean_shutdown', records_after_head: 4, torn_bytes: 0 },
    });
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0, findings: [] });
  });

  test('without its checkpoint, or with the one before: published again', async () => {
    for (const spoil of [
      (file: string) => fs.rmSync(file),
      (file: string, log: Folders) => {
        const kept = path.join(log.dir, 'checkpoints');
        fs.copyFileSync(path.join(kept, fs.readdirSync(kept)[0]!), file);
      },
    ]) {
      const log = copyOf(closed);
      spoil(path.join(log.dir, 'checkpoint'), log);
      openDirect(log).close();
      expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
    }
  });
});

describe('a torn end', () => {
  test.each([
    ['half a line', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('{"seq":9,"timest')])],
    ['the last newline missing', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['zeros', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(700)])],
    [
      'zeros in a line that goes on',
      (bytes: Buffer) =>
        Buffer.concat([bytes, Buffer.alloc(512), Buffer.from('tail"}\n{"seq":10,\n')]),
    ],
    [
      'a sector that was never written',
      (bytes: Buffer) => Buffer.from(bytes.fill(0, bytes.length - 600, bytes.length - 300)),
    ],
    [
      'more than what is written behind it',
      (bytes: Buffer) => Buffer.concat([bytes, Buffer.from(`{"seq":9,${'x'.repeat(30_000)}`)]),
    ],
    ['one byte', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('{')])],
  ])('%s: set aside, counted, recorded; verify is content before and after', async (_, tear) => {
    const log = copyOf(died);
    edit(lastSegment(log), (bytes) => tear(bytes));
    const end = fs.readFileSync(lastSegment(log));
    openDirect(log).close();
    const recovered = records(log).find((record) => record.event_type === 'log.recovered');
    const details = recovered?.details ?? {};
    expect(details).toMatchObject({ reason: 'unclean_shutdown' });
    const torn = fs.readFileSync(path.join(log.dir, 'torn', String(details['torn_file'])));
    expect(torn.length).toBe(details['torn_bytes']);
    expect(end.subarray(-torn.length)).toEqual(torn);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0, findings: [] });
    // A second opening has nothing to add.
    openDirect(log).close();
    expect(records(log).filter((record) => record.event_type === 'log.recovered')).toHaveLength(1);
  });

  test('a torn file that is changed or removed later is found by verify', async () => {
    const log = copyOf(died);
    fs.appendFileSync(lastSegment(log), 'half');
    openDirect(log).close();
    const file = path.join(log.dir, 'torn', fs.readdirSync(path.join(log.dir, 'torn'))[0]!);
    fs.writeFileSync(file, 'HALF');
    expect(await audit(log)).toMatchObject({ verdict: 'tampered', findings: [{ kind: 'torn' }] });
    fs.rmSync(file);
    expect(await audit(log)).toMatchObject({ verdict: 'tampered', findings: [{ kind: 'torn' }] });
  });
});

describe('refused as changed or rolled back', () => {
  test('records cut off that the head has seen', () => {
    for (const keep of [0, 1, 3]) {
      const log = copyOf(closed);
      const file = lastSegment(log);
      const lines = fs.readFileSync(file, 'utf8').split('\n');
      fs.writeFileSync(
        file,
        lines
          .slice(0, keep)
          .map((line) => `${line}\n`)
          .join(''),
      );
      expect(openCode(log)).toBe('log_rolled_back');
    }
    const log = copyOf(closed);
    fs.rmSync(lastSegment(log));
    expect(openCode(log)).toBe('log_rolled_back');
    fs.rmSync(path.join(log.dir, 'segments'), { recursive: true });
    expect(openCode(log)).toBe('log_rolled_back');
  });

  test('the whole log folder replaced by an older copy', () => {
    const old = copyOf(died);
    const log = copyOf(died);
    openDirect(log).close();
    fs.rmSync(log.dir, { recursive: true });
    copyFolder(old.dir, log.dir);
    expect(openCode(log)).toBe('log_rolled_back');
  });

  test('the keys folder replaced by an older copy', () => {
    const old = copyOf(died);
    const log = copyOf(died);
    openDirect(log).close();
    fs.rmSync(log.keysDir, { recursive: true });
    copyFolder(old.keysDir, log.keysDir);
    expect(openCode(log)).toBe('log_rolled_back');
  });

  test('both replaced by older copies, but one newer epoch key is left', () => {
    const old = copyOf(died);
    const log = copyOf(died);
    openDirect(log).close();
    const [newer] = storedEpochs(log.keysDir).map((epoch) => `epoch-${epoch}.key`);
    const key = fs.readFileSync(path.join(log.keysDir, newer!));
    fs.writeFileSync(path.join(old.keysDir, newer!), key, { mode: 0o600 });
    expect(openCode(old)).toBe('log_rolled_back');
  });

  test('a log folder of another log', () => {
    const log = copyOf(closed);
    fs.rmSync(log.dir, { recursive: true });
    copyFolder(died.dir, log.dir);
    expect(openCode(log)).toMatch(/^log_(damaged|rolled_back)$/);
  });

  test.each([
    [
      'the record before the head',
      (log: Folders) => {
        const { offset } = readHead(readKeys(log.keysDir)!);
        edit(lastSegment(log), (bytes) => {
          bytes[offset - 200]! ^= 1;
          return undefined;
        });
      },
    ],
    [
      'a record behind the head',
      (log: Folders) => {
        const { offset } = readHead(readKeys(log.keysDir)!);
        edit(lastSegment(log), (bytes) => {
          bytes[bytes.indexOf('"number":', offset) + 9] = 0x39;
          return undefined;
        });
      },
    ],
    [
      'the first one behind the head taken out',
      (log: Folders) => {
        const { offset } = readHead(readKeys(log.keysDir)!);
        edit(lastSegment(log), (bytes) =>
          Buffer.concat([bytes.subarray(0, offset), bytes.subarray(bytes.indexOf(10, offset) + 1)]),
        );
      },
    ],
    [
      'a forged record behind the end',
      (log: Folders) => {
        const last = linesOf(log.dir).at(-1)!;
        const { hash } = JSON.parse(last) as LogRecord;
        fs.appendFileSync(
          lastSegment(log),
          `${last.replace('"seq":8', '"seq":9').replace(/"prev_hash":"[0-9a-f]*"/, `"prev_hash":"${hash}"`)}\n`,
        );
      },
    ],
    [
      'a garbled line behind the end',
      (log: Folders) => fs.appendFileSync(lastSegment(log), 'garbage\n'),
    ],
    [
      'a foreign segment behind the end',
      (log: Folders) =>
        fs.writeFileSync(path.join(log.dir, 'segments', '00000000000000000777.jsonl'), 'x\n'),
    ],
    [
      'a checkpoint of another key',
      (log: Folders) =>
        fs.copyFileSync(path.join(closed.dir, 'checkpoint'), path.join(log.dir, 'checkpoint')),
    ],
    [
      'a checkpoint that is none',
      (log: Folders) => fs.writeFileSync(path.join(log.dir, 'checkpoint'), 'x'),
    ],
    [
      'a fork, signed with the log’s own key',
      (log: Folders) => {
        const { origin, signing } = readKeys(log.keysDir)!;
        const { size } = readHead(readKeys(log.keysDir)!);
        fs.writeFileSync(
          path.join(log.dir, 'checkpoint'),
          signCheckpoint({ origin, size, root: 'ab'.repeat(32) }, signing.signers),
        );
      },
    ],
    [
      'a damaged head',
      (log: Folders) =>
        edit(path.join(log.keysDir, 'head'), (bytes) =>
          Buffer.from(bytes.toString().replace('"size":5', '"size":4')),
        ),
    ],
    [
      'a head that is no JSON object',
      (log: Folders) => fs.writeFileSync(path.join(log.keysDir, 'head'), 'null'),
    ],
  ] as const)('%s', (_, spoil) => {
    const log = copyOf(died);
    const before = linesOf(log.dir);
    spoil(log);
    expect(openCode(log)).toBe('log_damaged');
    expect(linesOf(log.dir).slice(0, 5)).toEqual(
      before.slice(0, 5).map((line, i) => (i < 4 ? line : expect.any(String))),
    );
  });

  test('a checkpoint signed beyond the head: the keys folder is the older', () => {
    const log = copyOf(died);
    const { origin, signing } = readKeys(log.keysDir)!;
    fs.writeFileSync(
      path.join(log.dir, 'checkpoint'),
      signCheckpoint({ origin, size: 900, root: 'ab'.repeat(32) }, signing.signers),
    );
    expect(openCode(log)).toBe('log_rolled_back');
  });

  test('the head of another log', () => {
    const log = copyOf(died);
    fs.copyFileSync(path.join(closed.keysDir, 'head'), path.join(log.keysDir, 'head'));
    expect(openCode(log)).toBe('wrong_log');
  });
});

describe('tiles', () => {
  test('removed, shortened, zeroed or changed tiles are made again from the lines', async () => {
    const log = temporaryLog();
    const writer = openDirect(log);
    appendEvents(writer, numbered(0, 600));
    writer.close();
    const tile = path.join(log.dir, 'tile', '0', '000');
    for (const spoil of [
      () => fs.rmSync(path.join(log.dir, 'tile'), { recursive: true }),
      () => fs.truncateSync(tile, 100),
      () => fs.rmSync(path.join(log.dir, 'tile', '0', '002.p'), { recursive: true }),
      () => fs.rmSync(path.join(log.dir, 'tile', '1'), { recursive: true }),
    ]) {
      spoil();
      const reopened = openDirect(log);
      appendEvents(reopened, numbered(0, 1));
      reopened.close();
      expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
    }
    // A death makes the opening look at every tile.
    fs.rmSync(tile);
    appendEvents(openDirect(log), numbered(0, 1));
    openDirect(log).close();
    expect(fs.statSync(tile).size).toBe(256 * 32);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
  });

  test('tiles of records that a power loss took are not left to contradict their successors', async () => {
    const log = temporaryLog();
    const writer = openDirect(log, { checkpointRecordsMax: 10_000 });
    appendEvents(writer, numbered(0, 250));
    writer.checkpoint();
    const size = fs.statSync(lastSegment(log)).size;
    appendEvents(writer, numbered(250, 400));
    fs.truncateSync(lastSegment(log), size);
    const reopened = openDirect(log);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
    appendEvents(reopened, numbered(1_000, 300));
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
    reopened.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', findings: [] });
  });
});

describe('keys', () => {
  test.each(['signing-key.pem', 'head', 'epoch-0.key'])('missing: %s', (name) => {
    const log = copyOf(died);
    fs.rmSync(path.join(log.keysDir, name));
    expect(openCode(log)).toBe('keys_missing');
  });

  test('a log whose keys are all gone is not given new ones', () => {
    const log = copyOf(died);
    fs.rmSync(log.keysDir, { recursive: true });
    expect(openCode(log)).not.toBe('opened');
  });

  test.each([
    'signing-key.pem',
    'epoch-0.key',
    'initial-hmac-key',
    '.',
  ])('open to others: %s', (name) => {
    const log = copyOf(died);
    fs.chmodSync(path.join(log.keysDir, name), name === '.' ? 0o755 : 0o644);
    expect(openCode(log)).toBe('keys_unsafe');
  });

  test('the epoch key of another log', () => {
    const log = copyOf(died);
    const other = temporaryLog();
    openDirect(other);
    fs.copyFileSync(path.join(other.keysDir, 'epoch-0.key'), path.join(log.keysDir, 'epoch-0.key'));
    expect(openCode(log)).toBe('wrong_log');
  });

  test('the epoch key overwritten with zeros', () => {
    const log = copyOf(died);
    fs.writeFileSync(path.join(log.keysDir, 'epoch-0.key'), Buffer.alloc(100));
    expect(openCode(log)).toBe('bad_key');
  });
});
