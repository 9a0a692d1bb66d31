import { fork } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { FrameReader, jsonFrame } from './frames.js';
import { tryTakeLock } from './lock.js';
import { type AuditLog, openAuditLog } from './log.js';
import type { AuditLogOptions } from './options.js';
import { fromDoor, protocolVersion, toDoor } from './relay-messages.js';
import type { LogRecord } from './stored-record.js';
import { audit, numbered, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { type Folders, linesOf, packageRoot, temporaryLog } from './testing/folders.js';

async function open(log: Folders, options: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
  const opened = await openAuditLog({ ...log, ...options });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

/** A program that appends `count` numbered events, a hundred in flight, and says `done`. */
function program(log: Folders, first: number, count: number, end: string): string {
  const index = pathToFileURL(path.join(packageRoot, 'dist', 'index.js')).href;
  const file = path.join(path.dirname(log.dir), `program-${first}.mjs`);
  fs.writeFileSync(
    file,
    `import { openAuditLog } from ${JSON.stringify(index)};
    const log = await openAuditLog(${JSON.stringify(log)});
    let n = ${first};
    const lane = async () => { while (n < ${first + count}) await log.append({ eventType: 'test.event', details: { number: n++ } }); };
    await Promise.all(Array.from({ length: 100 }, lane));
    await log.close();
    ${end}`,
  );
  return file;
}

async function expectAll(log: Folders, count: number): Promise<void> {
  const numbers = records(log)
    .filter((record) => record.event_type === 'test.event')
    .map((record) => Number(record.details?.['number']));
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
}

test('threads of one process share a log', async () => {
  const log = temporaryLog();
  await Promise.all(
    [0, 1, 2].map(
      (at) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(program(log, at * 1_000, 1_000, ''));
          worker.on('error', reject);
          worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
        }),
    ),
  );
  await expectAll(log, 3_000);
});

test('a forked process shares its parent’s log, and takes it over', async () => {
  const log = temporaryLog();
  const parent = await open(log);
  const child = fork(program(log, 500, 2_000, 'process.disconnect();'));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await Promise.all(numbered(0, 500).map((event) => parent.append(event)));
  await parent.close();
  expect(await ended).toBe(0);
  await expectAll(log, 2_500);
});

test('a parent that does nothing else but compute keeps nobody waiting', async () => {
  const log = temporaryLog();
  await open(log);
  const child = fork(program(log, 0, 500, 'process.disconnect();'));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // Long enough to count as silent, were it this thread that had to answer.
  for (const until = performance.now() + 5_000; performance.now() < until; );
  expect(await ended).toBe(0);
  await expectAll(log, 500);
}, 60_000);

test('closes of one log after another leave no more openings than there were writers', async () => {
  const log = temporaryLog();
  const logs = [];
  for (let i = 0; i < 5; i++) logs.push(await open(log));
  await Promise.all(logs.map((one) => one.append({ eventType: 'a.b' })));
  for (const one of logs) await one.close();
  // Nobody had anything to say after the first was closed.
  expect(records(log).map((record) => record.event_type)).toEqual([
    ...['log.opened', 'a.b', 'a.b', 'a.b', 'a.b', 'a.b', 'log.closed'],
  ]);
});

test('what is asked for when the writer ends is answered by the next', async () => {
  const log = temporaryLog();
  const first = await open(log);
  const second = await open(log);
  await second.append({ eventType: 'a.b' });
  const closing = first.close();
  const note = second.checkpoint();
  const sealed = second.rotate();
  await closing;
  expect(await note).toContain(second.origin);
  expect(await sealed).toBeDefined();
  await second.close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok' });
});

test('who does not write the log has it deleted what may go', async () => {
  const log = temporaryLog();
  const first = await open(log, { segmentBytesMax: 32_768, retention: { recordsMax: 300 } });
  const second = await open(log);
  await Promise.all(numbered(0, 700).map((event) => second.append(event)));
  // The writer deletes by itself too; whatever that has left is gone when the answer comes.
  const removed = await second.prune();
  for (const one of removed) expect(Object.keys(one)).toEqual(['firstSeq', 'lastSeq', 'reason']);
  expect(await second.prune({ dryRun: true })).toEqual([]);
  expect(fs.existsSync(path.join(log.dir, 'segments', `${'0'.repeat(20)}.jsonl`))).toBe(false);
  await second.close();
  await first.close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok', pruned: [{ reason: 'records' }] });
});

test('who wants records on disk is not served by a writer that syncs them later', async () => {
  const log = temporaryLog();
  await open(log, { durability: 'interval' });
  await expect(openAuditLog(log)).rejects.toMatchObject({
    code: 'bad_option',
    member: 'durability',
  });
  const same = await open(log, { durability: 'interval' });
  expect(await same.append({ eventType: 'a.b' })).toMatchObject({ seq: 1 });
});

test('large events and many in flight go over the socket as they go over a thread', async () => {
  const log = temporaryLog();
  await open(log);
  const second = await open(log);
  const text = 'x'.repeat(60_000);
  const done = await Promise.all(
    numbered(0, 300).map((event) => second.append({ ...event, source: text })),
  );
  expect(done.map(({ seq }) => seq)).toEqual(done.map((_, i) => i + 1));
  const cut = await second.append({ eventType: 'a.b', action: { command: 'y'.repeat(200_000) } });
  expect(cut.openings).toHaveLength(1);
  expect(await second.append({ eventType: 'a.b' })).toMatchObject({ seq: 302 });
});

test('what a writer had written and not acknowledged when it went away is found, not written again', async () => {
  const log = temporaryLog();
  const writer = openDirect(log);
  const socketPath = path.join(fs.mkdtempSync(path.join(path.dirname(log.dir), 's-')), 's');
  const lock = tryTakeLock(path.join(log.dir, 'lock'), socketPath);
  const origin = fs.readFileSync(path.join(log.keysDir, 'origin'), 'utf8').trim();
  const publicKey = publicKeyOf(log);
  // A writer that dies in the worst moment: everything is on disk, and nobody was told.
  const server = createServer((socket) => {
    const reader = new FrameReader((kind, payload) => {
      if (kind === toDoor.hello) {
        const facts = { origin, publicKey, durability: 'sync', size: writer.seq, pid: process.pid };
        socket.write(jsonFrame(fromDoor.welcome, { protocol: protocolVersion, ...facts }));
        return;
      }
      const count = payload.toString('utf8').split('\n').length - 1;
      writer.append(Buffer.from(payload), count, { durable: () => {}, failed: () => {} });
      writer.close();
      lock?.release();
      server.close();
      socket.destroy();
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const client = await open(log);
  const done = await Promise.all(numbered(0, 3).map((event) => client.append(event)));
  expect(done.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  await client.append({ eventType: 'test.event', details: { number: 3 } });
  await client.close();
  await expectAll(log, 4);
});
