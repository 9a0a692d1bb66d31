import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Advice, readAdvice } from './advice.js';

const wallMs = Date.parse('2026-03-28T12:00:00Z');

function advice(status: number, headers: Record<string, string>): Advice {
  return readAdvice(new Response(null, { status, headers }), wallMs);
}

describe('Retry-After', () => {
  test.each<[string, number | undefined]>([
    ['0', 0],
    ['120', 120_000],
    ['99999999999999999999', 1e23],
    ['Sat, 28 Mar 2026 12:00:30 GMT', 30_000],
    ['Saturday, 28-Mar-26 12:00:30 GMT', 30_000],
    ['Sat, 28 Mar 2026 11:00:00 GMT', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['tomorrow', undefined],
    ['2026-03-28', undefined],
    ['Sat, 99 Foo 2026 12:00:30 GMT', undefined],
    ['1'.repeat(200), undefined],
  ])('%s with 429 is a pause of %s ms', (field, pauseMs) => {
    expect(advice(429, { 'retry-after': field })).toMatchObject({ isRefusal: true, pauseMs });
  });

  test('as a date counts from the date of the response, whatever the clock here says', () => {
    const headers = {
      'retry-after': 'Sat, 28 Mar 2026 18:00:30 GMT',
      date: 'Sat, 28 Mar 2026 18:00:00 GMT',
    };
    expect(advice(503, headers).pauseMs).toBe(30_000);
  });

  test('makes 503 a refusal, and says nothing with other statuses', () => {
    expect(advice(503, {}).isRefusal).toBe(false);
    expect(advice(503, { 'retry-after': '5' })).toMatchObject({ isRefusal: true, pauseMs: 5_000 });
    for (const status of [200, 301, 403, 500]) {
      expect(advice(status, { 'retry-after': '5' })).toEqual({
        isRefusal: false,
        pauseMs: undefined,
        allowance: undefined,
      });
    }
  });

  test('takes precedence over RateLimit', () => {
    const headers = { 'retry-after': '5', ratelimit: '"a";r=0;t=60' };
    expect(advice(429, headers).pauseMs).toBe(5_000);
  });
});

describe('RateLimit', () => {
  test.each<[string, number | undefined, number | undefined]>([
    ['"user";r=0;t=5', 5_000, undefined],
    ['"user";r=3;t=5', undefined, 3],
    ['"a";r=7;t=9, "b";r=2;t=60;pk=:AAAA:;x=?1', undefined, 2],
    ['"a";r=7;t=9, "b";r=0;t=4, "c";r=0;t=8', 8_000, undefined],
    ['"a";r=0', undefined, undefined],
    ['"a";r=0;t=-1', undefined, undefined],
    ['"a";r=0;t=1.5', undefined, undefined],
    ['"a";r=0;t="5"', undefined, undefined],
    ['("a" "b");r=0;t=5', undefined, undefined],
    ['"a";r=0;t=5,', undefined, undefined],
    ['"ä";r=0;t=5', undefined, undefined],
    ['limit=1, remaining=0, reset=5', undefined, undefined],
    [`"a";r=0;t=5;x="${'y'.repeat(5_000)}"`, undefined, undefined],
    [Array(40).fill('"a";r=0;t=5').join(), undefined, undefined],
  ])('%s', (field, pauseMs, left) => {
    const { allowance, ...rest } = advice(200, { ratelimit: field });
    expect(rest).toEqual({ isRefusal: false, pauseMs });
    expect(allowance?.left).toBe(left);
  });

  test('counts no bytes as requests, but stops when there are none left', () => {
    const policy = { 'ratelimit-policy': '"a";q=9;qu="content-bytes";w=1' };
    expect(advice(200, { ...policy, ratelimit: '"a";r=1;t=5' }).allowance).toBeUndefined();
    expect(advice(200, { ...policy, ratelimit: '"a";r=0;t=5' }).pauseMs).toBe(5_000);
  });

  test('from a cache is old', () => {
    expect(advice(200, { ratelimit: '"a";r=0;t=5', age: '3' }).pauseMs).toBeUndefined();
    expect(advice(200, { ratelimit: '"a";r=0;t=5', age: '0' }).pauseMs).toBe(5_000);
  });
});

describe('the older fields', () => {
  const reset = (value: string, prefix = 'x-ratelimit', remaining = '0') =>
    advice(200, { [`${prefix}-remaining`]: remaining, [`${prefix}-reset`]: value });
  test.each<[string, number | undefined]>([
    ['30', 30_000],
    ['0.5', 500],
    [String(wallMs / 1_000 + 30), 30_000],
    [String(wallMs + 30_000), 30_000],
    [String(wallMs / 1_000 - 30), 0],
    ['5000000', undefined],
    ['500000000000', undefined],
    ['6m0s', undefined],
    ['-1', undefined],
    ['', undefined],
    ['30, 30', undefined],
    ['2026-03-28T12:00:30Z', undefined],
  ])('reset %s is a pause of %s ms', (value, pauseMs) => {
    expect(reset(value).pauseMs).toBe(pauseMs);
    expect(reset(value, 'ratelimit').pauseMs).toBe(pauseMs);
  });

  test('say how many are left', () => {
    expect(reset('30', 'x-ratelimit', '4').allowance).toEqual({ left: 4, withinMs: 30_000 });
    expect(reset('30', 'x-ratelimit', 'many').allowance).toBeUndefined();
  });
});

test('whatever a server sends, nothing is thrown and no number is odd', () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
    fc.stringMatching(/^"[a-z]{1,3}";r=[0-9-]{1,20};t=[0-9.]{1,20}$/),
    fc.nat().map(String),
  );
  const names = ['retry-after', 'ratelimit', 'ratelimit-policy', 'x-ratelimit-reset', 'age'];
  const fields = fc.dictionary(
    fc.constantFrom(...names, 'date', 'x-ratelimit-remaining'),
    value.map((text) => text.trim()),
  );
  fc.assert(
    fc.property(fc.constantFrom(200, 429, 503), fields, (status, headers) => {
      const { pauseMs, allowance } = advice(status, headers);
      for (const each of [pauseMs, allowance?.left, allowance?.withinMs]) {
        if (each !== undefined) expect(each).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 1_000 },
  );
});
