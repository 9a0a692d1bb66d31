import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AuditError } from './errors.js';
import { frameBytesMax } from './frames.js';
import { readLockNote } from './lock.js';
import { type AuditLog, openAuditLog, serveAuditLog } from './log.js';
import { encodeEvent } from './record.js';
import { toDoor } from './relay-messages.js';
import type { LogRecord } from './stored-record.js';
import { audit, numbered } from './testing/direct-writer.js';
import { type Folders, linesOf, temporaryFolder, temporaryLog } from './testing/folders.js';
import { RawClient } from './testing/raw-client.js';
import { newToken } from './tokens.js';

async function open(log: Folders): Promise<AuditLog> {
  const opened = await openAuditLog(log);
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

function socketOf(log: Folders): string {
  return readLockNote(path.join(log.dir, 'lock')).socket!;
}

function guest(log: Folders): RawClient {
  const client = new RawClient(socketOf(log));
  onTestFinished(() => void client.socket.destroy());
  return client;
}

const poll = { timeout: 20_000, interval: 20 };

async function welcomed(log: Folders): Promise<RawClient> {
  const client = guest(log);
  client.hello();
  await expect.poll(() => client.of('welcome').length, poll).toBe(1);
  return client;
}

function body(n: number, details: Record<string, string> = {}): string {
  return encodeEvent({ eventType: 'test.event', details: { n, ...details } }, 'raw').text;
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

describe('who comes in', () => {
  test('is welcomed, and its records are acknowledged in order', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const client = await welcomed(log);
    expect(client.of('welcome')[0]).toMatchObject({
      origin: opened.origin,
      pid: process.pid,
      size: 1,
    });
    client.append([body(0), body(1)]);
    await expect
      .poll(() => client.of('outcomes'), poll)
      .toEqual([{ outcomes: [{ firstSeq: 1, count: 2 }] }]);
    expect(await opened.append({ eventType: 'a.b' })).toMatchObject({ seq: 3 });
  });

  test('with another version is told both versions', async () => {
    const log = temporaryLog();
    await open(log);
    const client = guest(log);
    client.hello({ protocol: 99 });
    await expect.poll(() => client.closed, poll).toBe(true);
    const [refused] = client.of('refused') as [{ error: { code: string; message: string } }];
    expect(refused.error.code).toBe('protocol_mismatch');
    expect(refused.error.message).toMatch(/version 99 .* version 5/);
  });

  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['zeros', Buffer.alloc(64)],
    ['a frame larger than any', Buffer.from([0x7f, 0xff, 0xff, 0xff, 2, 0])],
    ['an append before hello', Buffer.from([0, 0, 0, 3, 2, 0x78, 10])],
    ['a hello that is no JSON', Buffer.from([0, 0, 0, 3, 1, 0x7b, 0x7b])],
  ])('with %s is sent away, and the log goes on', async (_, bytes) => {
    const log = temporaryLog();
    const opened = await open(log);
    const client = guest(log);
    client.socket.write(bytes);
    await expect.poll(() => client.closed, poll).toBe(true);
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('fulfilled');
  });

  test('with half a frame harms nobody, nor does one that says nothing', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const client = await welcomed(log);
    client.socket.write(Buffer.from([0, 1, 0, 0, toDoor.append, 0x22]));
    const silent = guest(log);
    const polite = await open(log);
    expect(await codeOf(polite.append({ eventType: 'a.b' }))).toBe('fulfilled');
    await expect.poll(() => silent.closed, poll).toBe(true);
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('fulfilled');
  });
});

test('connections that say nothing keep nobody out', async () => {
  const log = temporaryLog();
  await open(log);
  const silent = Array.from({ length: 600 }, () => guest(log));
  await expect.poll(() => silent.filter((one) => one.closed).length, poll).toBeGreaterThan(100);
  const polite = await open(log);
  expect(await codeOf(polite.append({ eventType: 'a.b' }))).toBe('fulfilled');
}, 60_000);

test('a body that is no record’s is refused in its turn, by its member; the others are written', async () => {
  const log = temporaryLog();
  const opened = await open(log);
  const client = await welcomed(log);
  client.append([
    body(0),
    body(1).replace('"emitter":"raw"', '"emitter":"log"'),
    body(2).replace('"test.event"', '"log.closed"'),
    `${body(3)},"epoch":7`,
    body(4),
  ]);
  await expect
    .poll(() => client.of('outcomes').flatMap((one) => one['outcomes'] as []), poll)
    .toHaveLength(5);
  const outcomes = client.of('outcomes').flatMap((one) => one['outcomes'] as object[]);
  expect(outcomes).toMatchObject([
    { firstSeq: 1 },
    { error: { code: 'wrong_type', member: 'emitter' } },
    { error: { code: 'unknown_type', member: 'event_type' } },
    { error: { code: 'unknown_member' } },
    { firstSeq: 2 },
  ]);
  await opened.close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok', records: 4 });
});

test('who has a token may append, and neither erase, rotate nor delete', async () => {
  const log = temporaryLog();
  const { token, line } = newToken('agent');
  const tokenFile = path.join(temporaryFolder(), 'tokens');
  fs.writeFileSync(tokenFile, line, { mode: 0o600 });
  const served = await serveAuditLog({ ...log, content: 'personal', tokenFile });
  const agent = await openAuditLog({ socket: served.socket, token });
  const actor = { userId: 'alice-4711' };
  await agent.append({ eventType: 'a.b', actor, result: { error: 'x'.repeat(300_000) } });
  expect(await codeOf(agent.erase('alice-4711'))).toBe('bad_token');
  expect(await codeOf(agent.rotate())).toBe('bad_token');
  expect(await codeOf(agent.prune())).toBe('bad_token');
  expect(await agent.checkpoint()).toContain(served.log.origin);
  expect((await served.log.erase('alice-4711')).contents).toBe(1);
  await agent.close();
  await served.log.close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok' });
});

describe('content that is handed in', () => {
  const line = (parts: object): string =>
    JSON.stringify({
      ref: 'cnt_01890000-0000-7000-8000-000000000000',
      member: 'result.output',
      salt: Buffer.alloc(32).toString('base64'),
      part: Buffer.from('content').toString('base64'),
      ...parts,
    });

  test('and is not of the form has its record refused; of the form but of no use it is dropped', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const client = await welcomed(log);
    const wrong = [{ ref: 'cnt_../../x' }, { salt: 'AAAA' }, { part: 7 }, { member: 'details.x' }];
    wrong.forEach((parts, n) => void client.append([line(parts), body(n)]));
    client.append(['{', body(4)]);
    client.append([line({}), line({}), body(5)]);
    const outcomes = (): object[] => client.of('outcomes').flatMap((one) => one['outcomes'] as []);
    await expect.poll(() => outcomes().length, poll).toBe(6);
    expect(outcomes()).toMatchObject([
      ...Array.from({ length: 5 }, () => ({ error: { code: 'protocol_mismatch' } })),
      { firstSeq: 1 },
    ]);
    await opened.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', records: 3 });
    expect(fs.existsSync(path.join(log.dir, 'content'))).toBe(false);
  });

  test('without end is sent away', async () => {
    const log = temporaryLog();
    const opened = await open(log);
    const client = await welcomed(log);
    const part = Buffer.alloc(48 * 1024).toString('base64');
    for (let i = 0; i < 50; i++) client.append([line({ part })]);
    await expect.poll(() => client.closed, poll).toBe(true);
    expect(client.of('refused')).toMatchObject([{ error: { code: 'protocol_mismatch' } }]);
    expect(await codeOf(opened.append({ eventType: 'a.b' }))).toBe('fulfilled');
  });
});

describe('a greedy client', () => {
  test('that floods does not starve a polite one', async () => {
    const log = temporaryLog();
    await open(log);
    const flood = await welcomed(log);
    const frame = Array.from({ length: 50 }, (_, n) => body(n, { text: 'x'.repeat(1_000) }));
    let flooding = true;
    const pour = (): void => {
      while (flooding && flood.socket.writable && flood.socket.writableLength < 16 * 1024 * 1024) {
        flood.append(frame);
      }
      if (flooding) setTimeout(pour, 5);
    };
    pour();
    const polite = await open(log);
    const waited: number[] = [];
    const waiting: number[] = [];
    for (let i = 0; i < 20; i++) {
      waiting.push(flood.socket.writableLength);
      const since = performance.now();
      await polite.append({ eventType: 'a.b' });
      waited.push(performance.now() - since);
    }
    flooding = false;
    expect(flood.of('outcomes').length).toBeGreaterThan(0);
    // Much less than the flood has waiting: its turn comes with every round.
    expect(waited.sort((a, b) => a - b)[10]).toBeLessThan(1_000);
    // Looked at once, it may just have been taken.
    expect(Math.max(...waiting)).toBeGreaterThan(1_000_000);
  }, 60_000);

  test('that reads no answers is not read any more, then sent away; others do not notice', async () => {
    const log = temporaryLog();
    await open(log);
    const deaf = await welcomed(log);
    deaf.socket.pause();
    const polite = await open(log);
    // Each of these is answered by a refusal longer than itself.
    const refused = Array.from({ length: 1_000 }, () => 'x');
    const pour = setInterval(() => {
      if (deaf.socket.writableLength < frameBytesMax) deaf.append(refused);
    }, 5);
    onTestFinished(() => clearInterval(pour));
    await expect.poll(() => deaf.socket.writableLength, poll).toBeGreaterThan(0);
    const since = performance.now();
    while (!deaf.socket.destroyed && performance.now() - since < 40_000) {
      expect(await codeOf(polite.append({ eventType: 'a.b' }))).toBe('fulfilled');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(deaf.socket.destroyed).toBe(true);
  }, 60_000);
});

describe('files that go', () => {
  test('a deleted socket is made again, also with its folder; who is connected stays so', async () => {
    const log = temporaryLog();
    await open(log);
    const second = await open(log);
    for (const gone of [socketOf(log), path.dirname(socketOf(log))]) {
      fs.rmSync(gone, { recursive: true });
      expect(await codeOf(second.append({ eventType: 'a.b' }))).toBe('fulfilled');
      await expect.poll(() => fs.existsSync(socketOf(log)), poll).toBe(true);
      const third = await open(log);
      expect(await codeOf(third.append({ eventType: 'a.b' }))).toBe('fulfilled');
    }
  });

  test('a file in the socket’s place is replaced', async () => {
    const log = temporaryLog();
    await open(log);
    fs.rmSync(socketOf(log));
    fs.writeFileSync(socketOf(log), '');
    await expect.poll(() => fs.lstatSync(socketOf(log)).isSocket(), poll).toBe(true);
  });

  test.each([
    ['deleted', (file: string) => fs.rmSync(file)],
    [
      'replaced',
      (file: string) => {
        fs.writeFileSync(`${file}2`, `${process.pid}\n`);
        fs.renameSync(`${file}2`, file);
      },
    ],
  ])('a %s lock file stops the writer before another can write', async (_, lose) => {
    const log = temporaryLog();
    const first = await open(log);
    const second = await open(log);
    await second.append({ eventType: 'a.b' });
    lose(path.join(log.dir, 'lock'));
    await expect(first.append({ eventType: 'a.b' })).rejects.toMatchObject({
      code: 'log_failed',
      message: expect.stringContaining('was replaced or deleted'),
    });
    // The other takes the lock that is there now.
    expect(await codeOf(second.append({ eventType: 'a.b' }))).toBe('fulfilled');
    await second.close();
    expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  });

  test('an idle writer notices too', async () => {
    const log = temporaryLog();
    const first = await open(log);
    fs.rmSync(path.join(log.dir, 'lock'));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await codeOf(first.append({ eventType: 'a.b' }))).toBe('log_failed');
  });
});

test('after a lost connection the same event is recorded once; another of the same id is a conflict', async () => {
  const log = temporaryLog();
  await open(log);
  const { entryOf } = await import('./resend.js');
  const first = await welcomed(log);
  first.append([body(0), body(1)]);
  await expect.poll(() => first.of('outcomes').length, poll).toBe(1);
  const texts = linesOf(log.dir)
    .slice(1)
    .map((line) => line.replace(/^\{"seq":\d+,/, '').replace(/,"epoch":.*$/, ''));
  const [known, other] = texts.map((text) => entryOf(Buffer.from(text)));
  const client = await welcomed(log);
  await expect.poll(() => first.closed, poll).toBe(true);
  const entries = [
    known!,
    [known![0], other![1], known![2]],
    [known![0], other![1], 'somebody else'],
    entryOf(Buffer.from(body(2))),
  ];
  client.say(toDoor.find, { after: 0, entries, last: true });
  await expect
    .poll(() => client.of('found'), poll)
    .toEqual([{ found: [1, 'conflict', 'absent', 'absent'], last: true }]);
  client.say(toDoor.find, { after: 1, entries: [known], last: true });
  await expect.poll(() => client.of('found')[1], poll).toEqual({ found: ['absent'], last: true });
});

test('records of one client keep their order, many clients and all', async () => {
  const log = temporaryLog();
  await open(log);
  const clients = await Promise.all(Array.from({ length: 6 }, () => open(log)));
  await Promise.all(
    clients.map((client, at) =>
      Promise.all(
        numbered(at * 1_000, 300).map((event) =>
          client.append({ ...event, source: `client ${at}` }),
        ),
      ),
    ),
  );
  const records = linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
  for (let at = 0; at < clients.length; at++) {
    const own = records.filter((record) => record.source === `client ${at}`);
    expect(own.map((record) => record.details?.['number'])).toEqual(
      Array.from({ length: 300 }, (_, i) => at * 1_000 + i),
    );
  }
});
