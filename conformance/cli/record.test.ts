import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, finished, linesOf, openBench } from './gatebook.js';

interface Acknowledged {
  readonly ok: boolean;
  readonly seq?: number;
  readonly event_id?: string;
  readonly line?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly member?: string };
}

function acknowledgements(stdout: string): Acknowledged[] {
  return linesOf(stdout).map((line) => JSON.parse(line) as Acknowledged);
}

const line = (details: object): string => JSON.stringify({ event_type: 'test.event', details });

/** Lines that must be refused, and what the refusal must name. */
const refused: readonly (readonly [string, string | Buffer, string, string | undefined])[] = [
  ['empty', '', 'not_json', undefined],
  ['no JSON', 'hello', 'not_json', undefined],
  ['two values', '{"event_type":"a.b"} {}', 'not_json', undefined],
  ['an array', '[{"event_type":"a.b"}]', 'wrong_type', undefined],
  ['a byte order mark', '\ufeff{"event_type":"a.b"}', 'not_json', undefined],
  [
    'no UTF-8',
    Buffer.from('{"event_type":"a.b","source":"\xff"}', 'latin1'),
    'not_json',
    undefined,
  ],
  ['no type', '{}', 'missing_member', 'event_type'],
  ['unknown type', '{"event_type":"nonsense"}', 'unknown_type', 'event_type'],
  ["the log's own type", '{"event_type":"log.closed"}', 'unknown_type', 'event_type'],
  ["the log's own emitter", '{"event_type":"a.b","emitter":"log"}', 'wrong_type', 'emitter'],
  ['a seq of its own', '{"event_type":"a.b","seq":7}', 'unknown_member', 'seq'],
  ['a hash of its own', '{"event_type":"a.b","hash":"x"}', 'unknown_member', 'hash'],
  ['a camelCase name', '{"event_type":"a.b","sessionId":"s"}', 'unknown_member', 'sessionId'],
  ['unknown member', '{"event_type":"a.b","actor":{"nick":"x"}}', 'unknown_member', 'actor.nick'],
  ['wrong type', '{"event_type":"a.b","actor":{"user_id":7}}', 'wrong_type', 'actor.user_id'],
  ['null member', '{"event_type":"a.b","actor":null}', 'wrong_type', 'actor'],
  [
    'wrong risk',
    '{"event_type":"a.b","action":{"risk_level":"mad"}}',
    'wrong_type',
    'action.risk_level',
  ],
  ['doubled', '{"event_type":"a.b","details":{"x":{"y":1,"y":2}}}', 'not_json', 'y'],
  ['doubled by escape', '{"event_type":"a.b","details":{"x":1,"\\u0078":2}}', 'not_json', 'x'],
  [
    'big integer in arguments',
    '{"event_type":"a.b","action":{"arguments":{"n":9007199254740993}}}',
    'unsafe_integer',
    'action.arguments.n',
  ],
  ['2^53', '{"event_type":"a.b","details":{"n":9007199254740992}}', 'unsafe_integer', 'details.n'],
  [
    'minus 2^53',
    '{"event_type":"a.b","details":{"n":-9007199254740992}}',
    'unsafe_integer',
    'details.n',
  ],
  ['1e400', '{"event_type":"a.b","details":{"n":[1e400]}}', 'not_finite', 'details.n[0]'],
  [
    'lone surrogate',
    '{"event_type":"a.b","details":{"s":"\\ud800"}}',
    'lone_surrogate',
    'details.s',
  ],
  [
    'lone surrogate name',
    '{"event_type":"a.b","details":{"\\udc00":1}}',
    'lone_surrogate',
    undefined,
  ],
  ['__proto__', '{"event_type":"a.b","__proto__":{"x":1}}', 'prototype_key', '__proto__'],
  [
    '__proto__ in arguments',
    '{"event_type":"a.b","action":{"arguments":{"a":{"__proto__":{}}}}}',
    'prototype_key',
    'action.arguments.a.__proto__',
  ],
  [
    'escaped __proto__',
    '{"event_type":"a.b","details":{"\\u005f_proto__":1}}',
    'prototype_key',
    'details.__proto__',
  ],
  [
    'too deep',
    `{"event_type":"a.b","details":{"a":${'['.repeat(300)}${']'.repeat(300)}}}`,
    'too_deep',
    undefined,
  ],
  ['bottomless', `{"event_type":"a.b","details":${'{"a":'.repeat(100_000)}`, 'not_json', undefined],
  ['oversize details', line({ x: 'x'.repeat(70_000) }), 'too_large', 'details'],
];

describe('gatebook record', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  it('acknowledges every line in order, each with its place in the log', async () => {
    const input = Array.from({ length: 20_000 }, (_, i) => `${line({ i })}\n`).join('');
    const ran = await bench.run(['record'], { input });
    expect(ran.code).toBe(0);
    const acknowledged = acknowledgements(ran.stdout);
    expect(acknowledged.map(({ ok, seq }) => ({ ok, seq }))).toEqual(
      Array.from({ length: 20_000 }, (_, i) => ({ ok: true, seq: acknowledged[0]!.seq! + i })),
    );
    const stored = await bench.records(['--type', 'test.event']);
    expect(stored.map((record) => record.details?.['i'])).toEqual(
      Array.from({ length: 20_000 }, (_, i) => i),
    );
    expect(stored.map((record) => record.event_id)).toEqual(
      acknowledged.map((each) => each.event_id),
    );
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('refuses by name what it cannot record, and records the rest', async () => {
    const good = line({ good: true });
    const input = Buffer.concat(
      refused.flatMap(([, text]) => [Buffer.from(text), Buffer.from(`\n${good}\n`)]),
    );
    const ran = await bench.run(['record'], { input });
    expect(ran.code).toBe(1);
    const acknowledged = acknowledgements(ran.stdout);
    expect(acknowledged).toHaveLength(refused.length * 2);
    refused.forEach(([what, , code, member], i) => {
      const refusal = acknowledged[i * 2];
      expect(refusal, what).toMatchObject({ ok: false, line: i * 2 + 1, error: { code } });
      expect(refusal?.error?.message, what).not.toBe('');
      if (member !== undefined) expect(refusal?.error?.member, what).toBe(member);
      if (member !== undefined) expect(refusal?.error?.message, what).toContain(member);
      expect(acknowledged[i * 2 + 1], what).toMatchObject({ ok: true });
    });
    expect(await bench.records(['--type', 'test.event'])).toHaveLength(refused.length);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('takes every member of an event and keeps arguments as JSON text', async () => {
    const event = {
      event_type: 'tool_execution',
      timestamp: '2026-03-01T12:00:00.500Z',
      event_id: 'evt_0195a1b2-0000-7000-8000-000000000001',
      emitter: 'test',
      actor: { channel: 'chat', user_id: 'u1', username: 'ann', agent: 'a', ip: '::1' },
      session_id: 's',
      call_id: 'c',
      source: 'src',
      action: {
        phase: 'outcome',
        tool: 't',
        command: 'c',
        resource: 'r',
        arguments: { b: [1, 2.5, null, true, 'é'], a: {} },
        risk_level: 'high',
        approved: true,
        allowed: false,
        continues: 'c0',
      },
      result: {
        success: false,
        status: 'error',
        exit_code: -1,
        signal: 'SIGTERM',
        duration_ms: 1.5,
        error: 'e',
        output: [1],
      },
      security: {
        policy_violation: true,
        rule: 'r',
        reason: 'x',
        rate_limit_remaining: 0,
        sandbox: 'none',
        not_enforced: ['a'],
      },
      details: { any: ['thing', { deep: 1 }] },
      trace: { trace_id: 'a1'.repeat(16), span_id: 'b2'.repeat(8) },
    };
    await bench.record([event]);
    const [stored] = await bench.records(['--type', 'tool_execution']);
    expect(stored).toMatchObject({
      ...event,
      action: { ...event.action, arguments: '{"b":[1,2.5,null,true,"é"],"a":{}}' },
      result: { ...event.result, output: '[1]' },
    });
  });

  it('takes a last line without a newline, and Windows line ends', async () => {
    const ran = await bench.run(['record'], { input: `${line({ a: 1 })}\r\n${line({ a: 2 })}` });
    expect(ran.code).toBe(0);
    expect(acknowledgements(ran.stdout)).toHaveLength(2);
  });

  it('does nothing with no input, and ends well', async () => {
    expect(await bench.run(['record'])).toMatchObject({ code: 0, stdout: '' });
  });

  it('refuses a line beyond 16 MiB and goes on behind it', async () => {
    const long = line({ x: 'x'.repeat(17 * 1024 * 1024) });
    const ran = await bench.run(['record'], { input: `${long}\n${line({ a: 1 })}\n` });
    expect(ran.code).toBe(1);
    expect(acknowledgements(ran.stdout)).toMatchObject([
      { ok: false, line: 1, error: { code: 'too_large' } },
      { ok: true },
    ]);
  });

  it('keeps large arguments as a preview and a commitment', async () => {
    const event = {
      event_type: 'tool_execution',
      action: { arguments: { a: 'é'.repeat(3_000_000) } },
    };
    await bench.record([event]);
    const [stored] = await bench.records(['--type', 'tool_execution']);
    expect(stored?.action?.['arguments']).toMatchObject({
      bytes: 6_000_008,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('acknowledges a line as soon as it is on disk, while the input stays open', async () => {
    const child = bench.start(['record']);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) {
      child.stdin.write(`${line({ i })}\n`);
      const next = await lines.next();
      expect(JSON.parse(String(next.value))).toMatchObject({ ok: true });
      const stored = await bench.records(['--type', 'test.event']);
      expect(stored).toHaveLength(i + 1);
    }
    child.stdin.end();
    await once(child, 'close');
  });

  it.each([
    'SIGTERM',
    'SIGINT',
  ] as const)('on %s finishes what was read and closes the log', async (signal) => {
    const child = bench.start(['record']);
    const end = finished(child);
    const first = once(child.stdout, 'data');
    child.stdin.write(`${line({ i: 0 })}\n`);
    await first;
    child.stdin.write(`${line({ i: 1 })}\n{"event_type":"test.ev`);
    await sleep(200);
    child.kill(signal);
    const ran = await end;
    expect(ran.code).toBe(0);
    expect(acknowledgements(ran.stdout)).toHaveLength(2);
    expect(ran.stderr).toContain('of a line without its end were not recorded');
    const records = await bench.records();
    expect(records.at(-1)?.event_type).toBe('log.closed');
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
  });

  it('records what it read when nobody reads the acknowledgements any more', async () => {
    const child = bench.start(['record']);
    const end = finished(child);
    child.stdin.on('error', () => {});
    child.stdout.destroy();
    for (let i = 0; i < 10; i++) child.stdin.write(`${line({ i })}\n`);
    const ran = await end;
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('the reader of the acknowledgements has gone');
    expect((await bench.records()).at(-1)?.event_type).toBe('log.closed');
  });

  it('loses nothing when the reader of the acknowledgements is slow', async () => {
    const child = bench.start(['record']);
    child.stdin.on('error', () => {});
    child.stdin.end(Array.from({ length: 30_000 }, (_, i) => `${line({ i })}\n`).join(''));
    await sleep(1500);
    const ran = await finished(child);
    expect(ran.code).toBe(0);
    expect(acknowledgements(ran.stdout)).toHaveLength(30_000);
  });

  it('appends to a log that another process has open, which stays open', async () => {
    const child = bench.start(['record']);
    const first = once(child.stdout, 'data');
    child.stdin.write(`${line({})}\n`);
    await first;
    const ran = await bench.run(['record'], { input: `${line({})}\n` });
    expect(ran.code).toBe(0);
    const seq = acknowledgements(ran.stdout)[0]?.seq ?? Number.NaN;
    const second = once(child.stdout, 'data');
    child.stdin.write(`${line({})}\n`);
    expect(JSON.parse(String((await second)[0]))).toMatchObject({ ok: true, seq: seq + 1 });
    child.stdin.end();
    await once(child, 'close');
    const types = (await bench.records()).map((record) => record.event_type);
    expect(types.slice(-2)).toEqual(['test.event', 'log.closed']);
  });
});
