import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linesOf } from '../cli/gatebook.js';
import { openWallClock, type WallClock } from './wall-clock.js';

const dayS = 86_400;
const dayMs = dayS * 1_000;

let folder: string;
let clock: WallClock;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatebook-clock-'));
  clock = await openWallClock(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The earliest and the latest time that each of three threads sees. */
const threads = `
const { Worker, isMainThread } = require('node:worker_threads');
if (isMainThread) for (let i = 0; i < 2; i++) new Worker(__filename);
let [least, most] = [Infinity, -Infinity];
for (let i = 0; i < 50_000; i++) {
  const now = Date.now();
  least = Math.min(least, now);
  most = Math.max(most, now);
}
console.log(JSON.stringify([least, most]));
`;

test('every thread has the time that was set, whenever it looks', async () => {
  await clock.set(200 * dayS);
  const program = join(folder, 'threads.cjs');
  await writeFile(program, threads);
  const begin = Date.now();
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    env: { ...process.env, ...clock.env },
  });
  const seen = linesOf(stdout).map((line) => JSON.parse(line) as [number, number]);
  expect(seen).toHaveLength(3);
  for (const [least, most] of seen) {
    expect(least).toBeGreaterThanOrEqual(begin + 200 * dayMs);
    expect(most).toBeLessThanOrEqual(Date.now() + 200 * dayMs);
  }
});

test('a process that runs has the time that is set meanwhile, in each of its forms', async () => {
  const forms = '[Date.now(), new Date().getTime(), Date.parse(Date())]';
  const kept = 'new Date(7).getTime() === 7 && new Date() instanceof Date && Date.UTC(1970) === 0';
  const program = `process.stdin.on('data', () => console.log(JSON.stringify([${forms}, ${kept}])))`;
  const child = spawn(process.execPath, ['-e', program], { env: { ...process.env, ...clock.env } });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (const day of [3, -20_000, 0]) {
      await clock.set(day * dayS);
      child.stdin.write('\n');
      const [times, rest] = JSON.parse(String((await lines.next()).value)) as [number[], boolean];
      for (const time of times)
        expect(Math.abs(time - Date.now() - day * dayMs)).toBeLessThan(60_000);
      expect([times.length, rest]).toEqual([3, true]);
    }
  } finally {
    child.kill();
  }
});
