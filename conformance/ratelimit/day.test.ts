import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type DayReport, ForgetfulLimiter, liveADay } from './day.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const users = wholeRun ? 10_000_000 : 200_000;
const every = wholeRun ? 100 : 10;
/** The naive one is slow with many. */
const usersOfNaive = 200_000;
/** A row, two buckets, and what of the pages lies idle. */
const bytesPerKey = 96;
const hour = 3_600_000;

async function dayWithRoomFor(maxKeys: number): Promise<DayReport & { readonly bytes: number }> {
  const program = fileURLToPath(new URL('./day-process.js', import.meta.url));
  const args = ['--expose-gc', program, ...[users, every, maxKeys].map(String)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as DayReport & { readonly bytes: number };
}

test(
  `of ${users.toLocaleString('en')} users in a day only those are kept whose buckets are not full, and a third more`,
  async () => {
    const report = await dayWithRoomFor(users);
    console.log(`a day: ${JSON.stringify(report)}`);
    expect(report.wrong).toBe(0);
    expect(report.compared).toBeGreaterThan(users / every);
    expect(report.refusedForKeys).toBe(0);
    // Four rows are looked at for each new key, so who need not be kept any more is for a quarter of the rows' turns at most.
    expect(report.keysMost).toBeLessThan(report.limitingMost * 1.4);
    expect(report.keysMost).toBeGreaterThan(report.limitingMost * 0.8);
    // A page of rows and one of buckets may lie idle.
    expect(report.bytes).toBeLessThan(report.keysMost * bytesPerKey + 300_000);
    expect(report.bytes).toBeGreaterThan(report.keysMost * 64);
  },
  hour,
);

test(
  'with room for too few, new ones are refused, and nobody is forgotten who has used something',
  async () => {
    const most = users / 200;
    const report = await dayWithRoomFor(most);
    expect(report.keysMost).toBeLessThanOrEqual(most);
    expect(report.refusedForKeys).toBeGreaterThan(users / 10);
    expect(report.wrong).toBe(0);
  },
  hour,
);

test('a limiter that forgets the oldest for a new one is found out', () => {
  const report = liveADay(new ForgetfulLimiter(usersOfNaive / 200), usersOfNaive, 10);
  expect(report.wrong).toBeGreaterThan(report.compared / 20);
  expect(liveADay(new ForgetfulLimiter(usersOfNaive), usersOfNaive, 10).wrong).toBe(0);
});
