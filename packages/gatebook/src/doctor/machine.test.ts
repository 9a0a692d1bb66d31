import { expect, it } from 'vitest';
import { checkNode, checkSpace, judgeSpace } from './machine.js';

it.each([
  ['18.20.4', 'fail'],
  ['20.18.9', 'fail'],
  ['20.19.0', 'warn'],
  ['22.1.0', 'ok'],
  ['100.0.0', 'ok'],
])('Node %s: %s', (version, level) => {
  expect(checkNode(version).level).toBe(level);
});

const mebibyte = 1024 ** 2;
it.each([
  [31 * mebibyte, 1e6, 'fail'],
  [33 * mebibyte, 1e6, 'warn'],
  [1023 * mebibyte, 1e6, 'warn'],
  [2000 * mebibyte, 1e6, 'ok'],
  [2000 * mebibyte, 5, 'warn'],
  [2000 * mebibyte, Number.POSITIVE_INFINITY, 'ok'],
])('%d bytes and %d files left: %s', (bytes, files, level) => {
  expect(judgeSpace('/l', { bytes, files }).level).toBe(level);
});

it('what cannot be told is a warning', () => {
  expect(checkSpace('/nowhere/at/all').level).toBe('warn');
  expect(checkSpace('/').what).toMatch(/^\d+ MiB/);
});
