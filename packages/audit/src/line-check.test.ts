import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkLine, type LineFacts, timestampOf } from './line-check.js';
import { lineBytesMax } from './record.js';

const zeros = '0'.repeat(64);
const ones = '1'.repeat(64);
const middle =
  '"timestamp":"2026-01-02T03:04:05.678Z","event_id":"evt_01890000-0000-7000-8000-000000000000","event_type":"a.b","emitter":"me"';
const end = `,"epoch":3,"prev_hash":"${zeros}","hash":"${ones}"}`;
const good = `{"seq":12,${middle},"details":{"a":[1]}${end}`;

function check(line: string | Buffer): string | undefined {
  const bytes = Buffer.from(line);
  // What stands around the line must not be looked at.
  const buf = Buffer.concat([Buffer.from('{"'), bytes, Buffer.from('"}')]);
  const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
  return checkLine(buf, 2, 2 + bytes.length, facts);
}

test('a good line passes and says what it is', () => {
  const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
  const buf = Buffer.from(good);
  expect(checkLine(buf, 0, buf.length, facts)).toBeUndefined();
  expect(facts).toEqual({ seq: 12, epoch: 3, eventType: 'a.b', prevHash: zeros, hash: ones });
  expect(timestampOf(buf, 0)).toBe('2026-01-02T03:04:05.678Z');
});

test('65,535 bytes pass, 65,536 do not', () => {
  const padded = (bytes: number): string => {
    const text = 'x'.repeat(bytes - good.length - 2);
    return `{"seq":12,${middle},"details":{"a":[1${`,"${text}"`.slice(1)}]}${end}`;
  };
  const exact = padded(lineBytesMax);
  const line = exact.replace('[1"', '[1,"').replace('x"', '"');
  expect(Buffer.byteLength(line)).toBe(lineBytesMax);
  expect(check(line)).toBeUndefined();
  expect(check(line.replace('xx', 'xxx'))).toContain('longer');
});

describe('faults', () => {
  test.each([
    ['empty', ''],
    ['short', '{}'],
    ['white space in front', ` ${good}`],
    ['white space behind', `${good} `],
    ['a carriage return', good.replace(',"details"', ',\r"details"')],
    ['a byte order mark', `\ufeff${good}`],
    ['a space before seq', good.replace('{"seq"', '{ "seq"')],
    ['a leading zero', good.replace('12', '012')],
    ['a negative seq', good.replace('12', '-12')],
    ['a fraction', good.replace('12', '12.0')],
    ['an exponent', good.replace('12', '1e1')],
    ['a seq beyond 2^53-1', good.replace('12', '9007199254740992')],
    ['a seq of 17 digits', good.replace('12', '12345678901234567')],
    ['an epoch with a leading zero', good.replace('"epoch":3', '"epoch":03')],
    ['a negative epoch', good.replace('"epoch":3', '"epoch":-3')],
    ['an epoch as text', good.replace('"epoch":3', '"epoch":"3"')],
    ['an epoch with a space', good.replace('"epoch":3', '"epoch": 3')],
    ['hash in capitals', good.replace(ones, 'A'.repeat(64))],
    ['hash too short', good.replace(ones, ones.slice(1))],
    ['prev_hash too long', good.replace(zeros, `${zeros}0`)],
    ['an escape in hash', good.replace(ones, `\\u0031${ones.slice(6)}`)],
    [
      'hash and prev_hash swapped',
      `{"seq":12,${middle},"epoch":3,"hash":"${ones}","prev_hash":"${zeros}"}`,
    ],
    ['no hash', `{"seq":12,${middle},"epoch":3,"prev_hash":"${zeros}"}`],
    ['no prev_hash', `{"seq":12,${middle},"epoch":3,"hash":"${zeros}"}`],
    ['no epoch', good.replace(',"epoch":3', '')],
    ['no timestamp', good.replace(/"timestamp":"[^"]*",/, '')],
    ['no event_id', good.replace(/"event_id":"[^"]*",/, '')],
    ['no event_type', good.replace(/"event_type":"[^"]*",/, '')],
    ['no emitter', good.replace(',"emitter":"me"', '')],
    ['an unknown member', good.replace('"details"', '"detail"')],
    ['an escaped name', good.replace('"details"', '"d\\u0065tails"')],
    ['members out of order', good.replace(',"details":{"a":[1]}', ',"trace":{},"details":{}')],
    ['a member between epoch and prev_hash', good.replace('3,', '3,"x":1,')],
    ['a doubled member', good.replace(',"details"', ',"emitter":"me","details"')],
    ['one doubled within', good.replace('{"a":[1]}', '{"a":1,"a":2}')],
    ['one doubled by an escape', good.replace('{"a":[1]}', '{"a":1,"\\u0061":2}')],
    ['details as text', good.replace('{"a":[1]}', '"x"')],
    ['details as list', good.replace('{"a":[1]}', '[]')],
    ['actor as null', good.replace('"details":{"a":[1]}', '"actor":null')],
    ['emitter as number', good.replace('"me"', '1')],
    ['event_type as null', good.replace('"a.b"', 'null')],
    ['not JSON', good.replace('[1]', '[1')],
    ['a control character', good.replace('"me"', '"m\u0001"')],
    ['two objects', good.replace('},', '}}{')],
    ['nesting of 513', good.replace('[1]', `${'['.repeat(511)}${']'.repeat(511)}`)],
  ])('%s', (_, line) => {
    expect(check(line)).toEqual(expect.any(String));
  });

  test('bytes that are not UTF-8', () => {
    const bytes = Buffer.from(good);
    bytes[bytes.indexOf('me')] = 0xff;
    expect(check(bytes)).toContain('UTF-8');
    bytes.write('\xed\xa0', bytes.indexOf('me'), 'latin1');
    expect(check(bytes)).toBeDefined();
  });

  test('a type whose escapes another reader would resolve is no good type', () => {
    const escaped = good.replace('"a.b"', '"log\\u002eepoch"');
    const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
    const buf = Buffer.from(escaped);
    const wrong = checkLine(buf, 0, buf.length, facts);
    expect(wrong !== undefined || facts.eventType === 'log.epoch').toBe(true);
  });
});

test('random bytes and random changes are answered, never thrown at', () => {
  fc.assert(
    fc.property(fc.nat(), fc.uint8Array({ maxLength: 6 }), fc.nat(8), (seed, put, cut) => {
      const bytes = Buffer.from(good);
      const at = seed % bytes.length;
      const changed = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]);
      const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
      const wrong = checkLine(changed, 0, changed.length, facts);
      if (wrong !== undefined) return;
      // What passes is one JSON object that says what the facts say.
      const record = JSON.parse(changed.toString()) as Record<string, unknown>;
      expect(record).toMatchObject({
        seq: facts.seq,
        epoch: facts.epoch,
        prev_hash: facts.prevHash,
        hash: facts.hash,
      });
    }),
    { numRuns: 3_000 },
  );
});
