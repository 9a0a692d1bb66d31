import { expect, test } from 'vitest';
import { NotPlain, plainCopy } from './plain-copy.js';

class Point {
  readonly x = 1;
}

const itself: { inner?: unknown } = {};
itself.inner = itself;

test.each<[string, unknown, string]>([
  ['NaN', { a: [1, Number.NaN] }, 'args.a[1] is NaN'],
  ['Infinity', Number.POSITIVE_INFINITY, 'args is Infinity'],
  ['bigint', { n: 1n }, 'args.n is a bigint'],
  ['function', { f: () => 1 }, 'args.f is a function'],
  ['symbol', { s: Symbol('s') }, 'args.s is a symbol'],
  ['a hole', { a: new Array(2).fill(1, 0, 1) }, 'args.a[1] is undefined'],
  ['Map', { m: new Map([['path', '/etc']]) }, 'args.m is an object of the class Map'],
  ['Set', new Set(), 'args is an object of the class Set'],
  ['bytes', { b: Buffer.from('x') }, 'args.b is an object of the class Buffer'],
  ['class', { p: new Point() }, 'args.p is an object of the class Point'],
  [
    'toJSON',
    { p: { toJSON: () => 'harmless', path: '/etc' } },
    'an object with a toJSON of its own',
  ],
  ['inherited', Object.create({ path: '/etc' }), 'an object of the class Object'],
  ['invalid date', { d: new Date(Number.NaN) }, 'args.d is an invalid date'],
  ['itself', itself, 'nested deeper than 200 levels'],
])('refuses %s', (_, value, why) => {
  expect(() => plainCopy(value, 'args')).toThrow(NotPlain);
  expect(() => plainCopy(value, 'args')).toThrow(why);
});

test('copies what JSON says, so that a later change is not in it', () => {
  const given = {
    text: 'a',
    list: [1, null, { deep: true }],
    left: undefined,
    when: new Date(0),
    bare: Object.assign(Object.create(null) as object, { x: 1 }),
    ['__proto__']: { y: 1 },
  };
  const copy = plainCopy(given, 'args');
  expect(JSON.stringify(copy)).toBe(JSON.stringify(given));
  given.list.push(2);
  given.text = 'b';
  expect(copy).toMatchObject({ text: 'a', list: [1, null, { deep: true }] });
});

test('reads a getter once', () => {
  let reads = 0;
  const shifty = Object.defineProperty({}, 'path', {
    enumerable: true,
    get: () => (reads++ === 0 ? '/tmp' : '/etc'),
  });
  expect(JSON.stringify(plainCopy(shifty, 'args'))).toBe('{"path":"/tmp"}');
  expect(reads).toBe(1);
});
