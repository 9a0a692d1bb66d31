import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseCheckpointText, parseNote } from './checkpoint.js';
import { AuditError } from './errors.js';
import { type AuditLog, openAuditLog } from './log.js';
import type { AuditLogOptions } from './options.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import {
  type Folders,
  linesOf,
  packageRoot,
  segmentFiles,
  temporaryLog,
} from './testing/folders.js';

async function open(log: Folders, options: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
  const opened = await openAuditLog({ ...log, ...options });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AuditError) return error.code;
    throw error;
  }
  return 'fulfilled';
}

describe('append', () => {
  test('an acknowledged record is in the file with the seq that was told', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const done = await opened.append({ eventType: 'test.event', details: { a: 1 } });
    expect(done).toEqual({
      seq: 1,
      eventId: expect.stringMatching(/^evt_/),
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      openings: [],
    });
    const record = JSON.parse(linesOf(log.dir)[1]!) as LogRecord;
    expect(record).toMatchObject({
      seq: 1,
      event_id: done.eventId,
      timestamp: done.timestamp,
      emitter: `pid:${process.pid}`,
    });
    await opened.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('a thousand at once are acknowledged in the order they were handed in', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const told: number[] = [];
    const done = await Promise.all(
      numbered(0, 1_000).map(async (event) => {
        const { seq } = await opened.append(event);
        told.push(seq);
        return seq;
      }),
    );
    expect(done).toEqual(done.map((_, i) => i + 1));
    expect(told).toEqual(done);
    const stored = records(log).filter((record) => record.event_type === 'test.event');
    expect(stored.map((record) => record.details?.['number'])).toEqual(done.map((_, i) => i));
  });

  test('each helper records its own type', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const helpers = [
      ...(['commandExecution', 'toolExecution', 'fileAccess', 'configChange'] as const),
      ...(['authSuccess', 'authFailure', 'authLogin', 'authLogout', 'authRefresh'] as const),
      ...(['policyViolation', 'securityEvent', 'rateLimitHit', 'ssrfBlock'] as const),
      'injectionBlock' as const,
    ];
    await Promise.all(helpers.map((helper) => opened[helper]({ source: helper })));
    for (const record of records(log).slice(1)) {
      const source = record.source ?? '';
      const type = source.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      expect(record.event_type).toBe(type);
    }
    expect(records(log)).toHaveLength(1 + helpers.length);
  });

  test('what cannot be recorded is refused by name, and the log is unharmed', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    await expect(
      opened.append({ eventType: 'a.b', details: { n: 1n as never } }),
    ).rejects.toMatchObject({ name: 'AuditError', code: 'bigint', member: 'details.n' });
    await expect(opened.append(undefined as never)).rejects.toMatchObject({ code: 'wrong_type' });
    expect(await opened.append({ eventType: 'a.b' })).toMatchObject({ seq: 1 });
    await opened.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', records: 3 });
  });

  test('an event whose reading closes the log is refused, not lost without a word', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const event = {
      eventType: 'a.b' as const,
      get source(): string {
        void opened.close();
        return 'x';
      },
    };
    expect(await codeOf(opened.append(event))).toBe('log_closed');
    await opened.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok' });
  });
});

describe('the queue', () => {
  test('is bounded in records: queue_full beyond, drained() when half is written, then it takes more', async () => {
    const log = temporaryLog();
    const opened = await open(log, { queueRecordsMax: 10 });
    const all = numbered(0, 25).map((event) => codeOf(opened.append(event)));
    await opened.drained();
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('fulfilled');
    const codes = await Promise.all(all);
    expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'fulfilled'));
    expect(codes.slice(10)).toEqual(Array.from({ length: 15 }, () => 'queue_full'));
    await opened.drained();
  });

  test('is bounded in bytes', async () => {
    const log = temporaryLog();
    const opened = await open(log, { queueBytesMax: 65_536 });
    const event = { eventType: 'a.b' as const, details: { text: 'x'.repeat(30_000) } };
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(opened.append(event))));
    expect(codes).toEqual(['fulfilled', 'fulfilled', 'queue_full']);
    await opened.drained();
    expect(await codeOf(opened.append(event))).toBe('fulfilled');
  });

  test('counts what it holds for the openings of cut content', async () => {
    const log = temporaryLog();
    const opened = await open(log, { queueBytesMax: 1024 * 1024 });
    const event = { eventType: 'a.b' as const, action: { command: 'x'.repeat(900_000) } };
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(opened.append(event))));
    expect(codes).toContain('queue_full');
  });

  test('takes one event of any allowed size when nothing is waiting, so that waiting for it ends', async () => {
    const log = temporaryLog();
    const opened = await open(log, { queueBytesMax: 65_536 });
    const event = { eventType: 'a.b' as const, action: { command: 'x'.repeat(200_000) } };
    for (let i = 0; i < 3; i++) {
      await opened.drained();
      expect(await codeOf(opened.append(event))).toBe('fulfilled');
    }
  });

  test('a producer that waits for drained() loses nothing', async () => {
    const log = temporaryLog();
    const opened = await open(log, { queueRecordsMax: 16 });
    const done: Promise<unknown>[] = [];
    for (const event of numbered(0, 200)) {
      for (;;) {
        const appended = opened.append(event);
        const code = await Promise.race([
          codeOf(appended),
          new Promise<string>((resolve) => setImmediate(resolve, 'taken')),
        ]);
        if (code !== 'queue_full') {
          done.push(appended);
          break;
        }
        await opened.drained();
      }
    }
    await Promise.all(done);
    await opened.close();
    const stored = records(log).filter((record) => record.event_type === 'test.event');
    expect(stored.map((record) => record.details?.['number'])).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    );
  });
});

describe('checkpoint', () => {
  test('covers everything that was acknowledged before', async () => {
    const log = temporaryLog();
    const opened = await open(log, { checkpointIntervalMs: 60_000 });
    const { seq } = await opened.append({ eventType: 'a.b' });
    const later = opened.append({ eventType: 'a.b' });
    const note = await opened.checkpoint();
    const checkpoint = parseCheckpointText(parseNote(Buffer.from(note)).text);
    expect(checkpoint.origin).toBe(opened.origin);
    expect(checkpoint.size).toBeGreaterThan(seq);
    expect(fs.readFileSync(path.join(log.dir, 'checkpoint'), 'utf8')).toBe(note);
    await later;
    expect(await audit(log, { held: [{ name: 'held', note }] })).toMatchObject({ verdict: 'ok' });
  });

  test('comes by itself within the interval', async () => {
    const log = temporaryLog();
    const opened = await open(log, { checkpointIntervalMs: 50 });
    const { seq } = await opened.append({ eventType: 'a.b' });
    const sizeNow = (): number =>
      parseCheckpointText(parseNote(fs.readFileSync(path.join(log.dir, 'checkpoint'))).text).size;
    await expect.poll(sizeNow, { timeout: 5_000 }).toBeGreaterThan(seq);
  });
});

describe('close', () => {
  test('writes what is in flight, log.closed and a last checkpoint; further calls are the same promise', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const appended = numbered(0, 50).map((event) => opened.append(event));
    const closing = opened.close();
    expect(opened.close()).toBe(closing);
    await closing;
    expect((await Promise.all(appended)).map(({ seq }) => seq)).toEqual(
      appended.map((_, i) => i + 1),
    );
    expect(records(log).at(-1)).toMatchObject({ seq: 51, event_type: 'log.closed' });
    expect(await audit(log)).toMatchObject({ verdict: 'ok', records: 52, size: 52, pending: 0 });
  });

  test('afterwards everything is log_closed, and the log can be opened again', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const closing = opened.close();
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('log_closed');
    await closing;
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('log_closed');
    expect(await codeOf(opened.checkpoint())).toBe('log_closed');
    await opened.drained();
    await (await open(log)).close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', epochs: 2 });
  });
});

test('however busy the machine is, a log that was closed is not reported as failed', async () => {
  const closed = await Promise.allSettled(
    Array.from({ length: 12 }, async () => {
      const opened = await openAuditLog(temporaryLog());
      const appended = opened.append({ eventType: 'a.b' });
      await opened.close();
      return (await appended).seq;
    }),
  );
  for (const one of closed) expect(one).toEqual({ status: 'fulfilled', value: 1 });
});

describe('one writer', () => {
  test('a second opening in the same process appends through the first, and closing it closes nothing else', async () => {
    const log = temporaryLog();
    const first = await open(log);
    const second = await open(log);
    expect([second.origin, second.publicKey]).toEqual([first.origin, first.publicKey]);
    expect(second.forwardSecurity).toEqual(first.forwardSecurity);
    expect(await second.append({ eventType: 'a.b' })).toMatchObject({ seq: 1 });
    expect(await first.append({ eventType: 'a.b' })).toMatchObject({ seq: 2 });
    const note = parseCheckpointText(parseNote(Buffer.from(await second.checkpoint())).text);
    expect(note.size).toBe(3);
    await second.close();
    expect(await codeOf(second.append({ eventType: 'a.b' }))).toBe('log_closed');
    expect(await first.append({ eventType: 'a.b' })).toMatchObject({ seq: 3 });
    await first.close();
    expect(records(log).map((record) => record.event_type)).toEqual([
      ...['log.opened', 'a.b', 'a.b', 'a.b', 'log.closed'],
    ]);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('the second takes over when the first is closed, and what it had in flight is there once', async () => {
    const log = temporaryLog();
    const first = await open(log);
    const second = await open(log);
    const appended = numbered(0, 2_000).map((event) => second.append(event));
    await appended[0];
    await first.close();
    await Promise.all(appended);
    await second.close();
    const stored = records(log).filter((record) => record.event_type === 'test.event');
    expect(stored.map((record) => record.details?.['number'])).toEqual(
      Array.from({ length: 2_000 }, (_, i) => i),
    );
    for (const [i, { seq }] of (await Promise.all(appended)).entries()) {
      expect(stored[i]?.seq).toBe(seq);
    }
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('two logs cannot share a keys folder at a time', async () => {
    const log = temporaryLog();
    await open(log);
    expect(await codeOf(openAuditLog({ dir: `${log.dir}-2`, keysDir: log.keysDir }))).toBe(
      'log_locked',
    );
  });

  test('ten first starts at once make one key set and one chain, and all can append', async () => {
    const log = temporaryLog();
    const logs = await Promise.all(Array.from({ length: 10 }, () => openAuditLog(log)));
    expect(new Set(logs.map((one) => one.publicKey)).size).toBe(1);
    const done = await Promise.all(logs.map((one) => one.append({ eventType: 'a.b' })));
    expect(new Set(done.map(({ seq }) => seq)).size).toBe(10);
    await Promise.all(logs.map((one) => one.close()));
    const types = records(log).map((record) => record.event_type);
    expect(types.filter((type) => type === 'a.b')).toHaveLength(10);
    expect(types.filter((type) => type === 'log.opened')).toHaveLength(1);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });
});

describe('forward security', () => {
  test('is off while the initial key lies on the host, on once it was moved', async () => {
    const log = temporaryLog();
    const file = path.join(log.keysDir, 'initial-hmac-key');
    const first = await open(log);
    expect(first.forwardSecurity).toEqual({ on: false, initialKeyFile: file });
    await first.close();
    const hmacKey = fs.readFileSync(file, 'utf8');
    const off = await audit(log);
    expect(off.forwardSecurity).toEqual({ on: false, initialKeyFile: 'initial-hmac-key' });
    fs.rmSync(file);
    const second = await open(log);
    expect(second.forwardSecurity).toEqual({ on: true });
    expect([second.origin, second.publicKey]).toEqual([first.origin, first.publicKey]);
    await second.close();
    const { verifyLog } = await import('./verify.js');
    const on = await verifyLog({ dir: log.dir, publicKeys: [first.publicKey], hmacKey });
    expect(on).toMatchObject({ verdict: 'ok', forwardSecurity: { on: true } });
  });
});

describe('what cannot be opened', () => {
  test('options that cannot work, folders in each other', async () => {
    const log = temporaryLog();
    expect(await codeOf(openAuditLog({ ...log, epochMs: -1 }))).toBe('bad_option');
    const inside = { dir: log.dir, keysDir: path.join(log.dir, 'keys') };
    expect(await codeOf(openAuditLog(inside))).toBe('bad_option');
    fs.mkdirSync(log.dir, { recursive: true, mode: 0o700 });
    fs.mkdirSync(path.join(log.dir, 'hidden'), { mode: 0o700 });
    fs.symlinkSync(path.join(log.dir, 'hidden'), log.keysDir);
    expect(await codeOf(openAuditLog(log))).toBe('bad_option');
  });

  test('a path that is a file: an AuditError, and no thread is left', async () => {
    const log = temporaryLog();
    fs.writeFileSync(log.dir, '');
    expect(await codeOf(openAuditLog(log))).toMatch(/^[a-z_]+$/);
  });
});

/** Runs a program with this package as `audit`, and says how it ended. */
function run(
  program: string,
  flags: readonly string[] = [],
): Promise<{
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  ms: number;
}> {
  const index = pathToFileURL(path.join(packageRoot, 'dist', 'index.js')).href;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [
        ...flags,
        '--input-type=module',
        '-e',
        `import * as audit from ${JSON.stringify(index)};\n${program}`,
      ],
      { timeout: 20_000 },
      (_, stdout, stderr) => {
        const ms = performance.now() - started;
        resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr, ms });
      },
    );
  });
}

/** As `run`, from a file, as most programs are. */
async function runFile(log: Folders, program: string): ReturnType<typeof run> {
  const file = path.join(path.dirname(log.dir), 'program.mjs');
  const index = pathToFileURL(path.join(packageRoot, 'dist', 'index.js')).href;
  const started = performance.now();
  fs.writeFileSync(
    file,
    `import * as audit from ${JSON.stringify(index)};\nconst log = await audit.openAuditLog(${JSON.stringify(log)});\n${program}`,
  );
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file], { timeout: 20_000 }, (_, stdout, stderr) => {
      const ms = performance.now() - started;
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr, ms });
    });
  });
}

describe('the process', () => {
  test('ends by itself when the log was not closed, and the log is then closed cleanly', async () => {
    const log = temporaryLog();
    const ended = await runFile(log, `await log.append({ eventType: 'a.b' });`);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(records(log).map((record) => record.event_type)).toEqual([
      ...['log.opened', 'a.b', 'log.closed'],
    ]);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('does not end before what was appended without awaiting is written', async () => {
    const log = temporaryLog();
    const program = `for (let n = 0; n < 300; n++) log.append({ eventType: 'test.event', details: { n } });`;
    expect(await runFile(log, program)).toMatchObject({ code: 0, signal: null });
    expect(records(log)).toHaveLength(302);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('that calls process.exit ends at once; the log opens again and says what happened', async () => {
    const log = temporaryLog();
    const program = `await log.append({ eventType: 'a.b' }); process.exit(7);`;
    expect(await runFile(log, program)).toMatchObject({ code: 7, signal: null });
    await (await open(log)).close();
    expect(records(log).map((record) => record.event_type)).toEqual([
      ...['log.opened', 'a.b', 'log.recovered', 'log.epoch', 'log.opened', 'log.closed'],
    ]);
    expect(await audit(log)).toMatchObject({ verdict: 'ok' });
  });

  test('killed at full load loses nothing that was acknowledged', async () => {
    const log = temporaryLog();
    const program = `let n = 0;
      const next = async () => { for (;;) { const { seq } = await log.append({ eventType: 'test.event', details: { n: n++ } });
        process.stdout.write(seq + '\\n'); if (seq > 3_000) process.kill(process.pid, 'SIGKILL'); } };
      for (let i = 0; i < 64; i++) next();`;
    const ended = await runFile(log, program);
    expect(ended.signal).toBe('SIGKILL');
    const told = ended.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
    await (await open(log)).close();
    const found = new Set(
      records(log)
        .filter((record) => record.event_type === 'test.event')
        .map((record) => record.seq),
    );
    for (const seq of told) expect(found.has(seq)).toBe(true);
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('may be a program given on the command line: its flags are not the thread’s', async () => {
    const log = temporaryLog();
    const ended = await run(
      `const log = await audit.openAuditLog(${JSON.stringify(log)}); await log.append({ eventType: 'a.b' }); await log.close();`,
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('may have many logs open without a warning', async () => {
    const log = temporaryLog();
    const ended = await runFile(
      log,
      `await Promise.all(Array.from({ length: 11 }, (_, i) => audit.openAuditLog({ dir: ${JSON.stringify(log.dir)} + i, keysDir: ${JSON.stringify(log.keysDir)} + i })));`,
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
  });
});

test('a log that a writer on this thread left unclosed is taken up by the thread’s', async () => {
  const log = temporaryLog();
  appendEvents(openDirect(log), numbered(0, 5));
  const opened = await open(log);
  expect(await opened.append({ eventType: 'a.b' })).toMatchObject({ seq: 9 });
  await opened.close();
  expect(segmentFiles(log.dir)).toHaveLength(1);
  expect(await audit(log)).toMatchObject({ verdict: 'ok' });
});
