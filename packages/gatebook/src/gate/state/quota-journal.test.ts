import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { QuotaJournal, resetId } from './quota-journal.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'gatebook-quota-'));
  path = join(folder, 'quotas.jsonl');
});

afterEach(() => fs.rmSync(folder, { recursive: true }));

const atMs = 1_790_000_000_000;
const day = 86_400_000;

function open(boot: string | undefined = 'one', wallMs = atMs): QuotaJournal {
  return new QuotaJournal({ path, boot, wallMs: () => wallMs });
}

function write(
  journal: QuotaJournal,
  key: string,
  used: number,
  id = 'q',
  lastsMs = 40 * day,
): void {
  journal.write({ id, key, atMs, used, untilMs: atMs + lastsMs });
}

test('what was counted last is what holds, after a kill too', () => {
  const first = open();
  expect(fs.existsSync(path)).toBe(false);
  write(first, 'ann', 1);
  write(first, 'bob', 1);
  write(first, 'ann', 2);
  write(first, 'ann', 7, 'other');
  expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  const killed = open();
  expect(killed.missingMs).toBeUndefined();
  expect(killed.countsOf('q').map(({ key, used }) => [key, used])).toEqual([
    ['ann', 2],
    ['bob', 1],
  ]);
});

test('a line that was cut off was never acted on, but a damaged one says that something is missing', () => {
  write(open(), 'ann', 3);
  fs.appendFileSync(path, '["q","ann",17');
  expect([open().missingMs, open().countsOf('q')[0]?.used]).toEqual([undefined, 3]);
  fs.appendFileSync(path, 'no JSON\n');
  expect(open().missingMs).toBe(atMs);
});

test('after a power loss something may be missing, unless its holder had ended in order', () => {
  const ended = open();
  write(ended, 'ann', 1);
  ended.close();
  expect(open('two').missingMs).toBeUndefined();
  write(open('two'), 'ann', 2);
  const after = open('three');
  expect(after.missingMs).toBe(atMs);
  expect(after.countsOf('q')[0]?.used).toBe(2);
  // That stays so for whoever comes later, until it cannot matter any more, or all is reset.
  write(after, 'bob', 1);
  after.close();
  expect(open('three', atMs + 31 * day).missingMs).toBe(atMs);
  expect(open('three', atMs + 33 * day).missingMs).toBeUndefined();
});

test('where a machine does not say which run it is, one that was killed may have counted more', () => {
  write(new QuotaJournal({ path, boot: undefined }), 'ann', 1);
  expect(new QuotaJournal({ path, boot: undefined, wallMs: () => atMs }).missingMs).toBe(atMs);
});

test('a reset of some keeps the others, one of all also what was missing', () => {
  write(open(), 'ann', 1);
  const after = open('two');
  write(after, 'bob', 1, 'other');
  after.forget(new Set(['q']), false);
  expect(open('two').missingMs).toBe(atMs);
  expect([open('two').countsOf('q'), open('two').countsOf('other').length]).toEqual([[], 1]);
  open('two').forget(new Set(), true);
  expect([open('two').missingMs, open('two').countsOf('other')]).toEqual([undefined, []]);
});

test('what was said of a reset does not outlast another power loss', () => {
  const first = open();
  write(first, '', 0, resetId('q'));
  const second = open();
  expect(second.countsOf(resetId('q'))).toHaveLength(1);
  write(second, 'ann', 1);
  expect(open('two').countsOf(resetId('q'))).toEqual([]);
});

test('keys whose period has ended are not kept', () => {
  let now = atMs;
  const journal = new QuotaJournal({ path, boot: 'one', wallMs: () => now });
  for (let key = 0; key < 30_000; key++) {
    now = atMs + key;
    journal.write({ id: 'q', key: `session ${key}`, atMs: now, used: 1, untilMs: now + 100 });
  }
  expect(fs.readFileSync(path, 'utf8').split('\n').length).toBeLessThan(10_200);
  expect(journal.countsOf('q').length).toBeLessThan(10_200);
});

test('a line that cannot be written is an error, and in the file with the next one that can', () => {
  const journal = open();
  write(journal, 'ann', 1);
  const { writeSync } = fs;
  const short = vi
    .spyOn(fs, 'writeSync')
    .mockImplementation(((fd: number, bytes: Buffer) =>
      writeSync(fd, bytes.subarray(0, 5))) as typeof fs.writeSync);
  try {
    syncBuiltinESMExports();
    expect(() => write(journal, 'ann', 2)).toThrow('5 of ');
  } finally {
    short.mockRestore();
    syncBuiltinESMExports();
  }
  write(journal, 'bob', 1);
  expect(open().missingMs).toBeUndefined();
  expect(
    open()
      .countsOf('q')
      .map(({ key, used }) => `${key} ${used}`),
  ).toEqual(['ann 2', 'bob 1']);
});

test('grows with its keys, not with its calls', () => {
  const journal = open();
  for (let call = 1; call <= 25_000; call++) write(journal, `user ${call % 10}`, call);
  expect(fs.readFileSync(path, 'utf8').split('\n').length).toBeLessThan(10_030);
  expect(open().countsOf('q')).toHaveLength(10);
  expect(
    Math.max(
      ...open()
        .countsOf('q')
        .map(({ used }) => used),
    ),
  ).toBe(25_000);
});
