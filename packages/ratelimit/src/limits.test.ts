import { describe, expect, test } from 'vitest';
import { type Limit, parseRate } from './limit.js';
import { Limiter } from './limiter.js';
import { ManualClock } from './manual-clock.js';

const dayMs = 86_400_000;

function open(...limits: Limit[]): { limiter: Limiter; clock: ManualClock } {
  const clock = new ManualClock(0, Date.parse('2026-03-28T22:30:00Z'));
  return { limiter: new Limiter({ limits, clock }), clock };
}

function count(limiter: Limiter, tries: number, request = {}): number {
  return Array.from({ length: tries }, () => limiter.take(request)).filter(({ allowed }) => allowed)
    .length;
}

describe('a quota', () => {
  test('of a calendar day begins anew at midnight of its zone, also on a day of 23 hours', () => {
    const { limiter, clock } = open({
      name: 'daily',
      kind: 'quota',
      max: 3,
      period: { calendar: 'day', zone: 'Europe/Berlin' },
    });
    // 23:30 on the 28th in Berlin; the clock there is set forward on the 29th at 02:00.
    expect(count(limiter, 5)).toBe(3);
    expect(limiter.take({})).toMatchObject({
      allowed: false,
      retryAfterMs: 30 * 60_000,
      by: 'daily',
    });
    clock.advance(30 * 60_000);
    expect(count(limiter, 5)).toBe(3);
    expect(limiter.take({}).retryAfterMs).toBe(23 * 3_600_000);
    clock.advance(23 * 3_600_000 - 1);
    expect(count(limiter, 1)).toBe(0);
    clock.advance(1);
    expect(count(limiter, 5)).toBe(3);
  });

  test.each([
    ['minute', '2026-03-28T22:31:00Z'],
    ['hour', '2026-03-28T23:00:00Z'],
    ['day', '2026-03-29T00:00:00Z'],
    ['week', '2026-03-30T00:00:00Z'],
    ['month', '2026-04-01T00:00:00Z'],
  ] as const)('of a calendar %s ends in UTC at %s', (calendar, end) => {
    const { limiter, clock } = open({ name: 'q', kind: 'quota', max: 1, period: { calendar } });
    limiter.take({});
    expect(limiter.take({}).retryAfterMs).toBe(Date.parse(end) - clock.wall());
  });

  test('of a calendar period is not given anew by a clock that is set back, nor refunded into another period', () => {
    const { limiter, clock } = open({
      name: 'q',
      kind: 'quota',
      max: 2,
      period: { calendar: 'day' },
    });
    const first = limiter.take({});
    clock.advance(2 * 3_600_000);
    expect(count(limiter, 5)).toBe(2);
    clock.stepWall(-dayMs);
    expect(count(limiter, 5)).toBe(0);
    if (first.allowed) first.refund();
    expect(count(limiter, 5)).toBe(0);
  });

  test('that rolls never allows more in any window of its length, and is free again a sixtieth late at most', () => {
    const { limiter, clock } = open({
      name: 'rolling',
      kind: 'quota',
      max: 10,
      period: { rollingMs: 60_000 },
    });
    const at: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      if (limiter.take({}).allowed) at.push(clock.now());
      clock.advance((i * 7_919) % 200);
    }
    for (const [i, time] of at.entries()) {
      const inWindow = at.slice(i).filter((other) => other - time < 60_000).length;
      expect(inWindow).toBeLessThanOrEqual(10);
      if (i >= 10) expect(time - at[i - 10]!).toBeLessThanOrEqual(61_000 + 400);
    }
    expect(at.length).toBeGreaterThan(30);
  });

  test('that rolls says when it is free, and is', () => {
    const { limiter, clock } = open({
      name: 'r',
      kind: 'quota',
      max: 2,
      period: { rollingMs: 60_000 },
    });
    clock.advance(500);
    limiter.take({});
    clock.advance(10_000);
    limiter.take({});
    const { retryAfterMs } = limiter.take({ cost: 2 });
    clock.advance(retryAfterMs - 1);
    expect(limiter.take({ cost: 2 }).allowed).toBe(false);
    clock.advance(1);
    expect(limiter.take({ cost: 2 }).allowed).toBe(true);
  });
});

describe('limits that change while they are in use', () => {
  test('keep what was used, which comes back at the new rate', () => {
    const { limiter, clock } = open({ name: 'all', rate: parseRate('10/s') });
    expect(count(limiter, 20)).toBe(10);
    limiter.setLimits([{ name: 'all', rate: parseRate('1/s'), burst: 10 }]);
    expect(count(limiter, 20)).toBe(0);
    clock.advance(3_000);
    expect(count(limiter, 20)).toBe(3);
    limiter.setLimits([{ name: 'all', rate: parseRate('1/s'), burst: 12 }]);
    expect(count(limiter, 20)).toBe(2);
    limiter.setLimits([{ name: 'other', rate: parseRate('1/s'), burst: 4 }]);
    expect(count(limiter, 20)).toBe(4);
  });

  test('serve who waits by the new limits, and wrong ones change nothing', async () => {
    const { limiter, clock } = open({ name: 'all', rate: parseRate('1/hour') });
    limiter.take({});
    const waiting = limiter.wait({});
    await Promise.resolve();
    expect(() => limiter.setLimits([{ name: 'all', rate: { count: -1, perMs: 1 } }])).toThrow(
      'the rate’s count is -1',
    );
    limiter.setLimits([{ name: 'all', rate: parseRate('1/s') }]);
    clock.advance(1_000);
    expect((await waiting).allowed).toBe(true);
  });
});

describe('a reservation', () => {
  const budget: Limit = { name: 'budget', rate: parseRate('100/day') };

  test('is corrected to what it cost, once, and never fails', () => {
    const { limiter } = open(budget);
    const first = limiter.reserve({}, 60);
    expect(limiter.reserve({}, 60)).toMatchObject({ allowed: false, by: 'budget' });
    if (!first.allowed) throw new Error('refused');
    expect(first.settle(10)).toEqual({ overspent: 0 });
    first.settle(0);
    first.release();
    expect(limiter.peek({}).remaining).toBe(90);
    const second = limiter.reserve({}, 90);
    if (!second.allowed) throw new Error('refused');
    // A hundred beyond what there can be is debt, the rest is told.
    expect(second.settle(250)).toEqual({ overspent: 60 });
    expect(limiter.take({}).retryAfterMs).toBe(Math.ceil((101 * dayMs) / 100));
  });

  test('that cost more leaves exactly as much lacking, whatever the rate', () => {
    const monthMs = 30 * dayMs;
    const { limiter, clock } = open({ name: 'a', rate: { count: 0.25, perMs: monthMs }, burst: 7 });
    limiter.take({});
    clock.advance(60_000);
    const first = limiter.reserve({}, 2.5);
    clock.advance(3_600_000);
    limiter.take({ cost: 2 });
    if (first.allowed) first.settle(6);
    // 9 tokens at a quarter a month, less what came in.
    expect(limiter.take({ cost: 7 }).retryAfterMs).toBe(9 * 4 * monthMs - 3_660_000);
  });

  test('that is released costs nothing, and one that is forgotten its estimate', () => {
    const { limiter } = open(budget);
    const first = limiter.reserve({}, 60);
    if (first.allowed) first.release();
    limiter.reserve({}, 100);
    expect(limiter.take({}).allowed).toBe(false);
  });
});

describe('what was taken before a reset', () => {
  test.each<Limit>([
    { name: 'q', kind: 'quota', max: 10, period: { calendar: 'day' } },
    { name: 'q', kind: 'quota', max: 10, period: { rollingMs: dayMs } },
  ])('gives nothing back of what was taken after it: $period', (limit) => {
    const { limiter } = open(limit);
    const first = limiter.take({ cost: 5 });
    limiter.reset('q', {});
    limiter.take({ cost: 5 });
    if (first.allowed) first.refund();
    expect(limiter.peek({}).remaining).toBe(5);
  });

  test('is corrected to more all the same', () => {
    const { limiter } = open({ name: 'q', kind: 'quota', max: 10, period: { rollingMs: dayMs } });
    const first = limiter.reserve({}, 5);
    limiter.reset('q', {});
    if (first.allowed) first.settle(8);
    expect(limiter.peek({}).remaining).toBe(7);
  });
});

test('what costs more in a period that is over is in no budget of the next, and no debt', () => {
  const { limiter, clock } = open(
    { name: 'a', kind: 'quota', max: 10, maxDebt: 0, period: { calendar: 'day' } },
    { name: 'b', kind: 'quota', max: 10, maxDebt: 0, period: { rollingMs: 60_000 } },
  );
  const first = limiter.reserve({}, 5);
  clock.advance(dayMs);
  if (!first.allowed) throw new Error('refused');
  expect(first.settle(50)).toEqual({ overspent: 0 });
  expect(limiter.peek({}).remaining).toBe(10);
});

describe('besides', () => {
  test('a limit in the shadow counts what it would refuse, and refuses nothing', () => {
    const { limiter } = open(
      { name: 'new', rate: parseRate('2/min'), shadow: true },
      { name: 'all', rate: parseRate('10/min') },
    );
    expect(count(limiter, 12)).toBe(10);
    expect(limiter.counters()).toMatchObject([
      { limit: 'new', shadowRefused: 10 },
      { limit: 'all', allowed: 10, refused: 2 },
    ]);
  });

  test('a blocked key waits twice as long each time, and is forgotten', () => {
    const { limiter, clock } = open({ name: 'user', scope: ['actor'], rate: parseRate('100/s') });
    const ann = { actor: 'ann' };
    expect(limiter.block('user', ann, 1_000)).toBe(1_000);
    expect(limiter.take(ann)).toMatchObject({
      allowed: false,
      reason: 'blocked',
      retryAfterMs: 1_000,
    });
    expect(limiter.take({ actor: 'bob' }).allowed).toBe(true);
    clock.advance(1_000);
    expect(limiter.take(ann).allowed).toBe(true);
    expect(limiter.block('user', ann, 1_000)).toBe(2_000);
    limiter.reset('user', ann);
    expect(limiter.take(ann).allowed).toBe(true);
    expect(limiter.block('user', ann, 1_000)).toBe(1_000);
    clock.advance(2_001);
    expect(limiter.block('user', ann, 1_000)).toBe(1_000);
    expect(() => limiter.block('nobody', ann, 1)).toThrow(
      'there is no limit "nobody"; there is user',
    );
  });

  test('a snapshot is gone on from after a restart, by what the wall clock says has passed', () => {
    const limits: Limit[] = [
      { name: 'user', scope: ['actor'], rate: parseRate('10/min') },
      { name: 'daily', kind: 'quota', max: 20, period: { calendar: 'day' } },
      { name: 'rolling', kind: 'quota', max: 20, period: { rollingMs: dayMs } },
    ];
    const { limiter, clock } = open(...limits);
    expect(count(limiter, 10, { actor: 'ann' })).toBe(10);
    const kept = JSON.parse(JSON.stringify(limiter.snapshot()));
    const later = new ManualClock(5, clock.wall() + 30_000);
    const next = new Limiter({ limits, clock: later });
    next.restore(kept);
    expect(count(next, 10, { actor: 'ann' })).toBe(5);
    expect(count(next, 10, { actor: 'bob' })).toBe(5);
    expect(next.take({ actor: 'bob' })).toMatchObject({ allowed: false, by: 'rolling' });
    const tomorrow = new Limiter({ limits, clock: new ManualClock(0, clock.wall() + dayMs) });
    tomorrow.restore(kept);
    expect(tomorrow.peek({ actor: 'eve' })).toMatchObject({ by: 'user', remaining: 10 });
    expect(() => next.restore({ ...kept, version: 2 })).toThrow('no snapshot');
  });

  test('two names alike and what cannot work are refused by name', () => {
    const bad: [Limit[], string][] = [
      [
        [
          { name: 'a', rate: parseRate('1/s') },
          { name: 'a', rate: parseRate('1/s') },
        ],
        'two limits are named "a"',
      ],
      [[{ name: '', rate: parseRate('1/s') }], 'no name'],
      [
        [{ name: 'a', scope: ['user' as 'actor'], rate: parseRate('1/s') }],
        'its scope names "user"',
      ],
      [[{ name: 'a', scope: ['actor', 'actor'], rate: parseRate('1/s') }], 'twice'],
      [[{ name: 'a', rate: { count: 1, perMs: 0 } }], 'perMs is 0'],
      [
        [{ name: 'a', kind: 'quota', max: 1, period: { calendar: 'day', zone: 'Mars/Olympus' } }],
        'no time zone "Mars/Olympus"',
      ],
    ];
    for (const [limits, message] of bad) expect(() => open(...limits)).toThrow(message);
    for (const text of ['60', '60/', '/min', '-1/min', '60/fortnight', '1e3/s', '60 / min'])
      expect(() => parseRate(text)).toThrow('is no rate');
    expect(parseRate('100/15min')).toEqual({ count: 100, perMs: 900_000 });
    const { limiter } = open({ name: 'a', rate: parseRate('1/s') });
    for (const cost of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => limiter.take({ cost })).toThrow('not a number of 0 or more');
    expect(() =>
      open({ name: 'u', scope: ['actor'], rate: parseRate('1/s') }).limiter.take({
        actor: 7 as unknown as string,
      }),
    ).toThrow('actor is no string');
  });
});
