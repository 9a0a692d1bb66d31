import { describe, expect, test } from 'vitest';
import { coverOf } from './pruned-ranges.js';
import { RetentionJudge } from './retention-judge.js';
import type { LogFact } from './verify-chunk.js';

/** A book of two sealed segments of 100 records, sealed on the first and second of January, and what is recorded behind them. */
const times = {
  sealed: '2026-01-01T00:00:00.000Z',
  later: '2026-01-02T00:00:00.000Z',
  pruned: '2026-02-01T00:00:00.000Z',
};

function fact(seq: number, type: string, timestamp: string, details: object): LogFact {
  const place = { offset: 0, bytes: 500, leaf: `${seq}`.padStart(64, '0') };
  return { seq, type, timestamp, ...place, details: details as LogFact['details'] };
}

function seal(firstSeq: number, time: string): LogFact {
  return fact(firstSeq + 99, 'log.sealed', time, { first_seq: firstSeq, bytes: 9_500 });
}

function range(firstSeq: number, lastSeq: number): object {
  const subtrees = coverOf(firstSeq, lastSeq + 1).map(() => Buffer.alloc(32).toString('base64'));
  const bytes = (lastSeq + 1 - firstSeq) * 100;
  return {
    first_seq: firstSeq,
    last_seq: lastSeq,
    bytes,
    epoch: 9,
    hash: 'ab'.repeat(32),
    subtrees,
  };
}

const byAge = { first_seq: 0, last_seq: 99, reason: 'age' };
const honest = { bytes: 30_000, removed: [byAge], ranges: [range(0, 99)] };

function judge(
  retention: object,
  details: object = honest,
  more: { minDays?: number; between?: LogFact; time?: string } = {},
): RetentionJudge {
  const judging = new RetentionJudge('/nowhere', more.minDays);
  judging.feed(fact(0, 'log.opened', times.sealed, { retention }), [0, 0]);
  judging.feed(seal(0, times.sealed), [9_500, 9_500]);
  judging.feed(seal(100, times.later), [19_500, 19_500]);
  if (more.between) judging.feed(more.between, [25_000, 25_000]);
  judging.feed(fact(300, 'log.pruned', more.time ?? times.pruned, details), [30_000, 30_000]);
  return judging;
}

const thirty = { delete: 'oldest', retention_days: 30 };

test('what the policy allows is a run, with reason and time', () => {
  const { runs, denied } = judge(thirty);
  expect(denied).toEqual([]);
  expect(runs).toEqual([{ range: [0, 100], reason: 'age', time: times.pruned }]);
});

test.each<[string, object, object?, Parameters<typeof judge>[2]?]>([
  ['everything is kept', { delete: 'never' }],
  ['no policy at all', {}],
  ['a policy of another form', { ...thirty, retention_days: '30' }],
  ['too early by a day', { ...thirty, retention_days: 32 }],
  ['a reason that the policy does not know', { delete: 'oldest', max_records: 10 }],
  [
    'fewer records than allowed',
    { delete: 'oldest', max_records: 300 },
    { ...honest, removed: [{ ...byAge, reason: 'records' }] },
  ],
  [
    'fewer bytes than allowed',
    { delete: 'oldest', max_total_bytes: 30_000 },
    { ...honest, removed: [{ ...byAge, reason: 'size' }] },
  ],
  ['bytes that were not counted', thirty, { ...honest, bytes: 30_001 }],
  ['ranges of more than was removed', thirty, { ...honest, ranges: [range(0, 199)] }],
  [
    'no sealed segment',
    thirty,
    { ...honest, removed: [{ ...byAge, last_seq: 98 }], ranges: [range(0, 98)] },
  ],
  ['a type to be kept for longer, and no tally to tell', { ...thirty, type_days: { 'a.b': 90 } }],
  ['a hold, and no tally to tell', { ...thirty, hold: [{ actor: 'ann' }] }],
  ['fewer days than the verifier asks for', thirty, honest, { minDays: 32 }],
  ['a time that is none', thirty, honest, { time: '2026-02-30T00:00:00.000Z' }],
  [
    'a clock that has jumped',
    thirty,
    honest,
    { between: fact(200, 'log.clock_jump', times.later, { jump_ms: 86_400_000 }) },
  ],
])('not allowed: %s', (_, retention, details, more) => {
  const { runs, denied } = judge(retention, details, more);
  expect(runs).toEqual([]);
  expect(denied).toHaveLength(1);
});

describe('allowed', () => {
  test.each<[string, object, object?, Parameters<typeof judge>[2]?]>([
    [
      'more records than allowed',
      { delete: 'oldest', max_records: 299 },
      { ...honest, removed: [{ ...byAge, reason: 'records' }] },
    ],
    [
      'more bytes than allowed',
      { delete: 'oldest', max_total_bytes: 29_999 },
      { ...honest, removed: [{ ...byAge, reason: 'size' }] },
    ],
    [
      'a clock set back',
      thirty,
      honest,
      { between: fact(200, 'log.clock_jump', times.later, { jump_ms: -86_400_000_000 }) },
    ],
    [
      'a clock that was confirmed',
      thirty,
      honest,
      { between: fact(200, 'log.clock_confirmed', times.later, {}) },
    ],
    ['as many days as the verifier asks for', thirty, honest, { minDays: 31 }],
  ])('%s', (_, retention, details, more) => {
    expect(judge(retention, details, more).denied).toEqual([]);
  });
});
