import * as fs from 'node:fs';
import { createServer, type Socket } from 'node:net';
import * as path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FrameReader, frameHeader, jsonFrame, parseText, textFrame } from './frames.js';
import { type Caller, type HookMaker, messageBytesMax } from './hook.js';
import { readLockNote } from './lock.js';
import { type AuditLog, openAuditLog, serveAuditLog } from './log.js';
import { fromDoor, protocolVersion, toDoor } from './relay-messages.js';
import { type Folders, temporaryFolder, temporaryLog } from './testing/folders.js';
import { RawClient } from './testing/raw-client.js';
import { newToken } from './tokens.js';

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

describe('a client that is not ours', () => {
  test('is answered by number, and told who answers', async () => {
    const log = temporaryLog();
    const opened = await open(log, echo);
    const raw = await welcomed(log);
    expect(raw.of('welcome')).toMatchObject([{ host: opened.host, protocol: 5 }]);
    raw.consult(7, 'a');
    raw.consult(2 ** 32 - 1, 'b');
    await expect
      .poll(() => raw.of('consulted'), poll)
      .toEqual([
        { id: 7, text: 'a!' },
        { id: 2 ** 32 - 1, text: 'b!' },
      ]);
    // Numbers may be used again when they are answered.
    raw.consult(7, 'x'.repeat(messageBytesMax - 1));
    await expect.poll(() => raw.of('consulted').length, poll).toBe(3);
    await opened.close();
    await expect.poll(() => raw.of('goodbye'), poll).toEqual([{ clean: true, messages: 3 }]);
  });

  const long = Buffer.alloc(4 + messageBytesMax + 1, 'x');
  const raw = (payload: Buffer): Buffer =>
    Buffer.concat([frameHeader(toDoor.consult, payload.length), payload]);
  test.each([
    ['a message without a number', raw(Buffer.from([0, 0, 7]))],
    ['nothing', raw(Buffer.alloc(0))],
    ['a message that is no UTF-8', raw(Buffer.from([0, 0, 0, 1, 0xc3, 0x28]))],
    ['a message that is too large', raw(long)],
    [
      'the same number twice at a time',
      Buffer.concat([textFrame(toDoor.consult, 1, 'hang'), textFrame(toDoor.consult, 1, 'hang')]),
    ],
  ])('and sends %s is sent away, and the log goes on', async (_, bytes) => {
    const log = temporaryLog();
    const opened = await open(log, () => ({
      answer: (message) => (message === 'hang' ? new Promise(() => {}) : message),
    }));
    const wrong = await welcomed(log);
    wrong.socket.write(bytes);
    await expect.poll(() => wrong.closed, poll).toBe(true);
    expect(wrong.of('refused')).toMatchObject([{ error: { code: 'protocol_mismatch' } }]);
    const other = await open(log);
    expect((await other.consult('a')).answer).toBe('a');
    await opened.append({ eventType: 'a.b' });
  });

  test('and sends a message before hello is sent away', async () => {
    const log = temporaryLog();
    await open(log, echo);
    const wrong = connect(log);
    wrong.consult(0, 'a');
    await expect.poll(() => wrong.closed, poll).toBe(true);
    expect(wrong.of('consulted')).toEqual([]);
  });
});

/** Something that welcomes as a writer does and then does as it likes with each connection, the first being 0. */
async function fakeWriter(
  facts: object,
  act: (connection: Socket, at: number, kind: number, payload: Buffer) => void,
): Promise<string> {
  const socket = path.join(temporaryFolder(), 's');
  let count = 0;
  const server = createServer((connection) => {
    const at = count++;
    const reader = new FrameReader((kind, payload) => {
      if (kind !== toDoor.hello) return act(connection, at, kind, payload);
      const all = { origin: 'a', publicKey: 'a', durability: 'sync', size: 0, content: 'off' };
      const welcome = {
        protocol: protocolVersion,
        pid: 4_711,
        host: `host ${at}`,
        ...all,
        ...facts,
      };
      connection.write(jsonFrame(fromDoor.welcome, welcome));
    });
    connection.on('data', (chunk: Buffer) => reader.push(chunk));
    connection.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
  return socket;
}

test('what a writer that says goodbye had not read is asked of the next, the rest is not', async () => {
  const socket = await fakeWriter({}, (connection, at, kind, payload) => {
    if (kind !== toDoor.consult) return;
    const { id, text } = parseText(payload, messageBytesMax);
    if (at > 0) connection.write(textFrame(fromDoor.consulted, id, `${text}!`));
    else if (id === 2) connection.end(jsonFrame(fromDoor.goodbye, { clean: true, messages: 1 }));
  });
  const log = await openAuditLog({ socket });
  onTestFinished(() => log.close().catch(() => {}));
  const settled = await Promise.allSettled(['a', 'b', 'c'].map((text) => log.consult(text)));
  expect(settled).toMatchObject([
    { reason: { code: 'unknown_outcome', message: expect.stringContaining('process 4711') } },
    { value: { answer: 'b!', host: 'host 1' } },
    { value: { answer: 'c!', host: 'host 1' } },
  ]);
});

test.each([
  ['with the same host is told so where that took it for gone', false, ['same']],
  ['with the same host that knows it hears nothing', true, []],
])('who comes again %s', async (_, known, heard) => {
  let connections = 0;
  const socket = await fakeWriter({ host: 'same', known }, (connection, at, kind, payload) => {
    connections = Math.max(connections, at + 1);
    if (kind !== toDoor.consult) return;
    const { id, text } = parseText(payload, messageBytesMax);
    connection.write(textFrame(fromDoor.consulted, id, text));
    if (at === 0) connection.end();
  });
  const log = await openAuditLog({ socket });
  onTestFinished(() => log.close().catch(() => {}));
  const hosts: string[] = [];
  log.onHostChanged((host) => hosts.push(host));
  await log.consult('a');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await log.consult('b');
  expect(connections).toBe(2);
  expect(hosts).toEqual(heard);
});

test('a writer of the protocol before messages is named, and so is a client of it', async () => {
  const socket = await fakeWriter({ protocol: 4 }, () => {});
  await expect(openAuditLog({ socket })).rejects.toMatchObject({
    code: 'protocol_mismatch',
    message: expect.stringMatching(/process 4711.* version 4 .* version 5/),
  });
  const log = temporaryLog();
  await open(log, echo);
  const old = connect(log);
  old.hello({ protocol: 4 });
  await expect.poll(() => old.closed, poll).toBe(true);
  expect(old.of('refused')).toMatchObject([
    {
      error: {
        code: 'protocol_mismatch',
        message: expect.stringMatching(/version 4 .* version 5/),
      },
    },
  ]);
  expect(protocolVersion).toBe(5);
});

test('who comes with a token may ask, and the hook hears who that is; a failure of the hook is not explained to it', async () => {
  const log = temporaryLog();
  const { token, line } = newToken('agent-7');
  const tokenFile = path.join(temporaryFolder(), 'tokens');
  fs.writeFileSync(tokenFile, line, { mode: 0o600 });
  const left: Caller[] = [];
  const served = await serveAuditLog({
    ...log,
    tokenFile,
    hook: () => ({
      answer: (message, from) => {
        if (message === 'throw') throw new Error('the secret reason');
        return JSON.stringify(from);
      },
      left: (caller) => void left.push(caller),
    }),
  });
  onTestFinished(() => served.log.close().catch(() => {}));
  const agent = await openAuditLog({ socket: served.socket, token });
  const { answer, host } = await agent.consult('a');
  const from = JSON.parse(answer) as Caller;
  expect(from).toEqual({
    client: expect.stringMatching(/^[0-9a-f]{32}$/),
    pid: process.pid,
    emitter: 'agent-7',
  });
  expect(host).toBe(served.log.host);
  const failed = await agent.consult('throw').catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 'hook_failed' });
  expect(String(failed)).not.toContain('secret');
  await expect(served.log.consult('throw')).rejects.toThrow('the secret reason');
  await agent.close();
  await expect.poll(() => left, poll).toEqual([from]);
});

describe('who loses its connection', () => {
  test('and comes again in time has not left; who does not has, after what it asked is answered', async () => {
    const log = temporaryLog();
    const said: string[] = [];
    let answer: (text: string) => void = () => {};
    await open(log, () => ({
      answer: (message) =>
        message === 'slow'
          ? new Promise<string>((resolve) => {
              answer = resolve;
            })
          : message,
      left: ({ client: name }) => void said.push(name),
    }));
    const first = await welcomed(log, client('b'));
    first.consult(0, 'a');
    await expect.poll(() => first.of('consulted').length, poll).toBe(1);
    first.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const again = await welcomed(log, client('b'));
    expect([first, again].map((one) => one.of('welcome')[0]?.['known'])).toEqual([false, true]);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(said).toEqual([]);
    again.consult(0, 'slow');
    await new Promise((resolve) => setTimeout(resolve, 100));
    again.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 1_400));
    // What it is being given now must be let go of too.
    expect(said).toEqual([]);
    answer('late');
    await expect.poll(() => said, poll).toEqual([client('b')]);
    expect((await welcomed(log, client('b'))).of('welcome')).toMatchObject([{ known: false }]);
  });

  test('with a hook that fails to hear of it harms nobody', async () => {
    const log = temporaryLog();
    const opened = await open(log, () => ({
      answer: (message) => message,
      left: () => {
        throw new Error('thrown');
      },
      close: () => Promise.reject(new Error('rejected')),
    }));
    const other = await open(log);
    await other.consult('a');
    await other.close();
    expect((await opened.consult('b')).answer).toBe('b');
    await opened.close();
  });
});

test('a process that lost its lock decides nothing more', async () => {
  const log = temporaryLog();
  let decided = 0;
  const first = await open(log, () => ({ answer: () => String(++decided) }));
  const second = await open(log, () => ({ answer: () => 'the next' }));
  await second.consult('a');
  fs.rmSync(path.join(log.dir, 'lock'));
  const [near, far] = await Promise.allSettled([first.consult('b'), second.consult('c')]);
  expect(near).toMatchObject({ status: 'rejected', reason: { code: 'log_failed' } });
  expect(far).toMatchObject({ status: 'fulfilled', value: { answer: 'the next' } });
  expect(decided).toBe(1);
});

test('a served log that starts again is found by who it knows, and what waits is asked there', async () => {
  const log = temporaryLog();
  const socket = path.join(temporaryFolder(), 's');
  const serve = (name: string) =>
    serveAuditLog({ ...log, socket, hook: () => ({ answer: () => name }) });
  const first = await serve('first');
  const guest = await openAuditLog({ socket });
  onTestFinished(() => guest.close().catch(() => {}));
  expect((await guest.consult('a')).answer).toBe('first');
  const changed = new Promise((resolve) => guest.onHostChanged(resolve));
  await first.log.close();
  const second = await serve('second');
  onTestFinished(() => second.log.close().catch(() => {}));
  expect(await changed).toBe(second.log.host);
  expect((await guest.consult('a')).answer).toBe('second');
});
