import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuditError } from './errors.js';
import { type AuditEvent, eventTypes } from './event.js';
import type { Commitment, LogRecord } from './index.js';
import { checkLine, type LineFacts } from './line-check.js';
import { bodyBytesMax, encodeEvent, lineBytesMax } from './record.js';

/** The line that the writer would make of an event, at seq 0. */
function lineOf(event: AuditEvent, emitter = 'me'): string {
  const { text } = encodeEvent(event, emitter);
  const zeros = '0'.repeat(64);
  return `{"seq":0,${text},"epoch":0,"prev_hash":"${zeros}","hash":"${zeros}"}`;
}

/** Checks the line’s form as a verifier does, and reads it. */
function recordOf(event: AuditEvent, emitter = 'me'): LogRecord {
  const line = Buffer.from(lineOf(event, emitter));
  const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
  expect(checkLine(line, 0, line.length, facts)).toBeUndefined();
  expect(facts.eventType).toBe(event.eventType);
  expect(line.includes(10) || line.includes(13)).toBe(false);
  return JSON.parse(line.toString()) as LogRecord;
}

function refusal(event: unknown, emitter = 'me'): { code: string; member: string | undefined } {
  try {
    encodeEvent(event as AuditEvent, emitter);
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    return { code: error.code, member: error.member };
  }
  throw new Error('it was taken');
}

const full: AuditEvent = {
  eventType: 'tool_execution',
  timestamp: new Date('2026-01-02T03:04:05.678Z'),
  eventId: 'evt_01890000-0000-7000-8000-000000000000',
  emitter: 'gate',
  actor: { channel: 'c', userId: 'u', username: 'n', agent: 'a', ip: '::1' },
  sessionId: 's',
  callId: 'call',
  source: 'server',
  action: {
    phase: 'intent',
    tool: 't',
    command: 'ls',
    resource: 'r',
    arguments: { a: [1, null] },
    riskLevel: 'high',
    approved: true,
    allowed: false,
    continues: 'earlier',
  },
  result: {
    success: false,
    status: 'error',
    exitCode: -1,
    signal: 'SIGKILL',
    durationMs: 1.5,
    error: 'e',
    outputText: '{"big":12345678901234567890,"__proto__":1}',
  },
  security: {
    policyViolation: true,
    rule: 'r',
    reason: 'why',
    rateLimitRemaining: 0.5,
    sandbox: 'none',
    notEnforced: ['egress', 'injection'],
  },
  details: { any: { thing: ['x'] } },
  trace: { traceId: '0123456789abcdef0123456789abcdef', spanId: '0123456789abcdef' },
};

describe('what is recorded', () => {
  test('every member, under its stored name, in the order of docs/format.md §2', () => {
    expect(JSON.stringify(recordOf(full)).replace(/,"epoch".*/, '')).toBe(
      '{"seq":0,"timestamp":"2026-01-02T03:04:05.678Z",' +
        '"event_id":"evt_01890000-0000-7000-8000-000000000000","event_type":"tool_execution",' +
        '"emitter":"gate","actor":{"channel":"c","user_id":"u","username":"n","agent":"a","ip":"::1"},' +
        '"session_id":"s","call_id":"call","source":"server","action":{"phase":"intent","tool":"t",' +
        '"command":"ls","resource":"r","arguments":"{\\"a\\":[1,null]}","risk_level":"high",' +
        '"approved":true,"allowed":false,"continues":"earlier"},"result":{"success":false,' +
        '"status":"error","exit_code":-1,"signal":"SIGKILL","duration_ms":1.5,"error":"e",' +
        '"output":"{\\"big\\":12345678901234567890,\\"__proto__\\":1}"},' +
        '"security":{"policy_violation":true,"rule":"r","reason":"why","rate_limit_remaining":0.5,' +
        '"sandbox":"none","not_enforced":["egress","injection"]},"details":{"any":{"thing":["x"]}},' +
        '"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"}',
    );
  });

  test('the order in which the caller gives members does not matter', () => {
    const reversed = (value: unknown): unknown => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      if (value instanceof Date) return value;
      return Object.fromEntries(Object.entries(value).reverse());
    };
    const turned = Object.fromEntries(
      Object.entries(full)
        .reverse()
        .map(([name, value]) => [name, name === 'details' ? value : reversed(value)]),
    );
    expect(lineOf(turned as unknown as AuditEvent)).toBe(lineOf(full));
  });

  test('what is not given is absent, empty sections too', () => {
    const record = recordOf({
      eventType: 'acme.deploy',
      actor: {},
      action: { tool: undefined },
      sessionId: undefined,
    });
    expect(Object.keys(record)).toEqual([
      ...['seq', 'timestamp', 'event_id', 'event_type', 'emitter'],
      ...['epoch', 'prev_hash', 'hash'],
    ]);
    expect(record.emitter).toBe('me');
    expect(record.event_id).toMatch(/^evt_[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(Math.abs(Date.parse(record.timestamp) - Date.now())).toBeLessThan(5_000);
  });

  test('every text comes back as it was, control characters, astral ones and line separators included', () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        fc.constantFrom(
          '\u0000',
          '\n',
          '\r',
          '\u001f',
          '"',
          '\\',
          '\u2028',
          '\u2029',
          '😀',
          '\ufeff',
        ),
      ),
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, text, text, fc.jsonValue(), (a, b, c, json) => {
        const texts = [a, b, c].map((one) => one.toWellFormed()) as [string, string, string];
        const written = JSON.stringify(json);
        fc.pre(!written.includes('"__proto__":') && !hasUnsafeInteger(json));
        fc.pre(texts[0] !== '__proto__');
        const record = recordOf({
          eventType: 'test.event',
          actor: { username: texts[0] },
          action: { command: texts[1], arguments: json },
          result: { outputText: texts[2] },
          details: { json, [texts[0]]: texts[1] },
        });
        expect(record.actor?.username).toBe(texts[0]);
        expect(record.action?.command).toBe(texts[1]);
        expect(record.action?.arguments).toBe(written);
        expect(record.result?.output).toBe(texts[2]);
        const details = { json, [texts[0]]: texts[1] };
        expect(JSON.stringify(record.details)).toBe(JSON.stringify(details));
      }),
    );
  });

  test('every built-in type and any of the stated form', () => {
    for (const eventType of eventTypes) recordOf({ eventType });
    for (const eventType of ['a.b', 'acme.deploy.now_1', `a.${'b'.repeat(62)}`] as const) {
      recordOf({ eventType });
    }
  });

  test('timestamps as Dates and RFC 3339 strings, always written in UTC with milliseconds', () => {
    const written = (timestamp: string | Date): string =>
      recordOf({ eventType: 'a.b', timestamp }).timestamp;
    expect(written('2026-01-02T03:04:05Z')).toBe('2026-01-02T03:04:05.000Z');
    expect(written('2026-01-02t03:04:05.5+05:30')).toBe('2026-01-01T21:34:05.500Z');
    expect(written('2026-01-02T03:04:05.123456Z')).toBe('2026-01-02T03:04:05.123Z');
    expect(written(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
  });
});

function hasUnsafeInteger(json: unknown): boolean {
  let unsafe = false;
  JSON.parse(JSON.stringify(json), (_, value: unknown) => {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) unsafe = true;
    return value;
  });
  return unsafe;
}

describe('refused with a code and the member’s path', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  const deep: unknown = JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`);
  test.each<[string, unknown, string, string | undefined]>([
    ['nothing', undefined, 'wrong_type', undefined],
    ['null', null, 'wrong_type', undefined],
    ['a string', 'a.b', 'wrong_type', undefined],
    ['an array', [], 'wrong_type', undefined],
    ['an instance', new (class Event1 {})(), 'wrong_type', undefined],
    ['no type', {}, 'missing_member', 'eventType'],
    ['a number as type', { eventType: 5 }, 'missing_member', 'eventType'],
    ['an unknown type', { eventType: 'deploy' }, 'unknown_type', 'eventType'],
    ['a type of the log', { eventType: 'log.closed' }, 'unknown_type', 'eventType'],
    ['a type with a newline', { eventType: 'a.b\n' }, 'unknown_type', 'eventType'],
    ['upper case', { eventType: 'A.b' }, 'unknown_type', 'eventType'],
    ['a type too long', { eventType: `a.${'b'.repeat(63)}` }, 'unknown_type', 'eventType'],
    ['an unknown member', { wheel: 1 }, 'unknown_member', 'wheel'],
    ['the stored name', { session_id: 'x' }, 'unknown_member', 'session_id'],
    ['an unknown inner one', { actor: { name: 'x' } }, 'unknown_member', 'actor.name'],
    ['hash', { hash: 'x' }, 'unknown_member', 'hash'],
    ['an own __proto__', JSON.parse('{"__proto__":1}'), 'prototype_key', '__proto__'],
    [
      'an inner one',
      { action: JSON.parse('{"__proto__":1}') },
      'prototype_key',
      'action.__proto__',
    ],
    [
      'one in details',
      { details: JSON.parse('{"a":{"__proto__":1}}') },
      'prototype_key',
      'details.a.__proto__',
    ],
    [
      'one in arguments',
      { action: { arguments: JSON.parse('[{"__proto__":1}]') } },
      'prototype_key',
      'action.arguments[0].__proto__',
    ],
    ['a cycle', { details: cyclic }, 'cycle', 'details.self'],
    ['a cycle in arguments', { action: { arguments: cyclic } }, 'cycle', 'action.arguments.self'],
    ['a BigInt', { details: { n: 1n } }, 'bigint', 'details.n'],
    ['a BigInt in output', { result: { output: [1n] } }, 'bigint', 'result.output[0]'],
    ['an unsafe integer', { details: { n: 2 ** 53 } }, 'unsafe_integer', 'details.n'],
    ['an unsafe exit code', { result: { exitCode: 2 ** 60 } }, 'unsafe_integer', 'result.exitCode'],
    ['half an exit code', { result: { exitCode: 0.5 } }, 'wrong_type', 'result.exitCode'],
    ['NaN', { result: { durationMs: Number.NaN } }, 'not_finite', 'result.durationMs'],
    ['a lone surrogate', { sessionId: '\ud800' }, 'lone_surrogate', 'sessionId'],
    ['one in a section', { actor: { agent: 'x\udfff' } }, 'lone_surrogate', 'actor.agent'],
    ['one in content', { action: { command: '\ud83d' } }, 'lone_surrogate', 'action.command'],
    [
      'one in wire text',
      { result: { outputText: '\ud83d' } },
      'lone_surrogate',
      'result.outputText',
    ],
    [
      'one in a list',
      { security: { notEnforced: ['a', '\ud83d'] } },
      'lone_surrogate',
      'security.notEnforced[1]',
    ],
    ['one in details', { details: { '\ud83d': 1 } }, 'lone_surrogate', 'details.\ud83d'],
    ['too deep', { details: { deep } }, 'too_deep', undefined],
    ['a function', { details: { f: () => 1 } }, 'not_json', 'details.f'],
    ['a Map', { action: { arguments: new Map() } }, 'not_json', 'action.arguments'],
    ['a hole', { details: { list: new Array(2) } }, 'not_json', 'details.list[0]'],
    ['details as a list', { details: [] }, 'wrong_type', 'details'],
    ['details as null', { details: null }, 'wrong_type', 'details'],
    ['an actor of a class', { actor: new (class User {})() }, 'wrong_type', 'actor'],
    ['a section as text', { action: 'ls' }, 'wrong_type', 'action'],
    ['a number as text', { source: 5 }, 'wrong_type', 'source'],
    ['a boxed string', { source: Object('x') }, 'wrong_type', 'source'],
    ['text as flag', { action: { approved: 'yes' } }, 'wrong_type', 'action.approved'],
    ['another risk', { action: { riskLevel: 'huge' } }, 'wrong_type', 'action.riskLevel'],
    ['another phase', { action: { phase: 'middle' } }, 'wrong_type', 'action.phase'],
    [
      'arguments twice',
      { action: { arguments: 1, argumentsText: '1' } },
      'wrong_type',
      'action.argumentsText',
    ],
    ['another id', { eventId: 'evt_1' }, 'wrong_type', 'eventId'],
    [
      'an id in capitals',
      { eventId: 'evt_01890000-0000-7000-8000-00000000000A' },
      'wrong_type',
      'eventId',
    ],
    [
      'a trace id of 31 digits',
      { trace: { traceId: 'a'.repeat(31) } },
      'wrong_type',
      'trace.traceId',
    ],
    [
      'a span id with a newline',
      { trace: { spanId: `${'a'.repeat(15)}\n` } },
      'wrong_type',
      'trace.spanId',
    ],
    ['the emitter log', { emitter: 'log' }, 'wrong_type', 'emitter'],
    ['an invalid date', { timestamp: new Date(Number.NaN) }, 'wrong_type', 'timestamp'],
    ['a year beyond', { timestamp: new Date(8.64e15) }, 'wrong_type', 'timestamp'],
    ['a number as time', { timestamp: 0 }, 'wrong_type', 'timestamp'],
    ['a day as time', { timestamp: '2026-01-02' }, 'wrong_type', 'timestamp'],
    ['a time without zone', { timestamp: '2026-01-02T03:04:05' }, 'wrong_type', 'timestamp'],
    ['a day that is none', { timestamp: '2026-02-30T03:04:05Z' }, 'wrong_type', 'timestamp'],
    [
      'a time with a remark',
      { timestamp: '2026-01-02 03:04 (about) PST' },
      'wrong_type',
      'timestamp',
    ],
    ['too large details', { details: { text: 'x'.repeat(70_000) } }, 'too_large', 'details'],
    [
      'a too large session',
      { sessionId: 'x'.repeat(70_000), details: { a: 1 } },
      'too_large',
      undefined,
    ],
  ])('%s', (_, part, code, member) => {
    const isWhole =
      typeof part !== 'object' || part === null || Object.getPrototypeOf(part) !== Object.prototype;
    const bare =
      isWhole || 'eventType' in (part as object) || Object.keys(part as object).length === 0;
    const event = bare ? part : { eventType: 'a.b', ...spread(part as object) };
    const found = refusal(event);
    expect(found.code).toBe(code);
    if (member !== undefined) expect(found.member).toBe(member);
    else if (code !== 'wrong_type') expect(found.member).toBeDefined();
  });

  /** Own members, an own `__proto__` included. */
  function spread(part: object): object {
    return Object.defineProperties({}, Object.getOwnPropertyDescriptors(part));
  }

  test('what is too large is named: the emitter', () => {
    const event: AuditEvent = { eventType: 'a.b', emitter: 'x'.repeat(70_000), details: { a: 1 } };
    expect(refusal(event)).toEqual({ code: 'too_large', member: 'emitter' });
  });

  test('content beyond 64 MiB is refused, not hashed', () => {
    const command = 'x'.repeat(64 * 1024 * 1024 + 1);
    expect(refusal({ eventType: 'a.b', action: { command } })).toEqual({
      code: 'too_large',
      member: 'action.command',
    });
  });
});

describe('callers that mean harm', () => {
  test('a list with holes is refused or recorded as JSON, never as a broken line', () => {
    const notEnforced = Object.assign(new Array<string>(3), { 1: 'x' });
    expect(refusal({ eventType: 'a.b', security: { notEnforced } })).toEqual({
      code: 'wrong_type',
      member: 'security.notEnforced[0]',
    });
  });

  test.each<[string, () => unknown]>([
    [
      'a list with its own map',
      () => {
        const notEnforced = Object.assign(['x'], { map: () => ({ join: () => '"\n"' }) });
        return { security: { notEnforced } };
      },
    ],
    [
      'a date with its own toISOString',
      () => ({ details: { d: Object.assign(new Date(0), { toISOString: () => '"\n{' }) } }),
    ],
    [
      'a date with its own toJSON',
      () => ({ details: { d: Object.assign(new Date(0), { toJSON: () => ({ x: '\ud800' }) }) } }),
    ],
    [
      'a hidden toJSON',
      () => ({
        details: Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 'not an object' }),
      }),
    ],
    [
      'a hidden toJSON on a section',
      () => ({ actor: Object.defineProperty({ agent: 'x' }, 'toJSON', { value: () => 5 }) }),
    ],
    [
      'a getter that grows deep once it was checked',
      () => {
        let reads = 0;
        const deep: unknown = JSON.parse(`${'['.repeat(600)}${']'.repeat(600)}`);
        return {
          details: {
            get x(): unknown {
              return reads++ < 1 ? 1 : deep;
            },
          },
        };
      },
    ],
    [
      'a getter that turns into a BigInt',
      () => {
        let reads = 0;
        return {
          details: {
            get x(): unknown {
              return reads++ < 1 ? 1 : 1n;
            },
          },
        };
      },
    ],
    [
      'a proxy that answers differently each time',
      () => {
        let turn = 0;
        return {
          details: new Proxy(
            {},
            {
              ownKeys: () => [`k${turn++}`],
              getOwnPropertyDescriptor: () => ({
                value: '\n',
                enumerable: true,
                configurable: true,
              }),
              get: () => (turn % 2 === 0 ? '\ud800' : '"'),
            },
          ),
        };
      },
    ],
  ])('%s: refused, or a good line', (_, make) => {
    const event = { eventType: 'a.b', ...(make() as object) } as AuditEvent;
    let line: Buffer;
    try {
      line = Buffer.from(lineOf(event));
    } catch (error) {
      expect(error).toBeInstanceOf(AuditError);
      return;
    }
    const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
    expect(checkLine(line, 0, line.length, facts)).toBeUndefined();
    expect(line.includes(10)).toBe(false);
  });

  test.each([
    'log.closed',
    'a.b","emitter":"log',
    'x\n',
  ])('a type that changes after it was checked is not recorded: %j', (later) => {
    for (let good = 1; good < 8; good++) {
      let reads = 0;
      const event = {
        get eventType(): string {
          return reads++ < good ? 'a.b' : later;
        },
      };
      let text: string;
      try {
        ({ text } = encodeEvent(event as AuditEvent, 'me'));
      } catch (error) {
        expect(error).toBeInstanceOf(AuditError);
        continue;
      }
      expect(text).toContain('"event_type":"a.b"');
    }
  });

  test('an emitter that changes after it was checked is not "log"', () => {
    for (let good = 0; good < 5; good++) {
      let reads = 0;
      const event = {
        eventType: 'a.b',
        get emitter(): string {
          return reads++ === good ? 'log' : 'x';
        },
      };
      let text = '';
      try {
        ({ text } = encodeEvent(event as AuditEvent, 'me'));
      } catch (error) {
        expect(error).toBeInstanceOf(AuditError);
      }
      expect(text).not.toContain('"emitter":"log"');
    }
  });

  test('whatever a getter throws, the caller gets an AuditError', () => {
    for (const thrown of [new Error('x'), 'x', null, undefined, Object.create(null), Symbol('x')]) {
      const event = {
        eventType: 'a.b',
        get details(): object {
          throw thrown;
        },
      };
      expect(refusal(event).code).toBe('not_json');
    }
  });

  test('members added to Object.prototype by somebody else are not recorded', () => {
    const polluted = Object.prototype as Record<string, unknown>;
    polluted['sessionId'] = 'injected';
    polluted['emitter'] = 'injected';
    try {
      expect(lineOf({ eventType: 'a.b' })).not.toContain('injected');
    } finally {
      delete polluted['sessionId'];
      delete polluted['emitter'];
    }
  });

  test('a toJSON added to Object.prototype does not reach the line', () => {
    const polluted = Object.prototype as Record<string, unknown>;
    Object.defineProperty(polluted, 'toJSON', { value: () => 'gone', configurable: true });
    try {
      const line = lineOf({ eventType: 'a.b', actor: { agent: 'me' }, details: { a: { b: 1 } } });
      expect(line).toContain('"actor":{"agent":"me"}');
      expect(line).toContain('"details":{"a":{"b":1}}');
    } finally {
      delete polluted['toJSON'];
    }
  });

  test('an object that repeats itself is refused before it fills the memory', () => {
    let laughs: unknown = 'ha';
    for (let i = 0; i < 21; i++) laughs = [laughs, laughs];
    const start = performance.now();
    expect(refusal({ eventType: 'a.b', details: { laughs } }).code).toBe('too_large');
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe('a record that would be too long', () => {
  const commitmentOf = (content: unknown): Commitment => {
    expect(content).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    return content as Commitment;
  };

  test('a body of exactly the most is taken whole, one byte more is not', () => {
    const event = (room: number): AuditEvent => ({
      ...full,
      action: { command: 'c'.repeat(1_000) },
      details: { t: 'x'.repeat(room) },
    });
    const room = bodyBytesMax - Buffer.byteLength(encodeEvent(event(0), 'me').text);
    const taken = encodeEvent(event(room), 'me');
    expect(Buffer.byteLength(taken.text)).toBe(bodyBytesMax);
    expect(taken.openings).toEqual([]);
    const cut = encodeEvent(event(room + 1), 'me');
    expect(Buffer.byteLength(cut.text)).toBeLessThanOrEqual(bodyBytesMax);
    expect(cut.openings.length).toBeGreaterThan(0);
  });

  test('the longest body and the longest frame make a line of at most 65,535 bytes', () => {
    const most = Number.MAX_SAFE_INTEGER;
    const frame = `{"seq":${most},,"epoch":${most},"prev_hash":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}`;
    expect(bodyBytesMax + frame.length).toBeLessThanOrEqual(lineBytesMax);
  });

  const floods = {
    'U+0001': '\u0001'.repeat(400_000),
    quotes: '"'.repeat(400_000),
    astral: '😀'.repeat(200_000),
    'astral, shifted': `x${'😀'.repeat(200_000)}`,
    'three bytes': '\u2028'.repeat(200_000),
    mixed: '\u0001é😀"\n\u2028x'.repeat(60_000),
  };
  test.each(
    Object.entries(floods),
  )('%s: the preview fills the line and ends at a character', (_, flood) => {
    const event: AuditEvent = { eventType: 'a.b', action: { command: flood } };
    const { text, openings } = encodeEvent(event, 'me');
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(bodyBytesMax);
    expect(Buffer.byteLength(text)).toBeGreaterThan(bodyBytesMax - 64);
    const record = recordOf(event);
    const { preview, sha256, bytes } = commitmentOf(record.action?.command);
    expect(preview?.isWellFormed()).toBe(true);
    expect(flood.startsWith(preview ?? '?')).toBe(true);
    expect(bytes).toBe(Buffer.byteLength(flood));
    expect(sha256).not.toBe(createHash('sha256').update(flood).digest('hex'));
    expect(openings).toHaveLength(1);
    expect(openings[0]).toMatchObject({ member: 'action.command', content: flood });
  });

  test('an opening opens its commitment: SHA-256 over 32 bytes of salt and the content', () => {
    const event: AuditEvent = {
      eventType: 'a.b',
      action: { argumentsText: 'a'.repeat(80_000), command: 'c'.repeat(50_000) },
      result: { output: { text: 'é'.repeat(60_000) }, error: 'short' },
    };
    const { text, openings } = encodeEvent(event, 'me');
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(bodyBytesMax);
    expect(Buffer.byteLength(text)).toBeGreaterThan(bodyBytesMax - 64);
    const record = JSON.parse(`{${text}}`) as LogRecord;
    const places: Record<string, unknown> = {
      'action.command': record.action?.command,
      'action.arguments': record.action?.arguments,
      'result.output': record.result?.output,
    };
    expect(openings.map((opening) => opening.member).sort()).toEqual(Object.keys(places).sort());
    for (const { member, salt, content, ref } of openings) {
      const commitment = commitmentOf(places[member]);
      expect(salt).toHaveLength(32);
      expect(commitment.ref).toBe(ref);
      expect(ref).toMatch(
        /^cnt_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      expect(commitment.bytes).toBe(Buffer.byteLength(content));
      const hash = createHash('sha256').update(salt).update(content).digest('hex');
      expect(commitment.sha256).toBe(hash);
    }
    expect(new Set(openings.map((opening) => opening.ref)).size).toBe(3);
    expect(record.result?.error).toBe('short');
  });

  test('whatever the sizes, the line fits or the event is refused as too large', () => {
    const size = fc.oneof(fc.nat(300), fc.nat(70_000));
    const unit = fc.constantFrom('x', '\u0001', '😀', 'é');
    fc.assert(
      fc.property(size, size, size, size, size, unit, (a, b, c, d, e, u) => {
        const event: AuditEvent = {
          eventType: 'a.b',
          action: { command: u.repeat(a), argumentsText: u.repeat(b) },
          result: { error: u.repeat(c), outputText: u.repeat(d) },
          details: { t: 'x'.repeat(e) },
        };
        try {
          expect(Buffer.byteLength(encodeEvent(event, 'me').text)).toBeLessThanOrEqual(
            bodyBytesMax,
          );
        } catch (error) {
          // Only what cannot be cut may be too large.
          expect(error).toMatchObject({ code: 'too_large' });
          expect(e).toBeGreaterThan(bodyBytesMax - 1_200);
        }
      }),
      { numRuns: 60 },
    );
  });
});
