import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTallyLine, Tally, tallyRoot } from './tally.js';
import { naiveRoot } from './testing/naive-tree.js';
import { leafHash } from './tree.js';

function tallyOf(lines: readonly string[]): Tally {
  const tally = new Tally();
  tally.addLines(Buffer.from(lines.map((line) => `${line}\n`).join('')));
  return tally;
}

function record(members: string, timestamp = '2026-01-02T03:04:05.678Z'): string {
  return `{"seq":1,"timestamp":"${timestamp}","event_id":"evt_0","event_type":"a.b","emitter":"x"${members},"epoch":0,"prev_hash":"","hash":""}`;
}

const none = ['["decision",null,1]', '["risk",null,1]', '["tool",null,1]'];

/** A record's values as JSON.parse finds them. */
function expected(line: string): string[] {
  const record = JSON.parse(line) as Record<string, Record<string, unknown> | undefined>;
  const text = (value: unknown): unknown => (typeof value === 'string' ? value : null);
  const allowed = record['action']?.['allowed'];
  const values: [string, unknown][] = [
    ['type', record['event_type']],
    ['actor', text(record['actor']?.['user_id'])],
    ['tool', text(record['action']?.['tool'])],
    ['risk', text(record['action']?.['risk_level'])],
    ['decision', typeof allowed === 'boolean' ? allowed : null],
  ];
  const lines = values.map(([name, value]) => `["${name}",${JSON.stringify(value)},1]`);
  return lines.map((each) => Buffer.from(each).toString('latin1')).sort();
}

describe('what is counted of a line', () => {
  test.each([
    ['nothing but the type', ''],
    [
      'all',
      ',"actor":{"channel":"c","user_id":"ann"},"action":{"phase":"intent","tool":"t","risk_level":"low","allowed":true}',
    ],
    ['empty objects', ',"actor":{},"action":{}'],
    [
      'a commitment is no value',
      ',"actor":{"user_id":{"sha256":"x","user_id":"eve"}},"action":{"tool":["t"]}',
    ],
    [
      'other kinds are none',
      ',"actor":{"user_id":5},"action":{"tool":null,"risk_level":true,"allowed":"true"}',
    ],
    ['names inside strings', ',"actor":{"username":"\\"user_id\\":\\"eve\\"","user_id":"a\\"}{"}'],
    [
      'white space',
      ' , "actor" : { "user_id" : "ann" , "x" : [ 1 , { } ] } ,\t"action":\t{ "allowed" : false }',
    ],
    ['escaped names', ',"actor":{"user\\u005fid":"ann"},"action":{"t\\u006fol":"t"}'],
    ['a value spelled otherwise', ',"actor":{"user_id":"\\u0061nn\\/"}'],
    ['escapes that must be', ',"actor":{"user_id":"\\n\\u0001\\"\\\\\\ud800x"}'],
    ['beyond ASCII', ',"actor":{"user_id":"Åsa \u{1f600}"},"session_id":"action"'],
    [
      'members of other sections',
      ',"session_id":"s","result":{"tool":"t"},"details":{"actor":{"user_id":"eve"}}',
    ],
    [
      'a long argument before',
      ',"action":{"arguments":"{\\"tool\\":\\"x\\"}","risk_level":"high"}',
    ],
    ['nested look-alikes', ',"action":{"x":{"tool":"no","allowed":false},"allowed":true}'],
    ['numbers of every kind', ',"action":{"a":-1.5e+3,"b":0,"c":[1,2],"tool":"t"}'],
  ])('%s', (_, members) => {
    const line = record(members);
    expect(tallyOf([line]).lines()).toEqual(expected(line));
  });

  test('any JSON', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.constantFrom('tool', 'risk_level', 'allowed', 'x'), fc.jsonValue()),
        (actor, action) => {
          const line = record(
            `,"actor":${JSON.stringify(actor)},"action":${JSON.stringify(action)}`,
          );
          expect(tallyOf([line]).lines()).toEqual(expected(line));
        },
      ),
    );
  });
});

test('counts, of values seen again and again too', () => {
  const lines = Array.from({ length: 5_000 }, (_, i) =>
    record(`,"actor":{"user_id":"u${i % 700}"}`),
  );
  const tally = tallyOf(lines);
  const actors = tally.lines().filter((line) => line.startsWith('["actor"'));
  expect(actors).toHaveLength(700);
  expect(actors).toContain('["actor","u0",8]');
  expect(actors).toContain('["actor","u699",7]');
  expect(tally.lines()).toEqual([
    ...actors,
    '["decision",null,5000]',
    '["risk",null,5000]',
    '["tool",null,5000]',
    '["type","a.b",5000]',
  ]);
});

test('the lowest and the highest timestamp, in whatever order', () => {
  const tally = tallyOf(
    [
      '2026-02-01T00:00:00.000Z',
      '2026-01-01T00:00:00.000Z',
      '2026-03-01T00:00:00.000Z',
      '2026-02-02T00:00:00.000Z',
    ].map((time) => record('', time)),
  );
  expect([tally.first, tally.last]).toEqual([
    '2026-01-01T00:00:00.000Z',
    '2026-03-01T00:00:00.000Z',
  ]);
});

test('parts that were counted apart give the same', () => {
  const lines = Array.from({ length: 60 }, (_, i) =>
    record(`,"actor":{"user_id":"u${i % 7}"}`, `2026-01-02T03:04:${10 + ((i * 7) % 50)}.000Z`),
  );
  const joined = new Tally();
  for (const from of [0, 20, 40]) joined.add(tallyOf(lines.slice(from, from + 20)).part());
  expect(joined.part()).toEqual(tallyOf(lines).part());
});

test('lines are sorted by their bytes, and a value never stands among those it begins', () => {
  const users = ['b', 'ann!', 'ann', 'Ann', 'ann"', 'é', '\u{1f600}', '\uff00'];
  const lines = tallyOf(
    users.map((user) => record(`,"actor":{"user_id":${JSON.stringify(user)}}`)),
  ).lines();
  const bytes = lines.map((line) => Buffer.from(line, 'latin1'));
  expect([...bytes].sort(Buffer.compare)).toEqual(bytes);
});

test('the root is that of RFC 6962', () => {
  const lines = [...none, '["type","a.b",1]'];
  const leaves = lines.map((line) => Buffer.from(leafHash(Buffer.from(line)), 'hex'));
  expect(tallyRoot(lines)).toBe(naiveRoot(leaves).toString('hex'));
});

test('a line reads back, and what is none does not', () => {
  expect(parseTallyLine('["actor","a,\\"]",17]')).toEqual({
    dimension: 'actor',
    value: '"a,\\"]"',
    count: 17,
  });
  for (const line of ['["actor","a",0]', '["what","a",1]', '["actor","a"]', ''])
    expect(parseTallyLine(line)).toBeUndefined();
});
