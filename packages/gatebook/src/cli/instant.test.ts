import { describe, expect, it } from 'vitest';
import { parseInstant } from './instant.js';

const now = Date.parse('2026-03-01T12:00:00.500Z');
const iso = (text: string, end: 'first' | 'last' = 'first'): string | undefined => {
  const ms = parseInstant(text, now, end);
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

describe('parseInstant', () => {
  it('counts spans back from now', () => {
    expect(iso('30s')).toBe('2026-03-01T11:59:30.500Z');
    expect(iso('15m')).toBe('2026-03-01T11:45:00.500Z');
    expect(iso('24h')).toBe('2026-02-28T12:00:00.500Z');
    expect(iso('7d')).toBe('2026-02-22T12:00:00.500Z');
    expect(iso('2w')).toBe('2026-02-15T12:00:00.500Z');
  });

  it('takes a day as its first or its last millisecond, in UTC', () => {
    expect(iso('2026-02-28')).toBe('2026-02-28T00:00:00.000Z');
    expect(iso('2026-02-28', 'last')).toBe('2026-02-28T23:59:59.999Z');
    expect(iso('2024-02-29')).toBe('2024-02-29T00:00:00.000Z');
  });

  it('takes RFC 3339 with its offset and fraction', () => {
    expect(iso('2026-02-28T10:20:30Z')).toBe('2026-02-28T10:20:30.000Z');
    expect(iso('2026-02-28t10:20:30.1234567z')).toBe('2026-02-28T10:20:30.123Z');
    expect(iso('2026-02-28T00:20:30+01:30')).toBe('2026-02-27T22:50:30.000Z');
    expect(iso('2026-02-28T23:00:00-02:00')).toBe('2026-03-01T01:00:00.000Z');
    expect(iso('0000-01-01T00:00:00Z')).toBe('0000-01-01T00:00:00.000Z');
  });

  it.each([
    '',
    'yesterday',
    '24',
    '24 h',
    '-1h',
    '1.5h',
    '9999999999h',
    '999999999w',
    '2026-02-30',
    '2026-13-01',
    '2026-2-3',
    '2026-02-28T10:20:30',
    '2026-02-28 10:20:30Z',
    '2026-02-28T24:00:00Z',
    '2026-02-28T10:60:00Z',
    '2026-02-28T10:20:60Z',
    '2026-02-28T10:20:30+24:00',
    '0000-01-01T00:00:00+01:00',
    '2026-02-28T10:20:30Z\n',
  ])('refuses %j', (text) => {
    expect(parseInstant(text, now, 'first')).toBeUndefined();
  });
});
