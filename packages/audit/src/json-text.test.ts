import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuditError } from './errors.js';
import { cutEncoded, encodeJson, isPlainObject, valueDepthMax } from './json-text.js';

function refusal(value: unknown): { code: string; member: string | undefined } {
  try {
    encodeJson(value, 'details');
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    return { code: error.code, member: error.member };
  }
  throw new Error('it was taken');
}

/** Random doubles above 2^53 are integers too. */
function hasUnsafeInteger(text: string): boolean {
  let unsafe = false;
  JSON.parse(text, (_, value: unknown) => {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) unsafe = true;
    return value;
  });
  return unsafe;
}

describe('encodeJson', () => {
  test('what JSON can hold is written as JSON.stringify writes it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('"__proto__":') && !hasUnsafeInteger(text));
        expect(encodeJson(value, 'details')).toBe(text);
      }),
    );
  });

  test('dates become ISO strings, undefined members are left out, -0 is 0', () => {
    const date = new Date('2026-01-02T03:04:05.678Z');
    expect(encodeJson({ a: undefined, b: date, c: -0 }, 'details')).toBe(
      '{"b":"2026-01-02T03:04:05.678Z","c":0}',
    );
  });

  test('plain objects of every kind are taken', () => {
    const bare = Object.assign(Object.create(null), { a: 1 }) as object;
    expect(isPlainObject(bare)).toBe(true);
    expect(encodeJson(bare, 'details')).toBe('{"a":1}');
    expect(encodeJson({ constructor: 1, toString: 'x', hasOwnProperty: null }, 'details')).toBe(
      '{"constructor":1,"toString":"x","hasOwnProperty":null}',
    );
  });

  const cyclic: Record<string, unknown> = {};
  cyclic['list'] = [{ back: cyclic }];
  test.each([
    ['a cycle', cyclic, 'cycle', 'details.list[0].back'],
    ['a BigInt', { a: [1n] }, 'bigint', 'details.a[0]'],
    ['an unsafe integer', { a: 2 ** 53 }, 'unsafe_integer', 'details.a'],
    ['a negative one', { a: -(2 ** 53) }, 'unsafe_integer', 'details.a'],
    ['NaN', { a: Number.NaN }, 'not_finite', 'details.a'],
    ['Infinity', { a: Number.POSITIVE_INFINITY }, 'not_finite', 'details.a'],
    ['a lone surrogate', { a: ['\ud800'] }, 'lone_surrogate', 'details.a[0]'],
    ['one in a name', { '\udc00': 1 }, 'lone_surrogate', 'details.\udc00'],
    [
      '__proto__',
      JSON.parse('{"x":{"__proto__":{"a":1}}}'),
      'prototype_key',
      'details.x.__proto__',
    ],
    ['a function', { a: () => 1 }, 'not_json', 'details.a'],
    ['a symbol', { a: Symbol('x') }, 'not_json', 'details.a'],
    ['an own toJSON', { toJSON: () => 1 }, 'not_json', 'details.toJSON'],
    ['undefined in an array', { a: [undefined] }, 'not_json', 'details.a[0]'],
    ['a hole', { a: new Array(3) }, 'not_json', 'details.a[0]'],
    ['a Map', { a: new Map() }, 'not_json', 'details.a'],
    ['a Set', { a: new Set() }, 'not_json', 'details.a'],
    ['a boxed string', { a: Object('x') }, 'not_json', 'details.a'],
    ['a boxed number', { a: Object(1) }, 'not_json', 'details.a'],
    ['a buffer', { a: Buffer.from('x') }, 'not_json', 'details.a'],
    ['an error', { a: new Error('x') }, 'not_json', 'details.a'],
    ['a regular expression', { a: /x/ }, 'not_json', 'details.a'],
    ['a promise', { a: Promise.resolve() }, 'not_json', 'details.a'],
    ['an invalid date', { a: new Date(Number.NaN) }, 'not_json', 'details.a'],
    ['an instance', { a: new (class Thing {})() }, 'not_json', 'details.a'],
  ])('refuses %s', (_, value, code, member) => {
    expect(refusal(value)).toEqual({ code, member });
  });

  test('the same object twice is no cycle', () => {
    const twice = { a: 1 };
    expect(encodeJson([twice, twice, { twice }], 'x')).toBe('[{"a":1},{"a":1},{"twice":{"a":1}}]');
  });

  test('nesting up to the bound is taken, one deeper is refused', () => {
    const nested = (depth: number): unknown =>
      JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
    expect(encodeJson(nested(valueDepthMax), 'x')).toHaveLength(2 * valueDepthMax);
    expect(refusal(nested(valueDepthMax + 1)).code).toBe('too_deep');
    expect(refusal(nested(50_000)).code).toBe('too_deep');
  });
});

describe('cutEncoded', () => {
  const encoded = (text: string): number => Buffer.byteLength(JSON.stringify(text)) - 2;

  test('gives the longest beginning that fits, cut at a character', () => {
    const unit = fc.constantFrom(
      ...[
        'a',
        '"',
        '\\',
        '\n',
        '\u0001',
        '\u001f',
        '\u007f',
        'é',
        '\u2028',
        '\ud7ff',
        '\uffff',
        '😀',
      ],
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 40 }), fc.nat(120), (characters, bytesMax) => {
        const text = characters.join('');
        const cut = cutEncoded(text, bytesMax);
        expect(text.startsWith(cut)).toBe(true);
        expect(cut.isWellFormed()).toBe(true);
        expect(encoded(cut)).toBeLessThanOrEqual(bytesMax);
        const next = characters[[...cut].length];
        if (next !== undefined) expect(encoded(cut + next)).toBeGreaterThan(bytesMax);
      }),
      { numRuns: 1_000 },
    );
  });

  test('counts a control character as six bytes and never cuts a pair', () => {
    expect(cutEncoded('\u0001'.repeat(100), 59)).toBe('\u0001'.repeat(9));
    expect(cutEncoded('\n'.repeat(100), 59)).toBe('\n'.repeat(29));
    expect(cutEncoded('😀😀', 7)).toBe('😀');
    expect(cutEncoded('😀😀', 3)).toBe('');
    expect(cutEncoded('anything', 0)).toBe('');
  });
});
