import type { AuditEvent } from '@gatebook/audit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Stops } from './stops.js';

let recorded: unknown[];
let stops: Stops;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  recorded = [];
  stops = new Stops({
    fact: async ({ sessionId, details }: AuditEvent) => {
      recorded.push([sessionId, details?.['refused']]);
      return true;
    },
  });
});

afterEach(() => {
  vi.useRealTimers();
});

async function refuse(session: string, times: number): Promise<void> {
  const answer = { open: true, why: 'failures', bound: 3, opens: false } as const;
  for (let at = 0; at < times; at++) {
    await stops.record({ eventType: 'tool_execution', sessionId: session }, answer);
  }
}

test('what is counted only is recorded ten seconds later at the latest, once', async () => {
  await refuse('a', 3);
  await refuse('b', 1);
  vi.advanceTimersByTime(5_000);
  await refuse('b', 2);
  expect(recorded).toEqual([
    ['a', 1],
    ['b', 1],
  ]);
  vi.advanceTimersByTime(5_000);
  expect(recorded.slice(2)).toEqual([['a', 2]]);
  // There is one of each session in ten seconds.
  await refuse('a', 4);
  vi.advanceTimersByTime(5_000);
  expect(recorded.slice(3)).toEqual([['b', 2]]);
  await stops.flush();
  expect(recorded.slice(4)).toEqual([['a', 4]]);
  vi.advanceTimersByTime(60_000);
  expect(recorded).toHaveLength(5);
});

test('a refusal that comes when it is time has those before in its count', async () => {
  await refuse('a', 2);
  vi.advanceTimersByTime(9_000);
  await refuse('a', 1);
  vi.advanceTimersByTime(999);
  expect(recorded).toEqual([['a', 1]]);
  vi.advanceTimersByTime(1);
  expect(recorded).toEqual([
    ['a', 1],
    ['a', 2],
  ]);
  vi.advanceTimersByTime(10_000);
  await refuse('a', 1);
  expect(recorded.slice(2)).toEqual([['a', 1]]);
  vi.advanceTimersByTime(60_000);
  expect(recorded).toHaveLength(3);
});
