import { describe, expect, it } from 'vitest';
import { compileFilter, everything, type Filter } from './filter.js';
import { fixtureRecord } from './fixture-record.js';

function passes(filter: Partial<Filter>, members: Readonly<Record<string, unknown>>): boolean {
  const match = compileFilter({ ...everything, ...filter });
  return match === undefined || match(fixtureRecord(members));
}

describe('compileFilter', () => {
  it('is nothing at all when everything passes', () => {
    expect(compileFilter(everything)).toBeUndefined();
  });

  it('matches a user by id or by name, and never inside another name', () => {
    const filter = { users: ['ann'] };
    expect(passes(filter, { actor: { user_id: 'ann' } })).toBe(true);
    expect(passes(filter, { actor: { user_id: 'u1', username: 'ann' } })).toBe(true);
    expect(passes(filter, { actor: { user_id: 'anna' } })).toBe(false);
    expect(passes(filter, {})).toBe(false);
  });

  it('takes repeated values as alternatives and different filters together', () => {
    const filter = { risks: ['high', 'critical'], tools: ['rm'] };
    expect(passes(filter, { action: { tool: 'rm', risk_level: 'critical' } })).toBe(true);
    expect(passes(filter, { action: { tool: 'rm', risk_level: 'low' } })).toBe(false);
    expect(passes(filter, { action: { tool: 'ls', risk_level: 'high' } })).toBe(false);
  });

  it('matches type and session exactly', () => {
    expect(passes({ types: ['tool_execution'] }, {})).toBe(true);
    expect(passes({ types: ['file_access'] }, {})).toBe(false);
    expect(passes({ sessions: ['s1'] }, { session_id: 's1' })).toBe(true);
    expect(passes({ sessions: ['s1'] }, { session_id: 's10' })).toBe(false);
  });

  it('includes both ends of a time range', () => {
    const at = Date.parse('2026-03-01T12:00:00.500Z');
    expect(passes({ sinceMs: at, untilMs: at }, {})).toBe(true);
    expect(passes({ sinceMs: at + 1 }, {})).toBe(false);
    expect(passes({ untilMs: at - 1 }, {})).toBe(false);
  });

  it('knows every kind of violation', () => {
    const filter = { violationsOnly: true };
    expect(passes(filter, {})).toBe(false);
    expect(
      passes(filter, { security: { policy_violation: false }, action: { allowed: true } }),
    ).toBe(false);
    expect(passes(filter, { security: { policy_violation: true } })).toBe(true);
    expect(passes(filter, { action: { allowed: false } })).toBe(true);
    for (const type of ['policy_violation', 'rate_limit_hit', 'ssrf_block', 'injection_block']) {
      expect(passes(filter, { event_type: type })).toBe(true);
    }
    expect(passes(filter, { event_type: 'auth_failure' })).toBe(false);
  });

  it('is not deceived by members of an unexpected type', () => {
    expect(passes({ users: ['ann'] }, { actor: 'ann' })).toBe(false);
    expect(passes({ users: ['ann'] }, { actor: null })).toBe(false);
    expect(passes({ tools: ['x'] }, { action: { tool: { preview: 'x' } } })).toBe(false);
    expect(passes({ violationsOnly: true }, { action: { allowed: 'false' } })).toBe(false);
  });
});
