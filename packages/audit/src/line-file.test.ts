import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineFile } from './line-file.js';
import { lineBytesMax } from './record.js';
import { makeTemporary, removeTemporary, temporaryFolder } from './testing/folders.js';

interface Read {
  readonly lines: { readonly text: string; readonly offset: number }[];
  readonly rest: string;
  readonly overlong: boolean;
}

function readAll(file: string, offset = 0, limit = Number.POSITIVE_INFINITY): Read {
  const lines = new LineFile(file, offset, limit);
  const read: Read['lines'] = [];
  try {
    while (lines.next()) {
      expect(lines.start).toBeGreaterThan(0);
      read.push({
        text: lines.buf.toString('latin1', lines.start, lines.end),
        offset: lines.offset,
      });
      if (lines.overlong) break;
    }
    return { lines: read, rest: lines.rest().toString('latin1'), overlong: lines.overlong };
  } finally {
    lines.close();
  }
}

test('gives the lines, where they begin, and what is behind the last newline, of any file', () => {
  const folder = makeTemporary();
  const file = path.join(folder, 'lines');
  try {
    const line = fc.oneof(
      fc.nat(50),
      fc.nat(lineBytesMax),
      fc.constantFrom(0, 1, lineBytesMax - 1, lineBytesMax),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.nat(100), (lengths, rest) => {
        const texts = lengths.map((length, i) => String.fromCharCode(97 + (i % 26)).repeat(length));
        fs.writeFileSync(file, `${texts.map((text) => `${text}\n`).join('')}${'?'.repeat(rest)}`);
        const read = readAll(file);
        let offset = 0;
        const wanted = texts.map((text) => {
          const at = offset;
          offset += text.length + 1;
          return { text, offset: at };
        });
        expect(read.lines).toEqual(wanted);
        expect(read.rest).toBe('?'.repeat(rest));
        // Cut in two where a line begins, the parts give the same.
        const middle = wanted[Math.floor(wanted.length / 2)]?.offset ?? 0;
        const parts = [...readAll(file, 0, middle).lines, ...readAll(file, middle).lines];
        expect(parts).toEqual(wanted);
      }),
      { numRuns: 60 },
    );
  } finally {
    removeTemporary(folder);
  }
});

test('a line longer than a record comes in one piece and is marked', () => {
  const file = path.join(temporaryFolder(), 'lines');
  fs.writeFileSync(file, `ok\n${'x'.repeat(lineBytesMax + 1)}\n`);
  const read = readAll(file);
  expect(read.lines.map((line) => line.text.length > lineBytesMax)).toEqual([false, true]);
  fs.writeFileSync(file, `${'x'.repeat(lineBytesMax + 1)}`);
  expect(readAll(file).overlong).toBe(true);
  fs.truncateSync(file, 2 ** 34);
  expect(readAll(file).overlong).toBe(true);
});

test('a file that grows while it is read gives its new lines', () => {
  const file = path.join(temporaryFolder(), 'lines');
  fs.writeFileSync(file, 'one\ntw');
  const lines = new LineFile(file);
  const next = (): string | undefined =>
    lines.next() ? lines.buf.toString('latin1', lines.start, lines.end) : undefined;
  expect(next()).toBe('one');
  expect(next()).toBeUndefined();
  expect(lines.rest().toString()).toBe('tw');
  fs.appendFileSync(file, 'o\nthree\n');
  expect(next()).toBe('two');
  expect(next()).toBe('three');
  expect(next()).toBeUndefined();
  expect(lines.nextOffset).toBe(14);
  lines.close();
});

test('an empty file has no lines', () => {
  const file = path.join(temporaryFolder(), 'lines');
  fs.writeFileSync(file, '');
  expect(readAll(file)).toEqual({ lines: [], rest: '', overlong: false });
});
