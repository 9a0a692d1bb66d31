import * as fs from 'node:fs';
import { expect, test } from 'vitest';
import { openAuditLog } from './log.js';
import { listSegments } from './segment.js';
import { temporaryLog } from './testing/folders.js';
import { verifyLog } from './verify.js';
import { type ChunkTask, ChunkVerifier } from './verify-chunk.js';
import { VerifyMemory } from './verify-memory.js';

async function logOf(count: number) {
  const folders = temporaryLog();
  const log = await openAuditLog({ ...folders, segmentBytesMax: 4_096 });
  const event = { eventType: 'test.event', details: { text: 'x'.repeat(100) } } as const;
  await Promise.all(Array.from({ length: count }, () => log.append(event)));
  await log.close();
  return { ...folders, publicKeys: [log.publicKey] };
}

function taskOf(dir: string, more: Partial<ChunkTask> = {}): ChunkTask {
  const [segment] = listSegments(dir);
  const { path: file, firstSeq } = segment!;
  const whole = { from: 0, to: Number.POSITIVE_INFINITY, endsSegment: true };
  return { dir, path: file, firstSeq, ...whole, cuts: [], epochMax: 9, hmac: undefined, ...more };
}

test('what was read is known until its file, or what is asked of it, changes', async () => {
  const { dir } = await logOf(60);
  const memory = new VerifyMemory();
  const task = taskOf(dir);
  const result = new ChunkVerifier().verify(task);
  expect(result.count).toBeGreaterThan(4);
  const mark = memory.markOf(task);
  memory.remember(task, mark, result);
  expect(memory.recall(task, memory.markOf(task))).toBe(result);
  const cut = taskOf(dir, { cuts: [3] });
  expect(memory.recall(cut, memory.markOf(cut))).toBeUndefined();
  const elsewhere = taskOf(dir, { cuts: [result.count, 10_000] });
  expect(memory.recall(elsewhere, memory.markOf(elsewhere))).toBe(result);
  const other = taskOf(dir, { epochMax: 10 });
  expect(memory.recall(other, memory.markOf(other))).toBeUndefined();
  // Whoever puts the old times back cannot put back when that was done.
  const { atime, mtime } = fs.statSync(task.path);
  fs.utimesSync(task.path, atime, mtime);
  expect(memory.recall(task, memory.markOf(task))).toBeUndefined();
  memory.remember(task, memory.markOf(task), result);
  memory.forget();
  expect(memory.recall(task, memory.markOf(task))).toBeUndefined();
});

test('what is at fault is read anew each time', async () => {
  const { dir } = await logOf(60);
  const task = taskOf(dir);
  const bytes = fs.readFileSync(task.path);
  bytes[bytes.length >> 1]! ^= 1;
  fs.writeFileSync(task.path, bytes);
  const result = new ChunkVerifier().verify(task);
  expect(result.fault ?? result.leafMismatch).toBeDefined();
  const memory = new VerifyMemory();
  memory.remember(task, memory.markOf(task), result);
  expect(memory.recall(task, memory.markOf(task))).toBeUndefined();
});

test('a second look has the same report, and holds what the first one saw against an older copy', async () => {
  const log = await logOf(60);
  const older = `${log.dir}-older`;
  fs.cpSync(log.dir, older, { recursive: true, verbatimSymlinks: true });
  const writer = await openAuditLog(log);
  await writer.append({ eventType: 'test.event' });
  await writer.close();
  const memory = new VerifyMemory();
  const first = await verifyLog({ ...log, memory });
  expect(first.verdict).toBe('ok');
  expect(await verifyLog({ ...log, memory })).toEqual(first);
  const back = await verifyLog({ ...log, dir: older, memory });
  expect([back.verdict, back.findings[0]?.file ?? back.findings[0]?.reason]).toEqual([
    'rolled_back',
    expect.stringContaining('the look before'),
  ]);
  const [segment] = listSegments(log.dir);
  const bytes = fs.readFileSync(segment!.path);
  bytes[bytes.length >> 1]! ^= 1;
  fs.writeFileSync(segment!.path, bytes);
  expect((await verifyLog({ ...log, memory })).verdict).toBe('tampered');
  fs.rmSync(older, { recursive: true });
});
