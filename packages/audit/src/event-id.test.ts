import { expect, test, vi } from 'vitest';
import { uuidv7 } from './event-id.js';

test('an id is a UUIDv7: version, variant, and the milliseconds in front', () => {
  const before = Date.now();
  const ids = Array.from({ length: 2_000 }, () => uuidv7());
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
    expect(uuidv7().slice(0, 15)).toBe('01234567-89ab-7');
    vi.setSystemTime(0x0123_4567_89ac);
    expect(uuidv7().slice(0, 15)).toBe('01234567-89ac-7');
    vi.setSystemTime(1);
    expect(uuidv7().slice(0, 15)).toBe('00000000-0001-7');
  } finally {
    vi.useRealTimers();
  }
});
