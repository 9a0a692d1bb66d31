import type { LogRecord } from '@gatebook/audit';

/** A record as the log's reader gives it, with what a test wants to say about it; for tests only. */
export function fixtureRecord(members: Readonly<Record<string, unknown>> = {}): LogRecord {
  return {
    seq: 7,
    timestamp: '2026-03-01T12:00:00.500Z',
    event_id: 'evt_0195a1b2-0000-7000-8000-000000000001',
    event_type: 'tool_execution',
    emitter: 'pid:1',
    epoch: 0,
    prev_hash: '0'.repeat(64),
    hash: 'f'.repeat(64),
    ...members,
  } as unknown as LogRecord;
}
