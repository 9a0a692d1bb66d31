import { expect, test } from 'vitest';
import { periodEnd, samePeriod } from './rotation.js';

const at = (text: string): number => Date.parse(text);

test.each([
  ['hourly', '2026-01-02T03:04:05.678Z', '2026-01-02T04:00:00.000Z'],
  ['hourly', '2026-01-02T04:00:00.000Z', '2026-01-02T05:00:00.000Z'],
  ['daily', '2026-02-28T23:59:59.999Z', '2026-03-01T00:00:00.000Z'],
  ['daily', '1969-12-31T12:00:00.000Z', '1970-01-01T00:00:00.000Z'],
  // A Sunday, the Monday behind it, and 1970 itself, a Thursday.
  ['weekly', '2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00.000Z'],
  ['weekly', '2026-11-23T00:00:00.000Z', '2026-11-30T00:00:00.000Z'],
  ['weekly', '1970-01-01T00:00:00.000Z', '1970-01-05T00:00:00.000Z'],
] as const)('%s: the period of %s ends at %s', (rotate, time, end) => {
  expect(periodEnd(rotate, at(time))).toBe(at(end));
});

test('by size there are no periods', () => {
  expect(periodEnd('size', 0)).toBe(Number.POSITIVE_INFINITY);
  expect(samePeriod('size', 0, 1e12)).toBe(true);
});

test('a clock set back leaves the period too', () => {
  const [now, before] = [at('2026-01-02T00:00:00Z'), at('2026-01-01T23:59:59Z')];
  expect(samePeriod('daily', now, before)).toBe(false);
  expect(samePeriod('weekly', now, before)).toBe(true);
});
