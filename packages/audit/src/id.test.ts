import { expect, test, vi } from 'vitest';
import { newId } from './id.js';

test('an id is a UUIDv7: version, variant, and the milliseconds in front', () => {
  const before = Date.now();
  const ids = Array.from({ length: 2_000 }, () => newId('call_').slice(5));
  const after = Date.now();
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const ms = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(after);
  }
});

test('ids of later milliseconds sort later, and a clock set back is followed', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    vi.setSystemTime(0x0123_4567_89ab);
    expect(newId('evt_').slice(0, 19)).toBe('evt_01234567-89ab-7');
    vi.setSystemTime(0x0123_4567_89ac);
    expect(newId('evt_').slice(0, 19)).toBe('evt_01234567-89ac-7');
    vi.setSystemTime(1);
    expect(newId('evt_').slice(0, 19)).toBe('evt_00000000-0001-7');
  } finally {
    vi.useRealTimers();
  }
});

test('every random digit takes every value, and each prefix stands in front', () => {
  const seen = Array.from({ length: 36 }, () => new Set<string>());
  for (let i = 0; i < 4_000; i++) {
    for (const [place, digit] of [...newId('ses_').slice(4)].entries()) seen[place]!.add(digit);
  }
  const random = [15, 16, 17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35];
  for (const place of random) expect(seen[place]!.size).toBe(16);
  expect([...seen[19]!].sort()).toEqual(['8', '9', 'a', 'b']);
  for (const prefix of ['evt_', 'cnt_', 'call_', 'ses_'] as const) {
    expect(newId(prefix)).toMatch(new RegExp(`^${prefix}[0-9a-f]{8}-`));
  }
});
