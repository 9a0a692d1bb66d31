import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { AuditError } from './errors.js';
import type { Caller, HookEnd, HookMaker } from './hook.js';
import { lockHolder } from './lock.js';
import { type AuditLog, openAuditLog } from './log.js';
import type { AuditLogOptions } from './options.js';
import { type Folders, packageRoot, temporaryLog } from './testing/folders.js';

async function open(log: Folders, options: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
  const opened = await openAuditLog({ ...log, ...options });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

/** A hook that says what it is told, and remembers by whom. */
function echo(): { readonly make: HookMaker; readonly callers: Caller[]; made: number } {
  const state = {
    callers: [] as Caller[],
    made: 0,
    make: () => {
      state.made++;
      return {
        answer: (message: string, from: Caller): string => {
          state.callers.push(from);
          return `${message}!`;
        },
      };
    },
  };
  return state;
}

test('whoever has the log open is answered by the hook of the process that writes it', async () => {
  const log = temporaryLog();
  const hook = echo();
  const first = await open(log, { hook: hook.make });
  const second = await open(log);
  expect(hook.made).toBe(0);
  const near = await first.consult('near');
  const far = await second.consult('fär');
  expect([near.answer, far.answer]).toEqual(['near!', 'fär!']);
  expect(near.host).toMatch(/^[0-9a-f]{32}$/);
  expect(far.host).toBe(near.host);
  expect([first.host, second.host]).toEqual([near.host, near.host]);
  expect(hook.made).toBe(1);
  const [own, other] = hook.callers;
  expect(own!.client).toMatch(/^[0-9a-f]{32}$/);
  expect(other!.client).not.toBe(own!.client);
  expect(hook.callers.map(({ pid }) => pid)).toEqual([process.pid, process.pid]);
});

/** The code and the message of a rejection. */
async function failure(promise: Promise<unknown>): Promise<[string, string]> {
  const error = await promise.then(
    (value) => new Error(`fulfilled with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof AuditError)) throw error;
  return [error.code, error.message];
}

test('where the writer has no hook, whoever asks is told which process that is', async () => {
  const log = temporaryLog();
  const first = await open(log);
  const second = await open(log, { hook: echo().make });
  for (const one of [first, second]) {
    const [code, message] = await failure(one.consult('a'));
    expect(code).toBe('no_hook');
    expect(message).toContain(`process ${process.pid}`);
    await one.append({ eventType: 'a.b' });
  }
});

test('what a hook throws is told to the caller, and nobody else notices', async () => {
  const log = temporaryLog();
  let made = 0;
  const make: HookMaker = () => {
    if (made++ === 0) throw new Error('not yet');
    return {
      answer: (message) => {
        if (message === 'throw') throw new Error('thrown');
        if (message === 'reject') return Promise.reject(new Error('rejected'));
        if (message === 'number') return 7 as unknown as string;
        if (message === 'long') return 'x'.repeat(65_537);
        if (message === 'later') return Promise.resolve('y'.repeat(65_537));
        return message;
      },
    };
  };
  const first = await open(log, { hook: make });
  const second = await open(log);
  expect(await failure(second.consult('a'))).toEqual([
    'hook_failed',
    expect.stringMatching('not yet'),
  ]);
  for (const one of [first, second]) {
    for (const [message, reason] of [
      ['throw', 'thrown'],
      ['reject', 'rejected'],
      ['number', 'must be a text'],
      ['long', '65537 bytes'],
      ['later', '65537 bytes'],
    ] as const) {
      const [code, said] = await failure(one.consult(message));
      expect([message, code]).toEqual([message, 'hook_failed']);
      expect(said).toContain(reason);
    }
    expect((await one.consult('fine')).answer).toBe('fine');
  }
});

test('what is too large or no text is refused before it is sent', async () => {
  const log = temporaryLog();
  const hook = echo();
  const first = await open(log, { hook: () => ({ answer: (message) => message }) });
  const second = await open(log, { hook: hook.make });
  const largest = `${'é'.repeat(32_767)}xy`;
  for (const one of [first, second]) {
    expect((await one.consult(largest)).answer).toBe(largest);
    expect((await one.consult('')).answer).toBe('');
    expect((await failure(one.consult(`${largest}z`)))[0]).toBe('too_large');
    expect((await failure(one.consult('\ud800')))[0]).toBe('lone_surrogate');
    expect((await failure(one.consult(7 as unknown as string)))[0]).toBe('wrong_type');
  }
  expect(hook.made).toBe(0);
  const options = { ...log, hook: 'no' as unknown as HookMaker };
  await expect(openAuditLog(options)).rejects.toMatchObject({ code: 'bad_option', member: 'hook' });
});

test('the hook is told once who has left, at once where the log was closed there', async () => {
  const log = temporaryLog();
  const left: Caller[] = [];
  const make: HookMaker = () => ({
    answer: (_, from) => from.client,
    left: (caller) => void left.push(caller),
  });
  const first = await open(log, { hook: make });
  const [second, third, silent] = [await open(log), await open(log), await open(log)];
  const { answer: client } = await second.consult('a');
  await second.consult('b');
  await third.consult('c');
  await silent.append({ eventType: 'a.b' });
  await silent.close();
  const since = performance.now();
  await second.close();
  await expect
    .poll(() => left, { timeout: 20_000, interval: 10 })
    .toEqual([{ client, pid: process.pid }]);
  expect(performance.now() - since).toBeLessThan(900);
  await first.consult('d');
  await first.close();
  // Who is still there is the next holder's.
  expect(left).toHaveLength(1);
  await third.close();
});

test('the hook is closed before another process can have the log', async () => {
  const log = temporaryLog();
  const said: string[] = [];
  const make =
    (name: string): HookMaker =>
    (host) => ({
      answer: () => `${name} ${host.length}`,
      close: async (how) => {
        said.push(`${name} closing ${how}`);
        await new Promise((resolve) => setTimeout(resolve, 300));
        said.push(`${name} closed`);
      },
    });
  const first = await open(log, { hook: make('first') });
  const second = await open(log, { hook: make('second') });
  const hosts: string[] = [];
  second.onHostChanged((host) => {
    said.push('changed');
    hosts.push(host);
  });
  const before = await second.consult('a');
  expect(before.answer).toBe('first 32');
  await first.close();
  await expect.poll(() => hosts.length, { timeout: 20_000 }).toBe(1);
  expect(said).toEqual(['first closing clean', 'first closed', 'changed']);
  const after = await second.consult('a');
  expect(after.answer).toBe('second 32');
  expect(after.host).toBe(hosts[0]);
  expect(after.host).not.toBe(before.host);
  expect((await failure(first.consult('a')))[0]).toBe('log_closed');
});

test('the lock is held until the hook is closed, a hook that fails there too; one that never is, is not waited for', async () => {
  const log = temporaryLog();
  const lock = path.join(log.dir, 'lock');
  const held: boolean[] = [];
  const ends: HookEnd[] = [];
  const make = (closing: Promise<void>): HookMaker => {
    return () => ({
      answer: (message) => message,
      close: (how) => {
        ends.push(how);
        return closing;
      },
    });
  };
  const look = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    held.push(lockHolder(lock) !== undefined);
    throw new Error('thrown');
  };
  const first = await open(log, {
    hook: () => ({ answer: (message) => message, close: look }),
  });
  await first.consult('a');
  await first.close();
  expect(held).toEqual([true]);
  expect(lockHolder(lock)).toBeUndefined();
  const second = await open(log, { hook: make(new Promise(() => {})) });
  await second.consult('a');
  const since = performance.now();
  await second.close();
  expect(performance.now() - since).toBeGreaterThan(900);
  expect(performance.now() - since).toBeLessThan(3_000);
  expect(lockHolder(lock)).toBeUndefined();
  // A hook that was never made is not closed, and one whose writer had to stop hears that.
  await (await open(log, { hook: make(Promise.resolve()) })).close();
  expect(ends).toEqual(['clean']);
  const third = await open(log, { hook: make(Promise.resolve()) });
  await third.consult('a');
  fs.rmSync(lock);
  await expect(third.append({ eventType: 'a.b' })).rejects.toMatchObject({ code: 'log_failed' });
  expect(ends).toEqual(['clean', 'failed']);
});

test('more than 1,024 messages at a time are refused', async () => {
  const log = temporaryLog();
  const waiting: ((text: string) => void)[] = [];
  const first = await open(log, {
    hook: () => ({ answer: () => new Promise((resolve) => void waiting.push(resolve)) }),
  });
  const all = Array.from({ length: 1_024 }, () => first.consult('a'));
  expect((await failure(first.consult('a')))[0]).toBe('queue_full');
  waiting[0]!('done');
  await all[0];
  all.push(first.consult('a'));
  for (const resolve of waiting) resolve('done');
  expect(new Set((await Promise.all(all)).map(({ answer }) => answer))).toEqual(new Set(['done']));
});

/** Runs a program that has the log open as `log`, and resolves with what it printed when it ended by itself. */
async function run(log: Folders, hook: string, code: string): Promise<string> {
  const index = pathToFileURL(path.join(packageRoot, 'dist', 'index.js')).href;
  const program = `import { openAuditLog } from ${JSON.stringify(index)};
    const log = await openAuditLog({ ...${JSON.stringify(log)}, hook: ${hook} });
    ${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const exitCode = await new Promise((resolve) => child.once('close', resolve));
  return `${said.trim()} ${exitCode}`;
}

test('a message that waits keeps its process alive, and nothing else does', async () => {
  const later = (ms: number): string =>
    `() => ({ answer: (m) => new Promise((r) => setTimeout(() => r(m), ${ms}).unref()) })`;
  // A log that was closed meanwhile, for want of anything else to do, would refuse the second.
  const ask = `log.consult('a').then(() => log.consult('b')).then(({ answer }) => console.log(answer));`;
  // The writer's own, and that of a process that asks this one.
  expect(await run(temporaryLog(), later(900), ask)).toBe('b 0');
  const log = temporaryLog();
  await open(log, {
    hook: () => ({ answer: (m) => new Promise((r) => setTimeout(() => r(m), 500)) }),
  });
  expect(await run(log, 'undefined', ask)).toBe('b 0');
}, 60_000);
