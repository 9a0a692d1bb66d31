import fc from 'fast-check';
import { type Item, parseList } from 'structured-headers';
import { describe, expect, test } from 'vitest';
import type { Decision, Refusal } from '../decision.js';
import { type Limit, parseRate } from '../limit.js';
import { Limiter } from '../limiter.js';
import { ManualClock } from '../manual-clock.js';
import { FieldWriter, fieldAfter, retryAfterS } from './fields.js';
import { policiesOf, policyField, policyName } from './policy.js';
import { problemOf } from './problem.js';

function parsed(field: string): [unknown, Record<string, unknown>][] {
  return parseList(field).map((each) => {
    const [value, parameters] = each as Item;
    return [value, Object.fromEntries(parameters)];
  });
}

const told = (...limits: Limit[]) => policyField(policiesOf(limits));
const decided: Decision = {
  allowed: true,
  by: 'a',
  remaining: 7,
  limit: 9,
  retryAfterMs: 0,
  resetMs: 1_500,
};
const refused: Refusal = {
  ...decided,
  allowed: false,
  reason: 'limit',
  remaining: 0,
  retryAfterMs: 1_001,
};

describe('RateLimit-Policy', () => {
  test.each<[string, Limit]>([
    ['"a";q=100;w=60', { name: 'a', rate: parseRate('100/min') }],
    ['"a";q=10;w=10', { name: 'a', rate: parseRate('60/min'), burst: 10 }],
    ['"a";q=200;w=120', { name: 'a', rate: parseRate('100/min'), burst: 200 }],
    ['"a";q=5;w=1', { name: 'a', rate: parseRate('100/s'), burst: 5 }],
    ['"a";q=3;w=3', { name: 'a', rate: parseRate('1/s'), burst: 3 }],
    ['"a";q=1;w=2', { name: 'a', rate: parseRate('1/s'), burst: 1.5 }],
    ['"a";q=0', { name: 'a', rate: { count: 0, perMs: 1 } }],
    ['"a";q=3', { name: 'a', rate: { count: 0, perMs: 1 }, burst: 3 }],
    ['"a";q=4;qu="concurrent-requests"', { name: 'a', kind: 'concurrency', max: 4 }],
    ['"a";q=9;w=604800', { name: 'a', kind: 'quota', max: 9, period: { calendar: 'week' } }],
    ['"a";q=9;w=2', { name: 'a', kind: 'quota', max: 9.9, period: { rollingMs: 1_001 } }],
    [
      '"a";q=999999999999999;w=60',
      { name: 'a', kind: 'quota', max: 1e300, period: { calendar: 'minute' } },
    ],
    [
      '"a";q=1;w=999999999999999',
      { name: 'a', kind: 'quota', max: 1, period: { rollingMs: 1e300 } },
    ],
  ])('is %s', (field, limit) => {
    expect(told(limit)).toBe(field);
    expect(() => parseList(field)).not.toThrow();
  });

  test('is absent without limits, and says nothing of a shadow', () => {
    expect(told()).toBeUndefined();
    expect(told({ name: 'a', rate: parseRate('1/s'), shadow: true })).toBeUndefined();
  });

  test('whoever keeps to it is never refused', () => {
    const rates = fc.record({
      count: fc.integer({ min: 1, max: 500 }),
      perMs: fc.integer({ min: 1, max: 90_000 }),
      burst: fc.integer({ min: 1, max: 300 }),
    });
    fc.assert(
      fc.property(rates, ({ burst, ...rate }) => {
        const limit = { name: 'a', rate, burst };
        const clock = new ManualClock();
        const limiter = new Limiter({ clock, limits: [limit] });
        const [, { q, w }] = parsed(told(limit)!)[0] as [string, { q: number; w: number }];
        for (let window = 0; window < 3; window++) {
          for (let i = 0; i < q; i++) expect(limiter.take({}).allowed).toBe(true);
          clock.advance(w * 1_000);
        }
      }),
    );
  });

  test('names are printable ASCII that tells all names apart', () => {
    expect(policyName('in flight')).toBe('in flight');
    expect(policyName('100%')).toBe('100%25');
    expect(policyName('täglich\r\n😀')).toBe('t%c3%a4glich%0d%0a%f0%9f%98%80');
    expect(policyName('\ud800')).toBe('%ef%bf%bd');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
        const field = told({ name, rate: parseRate('1/s') })!;
        expect(field).toMatch(/^[\x20-\x7e]+$/);
        const [[value]] = parsed(field) as [[string, unknown]];
        expect(decodeURIComponent(value)).toBe(name);
      }),
    );
  });
});

describe('RateLimit', () => {
  const write = (decision: Decision, limits: readonly Limit[] = [], secret?: string) =>
    new FieldWriter(limits, secret)
      .write(decision, { actor: 'ann' })
      .find(([name]) => name === 'RateLimit')?.[1];

  test.each<[string | undefined, Partial<Decision>]>([
    ['"a";r=7;t=2', {}],
    ['"a";r=7', { resetMs: Number.POSITIVE_INFINITY }],
    ['"a";r=7;t=0', { resetMs: 0 }],
    ['"a";r=999999999999999;t=2', { remaining: 1e20 }],
    ['"a";r=0;t=999999999999999', { remaining: 0, resetMs: 1e30 }],
    ['"a";r=0;t=3', { allowed: false, remaining: 0, retryAfterMs: 2_001 }],
    ['"a";r=0;t=1', { allowed: false, remaining: 0, retryAfterMs: 0.1 }],
    ['"a";r=0', { allowed: false, remaining: 0, retryAfterMs: Number.POSITIVE_INFINITY }],
    ['"a\\"b\\\\";r=7;t=2', { by: 'a"b\\' }],
    [undefined, { by: '', remaining: Number.POSITIVE_INFINITY }],
  ])('is %s', (field, change) => {
    expect(write({ ...decided, ...change })).toBe(field);
  });

  test('of a bucket just used up says when the next token is there, not when all are', () => {
    const limit = { name: 'a', rate: parseRate('1/s'), burst: 10 };
    const limiter = new Limiter({ clock: new ManualClock(), limits: [limit] });
    const fields = Array.from({ length: 11 }, () => write(limiter.take({}), [limit]));
    expect(fields[8]).toBe('"a";r=1;t=9');
    expect(fields[9]).toBe('"a";r=0;t=1');
    expect(fields[10]).toBe('"a";r=0;t=1');
  });

  test('has a partition key only with a secret, and never the name itself', () => {
    const limit: Limit = { name: 'a', rate: parseRate('1/s'), scope: ['actor'] };
    const [[, { pk }]] = parsed(write(decided, [limit], 'secret')!) as [
      [string, { pk: ArrayBuffer }],
    ];
    expect(pk.byteLength).toBe(12);
    expect(Buffer.from(pk).includes('ann')).toBe(false);
    expect(write(decided, [limit], 'secret')).toBe(write(decided, [limit], 'secret'));
    expect(write(decided, [limit], 'secret')).not.toBe(write(decided, [limit], 'other'));
    expect(write(decided, [limit])).not.toContain('pk');
    expect(write(decided, [{ name: 'a', rate: parseRate('1/s') }], 'secret')).not.toContain('pk');
  });

  test('is joined to what is there already', () => {
    expect(fieldAfter(undefined, 'RateLimit', 'b')).toBe('b');
    expect(fieldAfter('a', 'Retry-After', 'b')).toBe('b');
    expect(fieldAfter(['x', 'a'], 'RateLimit', 'b')).toBe('x, a, b');
  });
});

test('Retry-After is t, in whole seconds, and absent where nobody can tell', () => {
  expect(retryAfterS(refused)).toBe(2);
  expect(retryAfterS({ ...refused, retryAfterMs: 0 })).toBe(1);
  expect(retryAfterS({ ...refused, retryAfterMs: Number.POSITIVE_INFINITY })).toBeUndefined();
});

test('a problem is about the quota, but about the server where it has no room for one more key', () => {
  expect(problemOf(refused)).toMatchObject({ status: 429, 'violated-policies': ['a'] });
  expect(problemOf({ ...refused, by: 'ä' })['violated-policies']).toEqual(['%c3%a4']);
  expect(problemOf({ ...refused, reason: 'keys' })).toMatchObject({
    status: 503,
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
  });
  for (const reason of ['never', 'blocked', 'queue', 'waiting', 'deadline'] as const) {
    expect(problemOf({ ...refused, reason }).status).toBe(429);
  }
});
