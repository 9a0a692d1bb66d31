import { describe, expect, it } from 'vitest';
import { LineSplitter } from './input-lines.js';

/** All lines of a text cut into pieces of `size` bytes; undefined for one beyond the bound. */
function split(text: string, size: number, bytesMax = 100): (string | undefined)[] {
  const splitter = new LineSplitter(bytesMax);
  const bytes = Buffer.from(text);
  const lines: (string | undefined)[] = [];
  for (let i = 0; i < bytes.length; i += size) {
    for (const line of splitter.push(bytes.subarray(i, i + size))) {
      expect(line.number).toBe(lines.length + 1);
      lines.push(line.bytes?.toString());
    }
  }
  for (const line of splitter.end()) lines.push(line.bytes?.toString());
  return lines;
}

describe('LineSplitter', () => {
  it.each([1, 2, 3, 7, 1000])('gives the same lines from pieces of %i bytes', (size) => {
    expect(split('one\n\ntwo é\r\nlast', size)).toEqual(['one', '', 'two é\r', 'last']);
    expect(split('one\n', size)).toEqual(['one']);
    expect(split('', size)).toEqual([]);
  });

  it.each([
    1, 4, 1000,
  ])('drops a line beyond the bound and goes on behind it, pieces of %i', (size) => {
    expect(split(`${'x'.repeat(11)}\nok\n${'y'.repeat(10)}\n${'z'.repeat(11)}`, size, 10)).toEqual([
      undefined,
      'ok',
      'y'.repeat(10),
      undefined,
    ]);
  });

  it('says how much of an unended line it holds', () => {
    const splitter = new LineSplitter(10);
    for (const _line of splitter.push(Buffer.from('ab\ncde')));
    expect(splitter.pendingBytes).toBe(3);
  });
});
