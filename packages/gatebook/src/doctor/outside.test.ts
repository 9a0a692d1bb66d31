import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogExamination } from '@gatebook/audit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { defaultConfig } from '../config/load.js';
import type { AuditConfig } from '../config/schema.js';
import { checkOutside } from './outside.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'gatebook-outside-'));
  mkdirSync(join(dir, 'cosigned'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const log: LogExamination = {
  origin: 'o',
  segments: 1,
  bytes: 1,
  archives: 0,
  records: 9,
  unfinishedBytes: 0,
  lastType: 'a.b',
  lastTimestamp: '',
  checkpoint: { origin: 'o', size: 9, root: '', signed: true },
  writer: { state: 'none', pid: undefined },
  faults: [],
};
const nowMs = Date.parse('2026-06-01T12:00:00Z');

/** What is said of a witness or an anchor that confirmed `size` so long ago. */
function levelOf(kind: string, size: number, agoMs: number, audit: Partial<AuditConfig>): string {
  const confirmed = new Date(nowMs - agoMs).toISOString();
  const note = { kind, name: 'n', size, confirmed, tried: confirmed };
  writeFileSync(join(dir, 'cosigned', 'progress.json'), JSON.stringify([note]));
  const config = { ...defaultConfig().config.security.audit, ...audit };
  const [check] = checkOutside(dir, log, config, nowMs);
  return check!.level;
}

const hour = 3_600_000;
it('late is what missed three times, as often as it is sent to; what has everything never is', () => {
  expect(levelOf('witness', 8, 170_000, {})).toBe('ok');
  expect(levelOf('witness', 8, 190_000, {})).toBe('warn');
  expect(levelOf('witness', 9, 1000 * hour, {})).toBe('ok');
  expect(levelOf('witness', 8, 2 * hour, { witnessInterval: '1h' })).toBe('ok');
  expect(levelOf('witness', 8, 4 * hour, { witnessInterval: '1h' })).toBe('warn');
  expect(levelOf('anchor', 8, 29 * 60_000, {})).toBe('ok');
  expect(levelOf('anchor', 8, 31 * 60_000, {})).toBe('warn');
});
