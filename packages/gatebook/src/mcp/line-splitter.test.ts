import { expect, test } from 'vitest';
import { LineSplitter } from './line-splitter.js';

function split(text: string, bytesMax: number, step: number): { text: string; whole: boolean }[] {
  const splitter = new LineSplitter(bytesMax);
  const bytes = Buffer.from(text);
  const parts = [];
  for (let i = 0; i < bytes.length; i += step) {
    for (const part of splitter.push(bytes.subarray(i, i + step))) {
      parts.push({ text: part.bytes.toString(), whole: part.start && part.end });
    }
  }
  const rest = splitter.rest();
  if (rest !== undefined) parts.push({ text: `rest:${rest.bytes.toString()}`, whole: false });
  return parts;
}

test('lines come whole however the bytes arrive', () => {
  for (const step of [1, 2, 3, 7, 100]) {
    expect(split('one\n\ntwo\nrest', 10, step)).toEqual([
      { text: 'one\n', whole: true },
      { text: '\n', whole: true },
      { text: 'two\n', whole: true },
      { text: 'rest:rest', whole: false },
    ]);
  }
});

test('a line of exactly the bound is whole, one byte more is not', () => {
  for (const step of [1, 4, 100]) {
    expect(split('12345\n', 5, step)).toEqual([{ text: '12345\n', whole: true }]);
    const longer = split('123456\nab\n', 5, step);
    expect(longer.slice(0, -1).every((part) => !part.whole)).toBe(true);
    expect(longer.at(-1)).toEqual({ text: 'ab\n', whole: true });
    expect(longer.map((part) => part.text).join('')).toBe('123456\nab\n');
  }
});

test('no byte is lost or held back of a line without end', () => {
  const splitter = new LineSplitter(10);
  const first = splitter.push(Buffer.alloc(11, 97));
  expect(first).toHaveLength(1);
  expect(first[0]).toMatchObject({ start: true, end: false });
  expect(splitter.push(Buffer.alloc(50, 97))[0]).toMatchObject({ start: false, end: false });
  expect(splitter.push(Buffer.from('\n'))[0]).toMatchObject({ start: false, end: true });
  expect(splitter.rest()).toBeUndefined();
});
