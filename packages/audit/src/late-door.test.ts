import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readLockNote } from './lock.js';
import { type AuditLog, openAuditLog } from './log.js';
import { audit } from './testing/direct-writer.js';
import { type Folders, temporaryLog } from './testing/folders.js';

async function open(log: Folders, doorDelayMs: number): Promise<AuditLog> {
  const opened = await openAuditLog({ ...log, doorDelayMs });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

function socketOf(log: Folders): string {
  return readLockNote(path.join(log.dir, 'lock')).socket!;
}

test('another is let in when the delay is over, and appends to the same chain', async () => {
  const log = temporaryLog();
  const first = await open(log, 400);
  expect(fs.existsSync(socketOf(log))).toBe(false);
  const since = performance.now();
  const second = await open(log, 400);
  expect(performance.now() - since).toBeGreaterThan(200);
  expect([first.isWriter, second.isWriter]).toEqual([true, false]);
  await second.append({ eventType: 'test.event' });
  await first.append({ eventType: 'test.event' });
  await second.close();
  await first.close();
  expect(fs.existsSync(socketOf(log))).toBe(false);
  expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
});

test('a log that is closed before has let nobody in, and the next opening waits for nothing', async () => {
  const log = temporaryLog();
  const first = await open(log, 1_000);
  await first.append({ eventType: 'test.event' });
  const since = performance.now();
  await first.close();
  expect(performance.now() - since).toBeLessThan(900);
  expect(fs.existsSync(socketOf(log))).toBe(false);
  const second = await open(log, 0);
  expect(second.isWriter).toBe(true);
  expect(fs.existsSync(socketOf(log))).toBe(true);
});

test('who waits takes over when the first ends before it lets anybody in', async () => {
  const log = temporaryLog();
  const first = await open(log, 1_000);
  const waiting = open(log, 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await first.close();
  expect((await waiting).isWriter).toBe(true);
});

test('a place for the socket that cannot be trusted is said at the opening, delay or not', async () => {
  const log = temporaryLog();
  const runtime = path.join(path.dirname(log.dir), 'runtime');
  fs.mkdirSync(path.join(runtime, 'gatebook'), { recursive: true });
  fs.chmodSync(path.join(runtime, 'gatebook'), 0o777);
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = runtime;
  try {
    await expect(open(log, 500)).rejects.toMatchObject({ code: 'bad_socket' });
  } finally {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
  }
  expect((await open(log, 500)).isWriter).toBe(true);
});
