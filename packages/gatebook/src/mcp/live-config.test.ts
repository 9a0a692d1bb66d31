import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditEvent } from '@gatebook/audit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Ledger } from './ledger.js';
import { LiveConfig } from './live-config.js';

/** What is not to be seen from outside: a log that fails while the configuration changes, and a file that is half written. */

let folder: string;
let file: string;
let told: string[];
let events: AuditEvent[];
let fails: boolean;
let live: LiveConfig;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-live-'));
  mkdirSync(join(folder, 'gatebook'));
  mkdirSync(join(folder, 'cwd'));
  file = join(folder, 'gatebook', 'config.toml');
  told = [];
  events = [];
  fails = false;
});
afterEach(() => {
  live.end();
  rmSync(folder, { recursive: true, force: true });
});

function start(): void {
  live = new LiveConfig({
    env: { XDG_CONFIG_HOME: folder },
    cwd: join(folder, 'cwd'),
    loaded: undefined,
    settingsOf: async () => ({ limits: [], rules: {} }),
  });
  const book = {
    append: async (event: AuditEvent) => {
      if (fails) throw new Error('no room');
      events.push(event);
    },
    consult: async () => ({ answer: '{}' }),
    drained: async () => {},
    close: async () => {},
  };
  const report = (line: string): void => void told.push(line);
  const ledger = new Ledger({ open: async () => book, onLogFailure: 'refuse', report });
  live.start({ ledger, change: () => {}, sessionId: 's', report });
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !what(); tries++) await sleep(20);
  expect(what(), told.join('\n')).toBe(true);
}

function write(text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}

it('does not go by a change that cannot be recorded', async () => {
  start();
  fails = true;
  write('[security.audit]\nlog_commands = false\n');
  await until(() => told.some((line) => line.includes('cannot be recorded, the one before stays')));
  expect(live.recording().logCommands).toBe(true);
});

it('waits until a file has come to rest: an emptied one is no configuration', async () => {
  write('[security.audit]\nlog_commands = false\nrotate = "daily"\n');
  start();
  write('[security.audit]\nlog_commands = false\n');
  await until(() => events.length === 1);
  expect(live.recording().logCommands).toBe(false);
  for (let step = 0; step < 5; step++) {
    write('#'.repeat(step));
    await sleep(30);
  }
  write('[security.audit]\nlog_commands = false\nlog_file_access = false\n');
  await until(() => !live.recording().logFileAccess);
  const changes = events.slice(1).flatMap((event) => event.details?.['changes']);
  expect(changes).toHaveLength(1);
});

it('ends with the gate: what changes then is nobody’s business', async () => {
  start();
  live.end();
  write('[security.audit]\nlog_commands = false\n');
  await sleep(400);
  expect(live.recording().logCommands).toBe(true);
  expect(told).toEqual([]);
});
