import { describe, expect, test } from 'vitest';
import { atLeast, atMost, quantile, type Round, ratioOf, ratioTable, tableOf } from './answer.js';

function round(own: number, peer: number): Round {
  return new Map([
    ['own', { speed: own, latency: 1 }],
    ['peer', { speed: peer }],
  ]);
}

describe('quantile', () => {
  test('ranks by number, and interpolates between ranks', () => {
    expect(quantile([100, 9, 20], 0.5)).toBe(20);
    expect(quantile([4, 1, 2, 3], 0.5)).toBe(2.5);
    expect(quantile([10, 20], 0.99)).toBeCloseTo(19.9);
    expect(quantile([7], 0.99)).toBe(7);
  });

  test('refuses to rank nothing', () => {
    expect(() => quantile([], 0.5)).toThrow('nothing to rank');
  });
});

describe('ratios', () => {
  const rounds = [round(10, 1), round(2, 2), round(30, 10)];

  test('are taken within a round, and their median is shown', () => {
    // The ratio of the medians would be 10 / 2.
    expect(ratioOf(rounds, 'own', 'peer', 'speed')).toEqual({
      median: 3,
      min: 1,
      max: 10,
      rounds: [10, 1, 3],
    });
  });

  test('leave out what only one side measured', () => {
    const table = ratioTable('', rounds, 'own', ['peer'], ['speed', 'latency']);
    expect(table.rows.map((row) => Object.keys(row.cells))).toEqual([['speed']]);
  });

  test('name what was not measured', () => {
    expect(() => ratioOf(rounds, 'own', 'peer', 'latency')).toThrow('peer has no latency');
  });
});

test('a table has a row for each contender', () => {
  const { rows } = tableOf('speeds', [round(1, 5), round(3, 6)]);
  expect(rows.map((row) => [row.name, row.cells['speed']?.median])).toEqual([
    ['own', 2],
    ['peer', 5.5],
  ]);
});

test('a target is met at its bound', () => {
  expect([atLeast('', 1, 1, '', '').met, atLeast('', 0.9, 1, '', '').met]).toEqual([true, false]);
  expect([atMost('', 1, 1, '', '').met, atMost('', 1.1, 1, '', '').met]).toEqual([true, false]);
});
