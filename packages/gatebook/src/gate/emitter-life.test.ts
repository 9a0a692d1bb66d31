import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { hasGone } from './emitter-life.js';

const now = (): string => new Date().toISOString();

test('a process that runs, and was there at the time of the record, has not gone', () => {
  expect(hasGone(`pid:${process.pid}`, now())).toBe(false);
  expect(hasGone(`pid:${process.ppid}`, now())).toBe(false);
});

test('one that has ended has', () => {
  const { pid } = spawnSync('true');
  expect(hasGone(`pid:${pid}`, now())).toBe(true);
});

test('one whose id another process has by now has', () => {
  const before = new Date(Date.now() - performance.now() - 5_000).toISOString();
  expect(hasGone(`pid:${process.pid}`, before)).toBe(true);
});

test('of which nothing can be told has not', () => {
  const { pid } = spawnSync('true');
  expect(hasGone(`pid:${pid}`, now(), '/nowhere')).toBe(false);
  for (const name of ['agent-7', 'log', 'pid:', 'pid:0', 'pid:x', `pid:${pid}x`]) {
    expect(hasGone(name, now())).toBe(false);
  }
});
