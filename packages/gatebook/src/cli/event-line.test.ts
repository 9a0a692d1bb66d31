import { describe, expect, it } from 'vitest';
import { parseEventLine, refusalOf, storedPath } from './event-line.js';

const parse = (text: string): unknown => parseEventLine(Buffer.from(text));

function refusal(line: string | Buffer): { code: string; message: string; member?: string } {
  try {
    parseEventLine(Buffer.from(line));
  } catch (error) {
    return refusalOf(error);
  }
  return expect.fail(`accepted: ${String(line)}`);
}

describe('parseEventLine', () => {
  it('renames the members of a record and leaves what the caller put below them', () => {
    const line = {
      event_type: 'tool_execution',
      event_id: 'evt_x',
      session_id: 's',
      call_id: 'c',
      actor: { user_id: 'u', username: 'n' },
      action: { risk_level: 'low', arguments: { user_id: 1, risk_level: 2 } },
      result: { exit_code: 0, duration_ms: 1, output: [{ exit_code: 1 }] },
      security: { policy_violation: false, rate_limit_remaining: 3, not_enforced: ['a'] },
      details: { user_id: 'kept' },
      trace: { trace_id: 't', span_id: 's' },
    };
    expect(parse(JSON.stringify(line))).toEqual({
      eventType: 'tool_execution',
      eventId: 'evt_x',
      sessionId: 's',
      callId: 'c',
      actor: { userId: 'u', username: 'n' },
      action: { riskLevel: 'low', arguments: { user_id: 1, risk_level: 2 } },
      result: { exitCode: 0, durationMs: 1, output: [{ exit_code: 1 }] },
      security: { policyViolation: false, rateLimitRemaining: 3, notEnforced: ['a'] },
      details: { user_id: 'kept' },
      trace: { traceId: 't', spanId: 's' },
    });
  });

  it('leaves wrong types to the log, which names them', () => {
    expect(parse('{"event_type":1,"actor":"x","action":null}')).toEqual({
      eventType: 1,
      actor: 'x',
      action: null,
    });
  });

  it('refuses doubled members at any depth, escaped ones too, and names them', () => {
    expect(refusal('{"event_type":"a.b","event_type":"a.c"}').member).toBe('event_type');
    expect(refusal('{"details":{"a":[{"x":1,"\\u0078":2}]}}').member).toBe('x');
    expect(refusal('{"details":{"q\\"q":1,"q\\"q":2}}')).toMatchObject({
      code: 'not_json',
      member: 'q"q',
    });
  });

  it('refuses unknown members, those of the log, and the names of the library', () => {
    expect(refusal('{"event_type":"a.b","extra":1}')).toMatchObject({
      code: 'unknown_member',
      member: 'extra',
    });
    expect(refusal('{"actor":{"name":"x"}}').member).toBe('actor.name');
    expect(refusal('{"eventType":"a.b"}').member).toBe('eventType');
    expect(refusal('{"action":{"argumentsText":"{}"}}').member).toBe('action.argumentsText');
    for (const name of ['seq', 'epoch', 'prev_hash', 'hash']) {
      expect(refusal(`{"${name}":1}`).message).toContain('given by the log');
    }
  });

  it('refuses __proto__ where it would be a member of the event', () => {
    expect(refusal('{"__proto__":{}}')).toMatchObject({
      code: 'prototype_key',
      member: '__proto__',
    });
    expect(refusal('{"actor":{"__proto__":{}}}').member).toBe('actor.__proto__');
    expect(refusal('{"constructor":1}').code).toBe('unknown_member');
  });

  it('passes a __proto__ further down on as a member, for the log to refuse', () => {
    const event = parse('{"details":{"__proto__":{"a":1}}}') as { details: object };
    expect(Object.keys(event.details)).toEqual(['__proto__']);
  });

  it.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['{"a":1}{', 'not JSON'],
    ["{'a':1}", 'not JSON'],
    ['\ufeff{}', 'not JSON'],
    ['[]', 'not an object'],
    ['"x"', 'not an object'],
    ['null', 'not an object'],
  ])('refuses %j', (text, why) => {
    expect(refusal(text).message).toContain(why);
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(refusal(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])).message).toContain('UTF-8');
  });
});

describe('storedPath', () => {
  it('spells a member as the line does', () => {
    expect(storedPath('eventType')).toBe('event_type');
    expect(storedPath('action.riskLevel')).toBe('action.risk_level');
    expect(storedPath('security.notEnforced[2]')).toBe('security.not_enforced[2]');
    expect(storedPath('action.arguments.userId.x')).toBe('action.arguments.userId.x');
    expect(storedPath('details.userId')).toBe('details.userId');
    expect(storedPath('event')).toBe('event');
  });
});
