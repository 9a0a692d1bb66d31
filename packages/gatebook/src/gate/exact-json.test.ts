import { expect, test } from 'vitest';
import { argumentsDigest, argumentsFrom, type GateCall, shownArguments } from './call.js';
import { marked, readJson, unmarked } from './exact-json.js';

const callWith = (text: string): GateCall => ({
  actor: {},
  sessionId: 's',
  name: 't',
  isTool: true,
  ...argumentsFrom(text),
  intent: { eventType: 'tool_execution' },
  signal: new AbortController().signal,
});
const digest = (text: string): string => argumentsDigest(callWith(text));

test.each([
  ['9007199254740993', '9007199254740992'],
  ['-9007199254740993', '-9007199254740992'],
  ['1e999', 'null'],
  ['1e999', '1e998'],
  ['1e-999', '0'],
  ['0.10000000000000001', '0.1'],
  ['9007199254740993', '"9007199254740993"'],
  ['123456789012345678901234567890', '123456789012345678901234567891'],
])('%s and %s are not the same', (one, other) => {
  expect(digest(`{"n":[${one}]}`)).not.toBe(digest(`{"n":[${other}]}`));
});

test.each([
  ['1.0', '1'],
  ['1e2', '100'],
  ['0.001E+3', '1'],
  ['1000000000000000000000', '1e21'],
  ['0.30000000000000004', '3.0000000000000004e-1'],
  ['0e5', '0'],
  ['15000000000000000000000', '1.5e22'],
])('%s and %s are the same', (one, other) => {
  expect(digest(`{"n":${one}}`)).toBe(digest(`{"n":${other}}`));
  expect(readJson(one)).toEqual({ value: Number(one), exact: true });
});

test('the order of members is none, also where a number is not rounded', () => {
  const one = '{"a":{"x":"\\u0041","y":9007199254740993},"b":[1e400,2.50]}';
  const other = '{ "b" : [1e400, 2.5], "a" : {"y" : 9007199254740993, "x" : "A"} }';
  expect(digest(one)).toBe(digest(other));
});

test('a policy and a person see such a number as it stands in the text', () => {
  const call = callWith('{"to":"\\u0041 \\"1e999\\"","n":9007199254740993,"m":[1.50,-1e999]}');
  expect(call.arguments).toEqual({ to: 'A "1e999"', n: '9007199254740993', m: [1.5, '-1e999'] });
  expect(shownArguments(call)).toBe('{"m":[1.5,-1e999],"n":9007199254740993,"to":"A \\"1e999\\""}');
});

test('digits in strings and names are none', () => {
  const text = '{"9007199254740993":"9007199254740993 \\\\","a\\"1e999":"1e999"}';
  expect(readJson(text)).toEqual({ value: JSON.parse(text), exact: true });
});

test('what is cut off in the middle is no JSON, and long numbers take no long time', () => {
  for (const text of ['{"n":1e', '{"n":"1e999', '{"n":1e999,"x":"\\']) {
    expect(() => readJson(text)).toThrow(SyntaxError);
  }
  const zeros = '0'.repeat(2_000_000);
  const since = performance.now();
  expect(readJson(`[1${zeros}1,0.${zeros}1,1${zeros}e-2000000]`).exact).toBe(false);
  expect(performance.now() - since).toBeLessThan(5_000);
});

test('what is rewritten keeps such numbers and nothing else as they were', () => {
  const pretty = (text: string): string => unmarked(JSON.stringify(marked(text), null, 2));
  expect(pretty('[9007199254740993,"9007199254740993",1.0]')).toBe(
    '[\n  9007199254740993,\n  "9007199254740993",\n  1\n]',
  );
});
