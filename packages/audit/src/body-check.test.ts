import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkBody } from './body-check.js';
import { AuditError } from './errors.js';
import type { AuditEvent, JsonValue } from './event.js';
import { checkLine, type LineFacts } from './line-check.js';
import { encodeEvent } from './record.js';

function codeOf(text: string, emitter?: string): string {
  try {
    checkBody(text, Buffer.byteLength(text), emitter);
    return 'good';
  } catch (error) {
    if (error instanceof AuditError) return error.code;
    throw error;
  }
}

const event: AuditEvent = {
  eventType: 'tool_execution',
  emitter: 'gate',
  actor: { channel: 'chat', userId: 'u1' },
  sessionId: 's',
  action: { phase: 'outcome', tool: 'read', arguments: { a: [1, 'é', null] }, riskLevel: 'low' },
  result: { success: true, exitCode: 0, durationMs: 1.5, outputText: 'a\n"b"' },
  security: { notEnforced: ['a', 'b'] },
  details: { n: -1, deep: [{ x: 1e-7 }], 7: 'seven' },
  trace: { traceId: 'a'.repeat(32) },
};
const good = encodeEvent(event, 'test').text;

describe('a body from another process', () => {
  test('is good as encodeEvent makes it, commitments included', () => {
    expect(codeOf(good)).toBe('good');
    expect(codeOf(good, 'gate')).toBe('good');
    const large = { ...event, action: { command: 'x'.repeat(100_000) } };
    expect(codeOf(encodeEvent(large, 'test').text)).toBe('good');
  });

  test('whatever encodeEvent takes is good', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((one) => one.isWellFormed());
    const seed = randomInt(2 ** 31);
    fc.assert(
      fc.property(
        fc.record({ text, value: fc.jsonValue({ noUnicodeString: false }), n: fc.integer() }),
        ({ text: any, value, n }) => {
          const random: AuditEvent = {
            eventType: 'a.b',
            ...{ source: any, details: { [any]: any, value: value as JsonValue } },
            ...{ result: { exitCode: n, output: value as JsonValue } },
          };
          let body: string;
          try {
            body = encodeEvent(random, 'test').text;
          } catch (error) {
            if (error instanceof AuditError) return;
            throw error;
          }
          expect(codeOf(body)).toBe('good');
        },
      ),
      { seed, numRuns: 500 },
    );
  });

  const cases: readonly (readonly [string, string, string])[] = [
    ['an emitter of the log’s own', good.replace('"gate"', '"log"'), 'wrong_type'],
    ['the same, escaped', good.replace('"gate"', '"l\\u006fg"'), 'not_json'],
    [
      'an event type of the log’s own',
      good.replace('tool_execution', 'log.opened'),
      'unknown_type',
    ],
    ['an event type nobody has', good.replace('tool_execution', 'tool'), 'unknown_type'],
    ['a member doubled', good.replace('"actor"', '"source":"x","source":"y","actor"'), 'not_json'],
    ['a member doubled inside', good.replace('"channel":"chat"', '"ip":"1","ip":"2"'), 'not_json'],
    ['white space', good.replace(':{', ': {'), 'not_json'],
    [
      'members out of order',
      good.replace('"emitter":"gate",', '').concat(',"emitter":"gate"'),
      'unknown_member',
    ],
    [
      'members of a section out of order',
      good.replace('"channel":"chat","user_id":"u1"', '"user_id":"u1","channel":"chat"'),
      'unknown_member',
    ],
    ['a seq', `"seq":1,${good}`, 'unknown_member'],
    ['an epoch behind', `${good},"epoch":1`, 'unknown_member'],
    ['the end of one line and the start of another', `${good}}\n{${good}`, 'not_json'],
    ['a missing event id', good.replace(/"event_id":"[^"]*",/, ''), 'missing_member'],
    ['an event id of another form', good.replace('evt_', 'EVT_'), 'wrong_type'],
    [
      'a day that is none',
      good.replace(/"timestamp":"[^"]*"/, '"timestamp":"2026-02-30T00:00:00.000Z"'),
      'wrong_type',
    ],
    ['a text that is a number', good.replace('"session_id":"s"', '"session_id":1'), 'wrong_type'],
    ['a section that is a text', good.replace(/"actor":\{[^}]*\}/, '"actor":"x"'), 'wrong_type'],
    ['an empty section', good.replace(/"actor":\{[^}]*\}/, '"actor":{}'), 'wrong_type'],
    ['an unknown risk', good.replace('"low"', '"lower"'), 'wrong_type'],
    [
      'details that are a list',
      good.replace(/"details":\{.*\},"trace"/, '"details":[],"trace"'),
      'wrong_type',
    ],
    ['a prototype key', good.replace('"n":-1', '"__proto__":1'), 'prototype_key'],
    ['an unsafe integer', good.replace('"n":-1', '"n":9007199254740994'), 'unsafe_integer'],
    ['a rounded integer', good.replace('"n":-1', '"n":9007199254740993'), 'not_json'],
    ['a number too large', good.replace('"n":-1', '"n":1e400'), 'not_json'],
    ['minus nought', good.replace('"n":-1', '"n":-0'), 'not_json'],
    ['a lone surrogate', good.replace('"seven"', '"\\ud800"'), 'lone_surrogate'],
    [
      'too deep a nesting',
      good.replace('"n":-1', `"n":${'['.repeat(300)}${']'.repeat(300)}`),
      'too_deep',
    ],
    [
      'a commitment with a member more',
      good
        .replace('"arguments":"{', '"arguments":{"sha256":"x","bytes":1,"ref":"x","y":"')
        .replace('null]}"', '"}'),
      'wrong_type',
    ],
    ['nothing', '', 'missing_member'],
    ['a list', ']', 'not_json'],
    ['too many bytes', good.replace('"seven"', `"${'7'.repeat(70_000)}"`), 'too_large'],
  ];
  test.each(cases)('%s is refused', (_, text, code) => {
    expect(text).not.toBe(good);
    expect(codeOf(text)).toBe(code);
  });

  test('another emitter than the proven one is refused', () => {
    expect(codeOf(good, 'agent-7')).toBe('wrong_type');
  });

  test('text that only looks like a lone surrogate is good', () => {
    const odd: AuditEvent = { eventType: 'a.b', source: '\\ud800', details: { '\\\\udead': '😀' } };
    expect(codeOf(encodeEvent(odd, 'test').text)).toBe('good');
  });

  test('with any byte changed is refused, or is still a line that a verifier takes', () => {
    const bytes = Buffer.from(good);
    const facts: LineFacts = { seq: 0, epoch: 0, eventType: '', prevHash: '', hash: '' };
    const end = `,"epoch":0,"prev_hash":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}`;
    for (let at = 0; at < bytes.length; at++) {
      for (const byte of [0x22, 0x2c, 0x30, 0x5c, 0x65, 0x7b, 0x7d, 0x0d, 0x20]) {
        const changed = Buffer.from(bytes);
        changed[at] = byte;
        const text = changed.toString('utf8');
        if (codeOf(text) !== 'good') continue;
        const line = Buffer.from(`{"seq":0,${text}${end}`);
        expect(checkLine(line, 0, line.length, facts), text).toBeUndefined();
      }
    }
  });
});
