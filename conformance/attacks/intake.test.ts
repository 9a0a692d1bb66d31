import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, linesOf, openBench, segmentBytes } from '../cli/gatebook.js';
import { SecondVerifier } from './verifiers.js';

const event = (members: string): string => `{"event_type":"acme.try",${members}}`;
const details = (members: string): string => event(`"details":{${members}}`);

/** What cannot be recorded, and the member that the refusal must name; undefined where there is none to name. */
const refused: Readonly<Record<string, readonly [string | Buffer, string | undefined]>> = {
  'too large': [details(`"big":"${'x'.repeat(70_000)}"`), 'details'],
  'too large in many members': [
    details(Array.from({ length: 9_000 }, (_, i) => `"m${i}":1`).join()),
    'details',
  ],
  'a line beyond the bound': [details(`"big":"${'x'.repeat(17 * 1024 * 1024)}"`), undefined],
  'a lone surrogate': [details('"s":"\\ud800"'), 'details.s'],
  'a lone low surrogate': [event('"source":"a\\udc00"'), 'source'],
  'surrogates the wrong way round': [details('"s":["\\udc00\\ud800"]'), 'details.s[0]'],
  'a surrogate in UTF-8': [
    Buffer.concat([
      Buffer.from('{"event_type":"acme.try","source":"'),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from('"}'),
    ]),
    undefined,
  ],
  'an unsafe integer': [details('"n":9007199254740993'), 'details.n'],
  'a negative unsafe integer': [details('"deep":{"n":[-9007199254740993]}'), 'details.deep.n[0]'],
  'an integer as only a BigInt holds it': [details(`"n":${'9'.repeat(40)}`), 'details.n'],
  'an unsafe integer where a number belongs': [
    event('"result":{"duration_ms":9007199254740993}'),
    'result.duration_ms',
  ],
  'a number beyond all': [details('"n":1e999'), 'details.n'],
  'a prototype key': [details('"__proto__":{"admin":true}'), 'details.__proto__'],
  'a prototype key by an escape': [details('"a":{"__proto_\\u005f":1}'), 'details.a.__proto__'],
  'a prototype key at the top': [event('"__proto__":{"event_type":"acme.try"}'), '__proto__'],
  'a doubled member': [details('"x":1,"x":2'), 'x'],
  'a doubled member by an escape': [details('"x":1,"\\u0078":2'), 'x'],
  'a doubled event_type': ['{"event_type":"acme.try","event_type":"acme.other"}', 'event_type'],
  'an unknown type': ['{"event_type":"nonsense"}', 'event_type'],
  'the log’s own type': ['{"event_type":"log.sealed"}', 'event_type'],
  'a type that is no string': ['{"event_type":7}', 'event_type'],
  'no type': ['{"details":{}}', 'event_type'],
  'the log’s own emitter': [event('"emitter":"log"'), 'emitter'],
  'a seq': [event('"seq":3'), 'seq'],
  'a prev_hash': [event('"prev_hash":""'), 'prev_hash'],
  'an unknown member': [event('"nonsense":1'), 'nonsense'],
  'a commitment of its own making': [
    event('"action":{"command":{"sha256":"00","bytes":1,"ref":"x"}}'),
    'action.command',
  ],
  'no object': ['"acme.try"', undefined],
  'no JSON': ['event_type=acme.try', undefined],
  'half a line of JSON': ['{"event_type":"acme.try","details":{', undefined],
  'a NUL': [Buffer.from('{"event_type":"acme.try"}\0'), undefined],
  'no UTF-8': [Buffer.from([0xff, 0xfe, 0x7b, 0x7d]), undefined],
  nothing: ['', undefined],
};

describe('what gatebook record cannot record (row 14)', () => {
  let bench: Bench;
  let second: SecondVerifier;
  let before: Buffer;
  beforeAll(async () => {
    bench = await openBench();
    second = new SecondVerifier();
    await bench.record([{ event_type: 'acme.before' }]);
    before = await segmentBytes(bench.log);
  });
  afterAll(async () => {
    second.close();
    await bench.remove();
  });

  const good = (i: number): string => details(`"i":${i}`);

  it('is refused with the member named, and what stands between is recorded', async () => {
    const input = Object.values(refused).flatMap(([line], i) => [
      Buffer.from(good(i)),
      Buffer.from('\n'),
      Buffer.from(line),
      Buffer.from('\n'),
    ]);
    const ran = await bench.run(['record'], { input: Buffer.concat(input) });
    expect(ran.code).toBe(1);
    const answers = linesOf(ran.stdout).map((line) => JSON.parse(line) as { error?: object });
    expect(answers).toHaveLength(2 * Object.keys(refused).length);
    Object.entries(refused).forEach(([what, [, member]], i) => {
      expect(answers[2 * i], `before ${what}`).toMatchObject({ ok: true });
      expect(answers[2 * i + 1], what).toMatchObject({ ok: false, line: 2 * i + 2 });
      const named = answers[2 * i + 1]?.error as { message: string; member?: string };
      if (member !== undefined) expect(named.member, what).toBe(member);
      if (member !== undefined) expect(named.message, what).toContain(member);
      expect(named.message.length, what).toBeGreaterThan(10);
    });
  });

  it('is nowhere in the log, which is whole for both verifiers', async () => {
    const stored = await bench.records(['--type', 'acme.try']);
    expect(stored.map((record) => record.details)).toEqual(
      Object.keys(refused).map((_, i) => ({ i })),
    );
    const bytes = await segmentBytes(bench.log);
    expect(bytes.subarray(0, before.length).equals(before)).toBe(true);
    const keys = [join(bench.keys, 'public-key')];
    const hmacKey = join(bench.keys, 'initial-hmac-key');
    const ran = await bench.run(['audit', 'verify', '--strict', '--hmac-key', hmacKey]);
    expect(ran.stdout).toMatch(/^ok: /);
    expect(ran.code).toBe(0);
    const answer = await second.ask(bench.log, { keys, hmacKey, strict: true });
    expect(answer).toMatchObject({ verdict: 'ok', exit: 0 });
  });

  it('stops no later session', async () => {
    const ran = await bench.run(['record'], { input: `${good(1_000)}\nrubbish` });
    expect(ran.code).toBe(1);
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
    expect(await readFile(join(bench.log, 'checkpoint'), 'utf8')).toContain('\n— ');
  });
});
