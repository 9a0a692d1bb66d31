import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyTable } from './key-table.js';
import { KeyWords, mostChars } from './key-words.js';
import { KeyedRows } from './keyed-rows.js';
import { keyMaker, type LimitRequest, members, requestOf } from './request.js';

const text = fc.oneof(
  fc.constantFrom(
    '',
    '\0',
    '\0\0',
    'a',
    'aa',
    'a'.repeat(12),
    'a'.repeat(13),
    'ÿ',
    'ā',
    'āa',
    '\ud800',
  ),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .tuple(fc.constantFrom('x', 'é', '☃'), fc.integer({ min: mostChars - 3, max: mostChars + 3 }))
    .map(([unit, length]) => unit.repeat(length)),
);

test('rows are found by the very keys they were made for, whatever is added and removed between', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('add', 'remove', 'find'), text), { maxLength: 300 }),
      (steps) => {
        const rows = new KeyedRows(['actor'], 1_000, () => false);
        const words = new KeyWords();
        const keyOf = keyMaker(['actor']);
        const expected = new Map<string, number>();
        for (const [what, actor] of steps) {
          words.readRequest({ actor }, 1);
          const key = keyOf({ actor });
          const row = rows.find(words);
          expect(row).toBe(expected.get(key) ?? -1);
          expect(requestOf(['actor'], key)).toEqual({ actor });
          if (what === 'remove' && row !== -1) {
            rows.remove(row);
            expected.delete(key);
          } else if (what === 'add' && row === -1) expected.set(key, rows.add(words));
        }
        expect(new Map(rows.entries())).toEqual(expected);
        expect(new Set(expected.values()).size).toBe(expected.size);
        expect(rows.size).toBe(expected.size);
      },
    ),
    { numRuns: 300 },
  );
});

test('a key of several members is the key of the same members only', () => {
  const member = fc.option(fc.oneof(text, fc.constantFrom('a', '-', '1:a', '0:')), {
    nil: undefined,
  });
  const request = fc.record({ actor: member, channel: member, session: member, tool: member });
  fc.assert(
    fc.property(
      fc.array(request, { maxLength: 60 }),
      fc.subarray([...members]),
      (requests, scope) => {
        const keyOf = keyMaker(scope);
        const rows = new KeyedRows(scope, 1_000, () => false);
        const words = new KeyWords();
        const found = new Map<string, number>();
        const exactly = (one: LimitRequest): string =>
          JSON.stringify(scope.map((name) => one[name] ?? null));
        for (const one of requests) {
          words.readRequest(one, 15);
          const row = rows.find(words);
          expect(row).toBe(found.get(exactly(one)) ?? -1);
          if (row !== -1) continue;
          const added = rows.add(words);
          found.set(exactly(one), added);
          expect(rows.keyOf(added)).toBe(keyOf(one));
          expect(keyOf(requestOf(scope, keyOf(one)) ?? {})).toBe(keyOf(one));
        }
        expect(rows.size).toBe(found.size);
      },
    ),
    { numRuns: 300 },
  );
});

test('keys whose numbers are all the same are told apart', () => {
  const words = new KeyWords(new Int32Array(8 * (mostChars + 1)));
  const table = new KeyTable([0, 1]);
  const keys = Array.from({ length: 300 }, (_, i) => [`user ${i}`, `tool ${i % 7}`] as const);
  const read = ([actor, tool]: readonly [string, string]): KeyWords => {
    words.read(0, actor);
    words.read(1, tool);
    return words;
  };
  const rows = keys.map((key) => table.add(read(key)));
  expect(words.hashOf([0, 1])).toBe(0);
  expect(keys.map((key) => table.find(read(key)))).toEqual(rows);
  for (const row of rows.filter((_, i) => i % 3 === 0)) table.remove(row);
  expect(keys.map((key) => table.find(read(key)))).toEqual(
    rows.map((row, i) => (i % 3 === 0 ? -1 : row)),
  );
  expect(table.membersOf(rows[7]!)).toEqual(['user 7', 'tool 0']);
});

test('two tables find the same keys by different numbers', () => {
  const hashes = [new KeyWords(), new KeyWords()].map((words) =>
    Array.from({ length: 100 }, (_, i) => {
      words.read(0, `user ${i}`);
      return words.hashOf([0]);
    }),
  );
  const same = hashes[0]!.filter((hash, i) => hash === hashes[1]![i]);
  expect(same.length).toBeLessThan(3);
});

test.each([
  ['in sequence', (i: number) => `user-${String(i).padStart(7, '0')}`],
  [
    'that differ in high bits only',
    (i: number) => `${String.fromCharCode(i & 0xff, i >>> 8)}\0\0\0\0`,
  ],
  ['of many lengths', (i: number) => `${'\0'.repeat(i % 100)}${Math.floor(i / 100)}`],
])('keys %s are spread as random ones are', (_, keyOf) => {
  const words = new KeyWords();
  const buckets = new Int32Array(65_536);
  for (let i = 0; i < 65_536; i++) {
    words.read(0, keyOf(i));
    buckets[words.hashOf([0]) & 0xffff]!++;
  }
  // Of so many random ones a bucket has 12 with a probability of a millionth or so.
  expect(Math.max(...buckets)).toBeLessThan(24);
  expect(buckets.filter((count) => count === 0).length).toBeLessThan(65_536 * 0.5);
});
