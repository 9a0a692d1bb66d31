import * as path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type HookMaker, messageBytesMax } from './hook.js';
import { readLockNote } from './lock.js';
import { type AuditLog, openAuditLog } from './log.js';
import { encodeEvent } from './record.js';
import { type Folders, temporaryLog } from './testing/folders.js';
import { RawClient } from './testing/raw-client.js';

const poll = { timeout: 20_000, interval: 10 };
const client = (letter: string): string => letter.repeat(32);

async function open(log: Folders, hook?: HookMaker): Promise<AuditLog> {
  const opened = await openAuditLog({ ...log, hook });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

function connect(log: Folders): RawClient {
  const raw = new RawClient(readLockNote(path.join(log.dir, 'lock')).socket!);
  onTestFinished(() => void raw.socket.destroy());
  return raw;
}

async function welcomed(log: Folders, name = client('a')): Promise<RawClient> {
  const raw = connect(log);
  raw.hello({ client: name });
  await expect.poll(() => raw.of('welcome').length, poll).toBe(1);
  return raw;
}

const echo: HookMaker = () => ({ answer: (message) => `${message}!` });

describe('a flood', () => {
  /** Keeps the socket of a client full; returns what ends that. */
  function pour(raw: RawClient, send: () => void): () => void {
    let pouring = true;
    const more = (): void => {
      while (pouring && raw.socket.writable && raw.socket.writableLength < 4 * 1024 * 1024) send();
      if (pouring) setTimeout(more, 5);
    };
    more();
    return () => {
      pouring = false;
    };
  }

  /** The median of 20 times, in ms. */
  async function median(act: () => Promise<unknown>): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const since = performance.now();
      await act();
      times.push(performance.now() - since);
    }
    return times.sort((a, b) => a - b)[10]!;
  }

  test('of messages starves neither records nor the messages of others', async () => {
    const log = temporaryLog();
    await open(log, echo);
    const flood = await welcomed(log);
    const polite = await open(log);
    let id = 0;
    const before = flood.socket.bytesWritten;
    let mostAhead = 0;
    const stop = pour(flood, () => {
      const sent = flood.socket.bytesWritten - before - flood.socket.writableLength;
      const each = (flood.socket.bytesWritten - before) / Math.max(id, 1);
      mostAhead = Math.max(mostAhead, sent - each * flood.answers);
      flood.consult(id++ % 2 ** 32, 'x'.repeat(1_000));
    });
    expect(await median(() => polite.consult('a'))).toBeLessThan(500);
    expect(await median(() => polite.append({ eventType: 'a.b' }))).toBeLessThan(1_000);
    expect(flood.closed).toBe(false);
    expect(flood.answers).toBeGreaterThan(100);
    // It is not read faster than it is answered, but for what sockets and queues hold.
    expect(mostAhead).toBeLessThan(2_000_000);
    stop();
  }, 60_000);

  test('of messages that are never answered keeps nobody else from being answered', async () => {
    const log = temporaryLog();
    await open(log, () => ({
      answer: (message) => (message === 'hang' ? new Promise(() => {}) : message),
    }));
    const floods = [];
    for (let at = 0; at < 12; at++) floods.push(await welcomed(log, at.toString(16).repeat(32)));
    for (const flood of floods) for (let id = 0; id < 200; id++) flood.consult(id, 'hang');
    const polite = await open(log);
    for (let i = 0; i < 5; i++) expect((await polite.consult('a')).answer).toBe('a');
  }, 60_000);

  test('of records starves no messages', async () => {
    const log = temporaryLog();
    await open(log, echo);
    const flood = await welcomed(log);
    const polite = await open(log);
    const details = { text: 'x'.repeat(1_000) };
    const body = (): string => encodeEvent({ eventType: 'test.event', details }, 'raw').text;
    const stop = pour(flood, () => flood.append(Array.from({ length: 50 }, body)));
    await expect.poll(() => flood.of('outcomes').length, poll).toBeGreaterThan(3);
    expect(await median(() => polite.consult('a'))).toBeLessThan(500);
    stop();
    expect(flood.of('outcomes').length).toBeGreaterThan(0);
  }, 60_000);
});

test('who reads no answers is not read any more, then sent away; others are answered', async () => {
  const log = temporaryLog();
  await open(log, () => ({ answer: () => 'x'.repeat(messageBytesMax) }));
  const deaf = await welcomed(log);
  deaf.socket.pause();
  const polite = await open(log);
  let id = 0;
  const pour = setInterval(() => {
    for (let i = 0; i < 1_000 && deaf.socket.writableLength < 100_000; i++) deaf.consult(id++, '');
  }, 5);
  onTestFinished(() => clearInterval(pour));
  const since = performance.now();
  while (!deaf.socket.destroyed && performance.now() - since < 40_000) {
    expect((await polite.consult('a')).answer).toHaveLength(messageBytesMax);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(deaf.socket.destroyed).toBe(true);
}, 60_000);
