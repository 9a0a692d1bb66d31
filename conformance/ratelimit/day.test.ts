import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Limiter, ManualClock } from '@gatebook/ratelimit';
import { expect, test } from 'vitest';
import { type DayLimiter, dayRate, ForgetfulLimiter, liveADay } from './day.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const users = wholeRun ? 10_000_000 : 200_000;
const every = wholeRun ? 100 : 10;
/** A row, two buckets, and what of the pages lies idle. */
const bytesPerKey = 96;

function collect(): void {
  setFlagsFromString('--expose_gc');
  (runInNewContext('gc') as () => void)();
}

function dayLimiter(maxKeys: number): DayLimiter {
  const clock = new ManualClock();
  const { count, perMs, burst } = dayRate;
  const limiter = new Limiter({
    clock,
    limits: [{ name: 'user', scope: ['actor'], rate: { count, perMs }, burst, maxKeys }],
  });
  return {
    setTime: (ms) => clock.advance(ms - clock.now()),
    take: (actor) => limiter.take({ actor }),
    get keys() {
      return limiter.counters()[0]?.keys ?? Number.NaN;
    },
  };
}

test(`of ${users.toLocaleString('en')} users in a day only those are kept whose buckets are not full, and a third more`, () => {
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const limiter = dayLimiter(users);
  const report = liveADay(limiter, users, every);
  const bytes = process.memoryUsage().arrayBuffers - before;
  console.log(`a day: ${JSON.stringify(report)}, ${bytes} bytes`);
  expect(report.wrong).toBe(0);
  expect(report.compared).toBeGreaterThan(users / every);
  expect(report.refusedForKeys).toBe(0);
  // Four rows are looked at for each new key, so who need not be kept any more is for a quarter of the rows' turns at most.
  expect(report.keysMost).toBeLessThan(report.limitingMost * 1.4);
  expect(report.keysMost).toBeGreaterThan(report.limitingMost * 0.8);
  // A page of rows and one of buckets may lie idle.
  expect(bytes).toBeLessThan(report.keysMost * bytesPerKey + 300_000);
  // What other tests of this process have left may be let go of meanwhile, which is more than the few keys of a short day.
  if (wholeRun) expect(bytes).toBeGreaterThan(report.keysMost * 64);
  expect(limiter.keys).toBeGreaterThan(0);
});

test('with room for too few, new ones are refused, and nobody is forgotten who has used something', () => {
  const most = users / 200;
  const report = liveADay(dayLimiter(most), users, every);
  expect(report.keysMost).toBeLessThanOrEqual(most);
  expect(report.refusedForKeys).toBeGreaterThan(users / 10);
  expect(report.wrong).toBe(0);
});

test('a limiter that forgets the oldest for a new one is found out', () => {
  const report = liveADay(new ForgetfulLimiter(users / 200), users, every);
  expect(report.wrong).toBeGreaterThan(report.compared / 20);
  expect(liveADay(new ForgetfulLimiter(users), users, every).wrong).toBe(0);
});
