import { expect, onTestFinished, test } from 'vitest';
import { AuditError } from './errors.js';
import { messagesMax } from './hook.js';
import { type AuditLog, openAuditLog } from './log.js';
import { audit } from './testing/direct-writer.js';
import { type Folders, temporaryLog } from './testing/folders.js';
import { HookProcess } from './testing/hook-process.js';

async function open(log: Folders): Promise<AuditLog> {
  const opened = await openAuditLog({
    ...log,
    hook: () => ({ answer: (message) => `own ${message}` }),
  });
  onTestFinished(() => opened.close().catch(() => {}));
  return opened;
}

/** The answer, or the code of the error. */
async function outcome(log: AuditLog, message: string): Promise<string> {
  try {
    return (await log.consult(message)).answer;
  } catch (error) {
    if (error instanceof AuditError) return error.code;
    throw error;
  }
}

function repeat<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

test('a writer that is killed: what it was sent counts as decided, the rest is decided by the next', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const guest = await open(log);
  const hosts: string[] = [guest.host];
  guest.onHostChanged((host) => hosts.push(host));
  expect(await outcome(guest, 'count')).toBe('1');
  const all = repeat(messagesMax + 36, () => outcome(guest, 'hang'));
  await new Promise((resolve) => setTimeout(resolve, 200));
  holder.signal('SIGKILL');
  const said = await Promise.all(all);
  expect(said).toEqual([
    ...repeat(messagesMax, () => 'unknown_outcome'),
    ...repeat(36, () => 'own hang'),
  ]);
  expect(guest.isWriter).toBe(true);
  expect(hosts).toHaveLength(2);
  expect(hosts[1]).toBe(guest.host);
  expect(hosts[1]).not.toBe(hosts[0]);
  await guest.close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok' });
});

test('an idle client that the hook knows finds the next host by itself, and keeps its name', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const callers: string[] = [];
  const hook = () => ({
    answer: (_: string, from: { client: string }) => String(callers.push(from.client)),
  });
  const guest = await openAuditLog({ ...log, hook });
  onTestFinished(() => guest.close().catch(() => {}));
  const other = await open(log);
  await guest.consult('count');
  await other.consult('count');
  const changed = new Promise((resolve) => guest.onHostChanged(resolve));
  const otherChanged = new Promise((resolve) => other.onHostChanged(resolve));
  await holder.order({ close: true });
  expect(await changed).toBe(await otherChanged);
  expect([guest.isWriter, other.isWriter].sort()).toEqual([false, true]);
});

test('a stopped writer: what it was sent counts as decided, later messages find it unavailable, until it goes on', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const guest = await open(log);
  const { host } = await guest.consult('count');
  holder.signal('SIGSTOP');
  const since = performance.now();
  expect(await outcome(guest, 'count')).toBe('unknown_outcome');
  expect(performance.now() - since).toBeGreaterThan(1_500);
  expect(performance.now() - since).toBeLessThan(4_000);
  const error = await guest.consult('count').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'log_unavailable' });
  expect(String(error)).toContain(`process ${holder.pid}`);
  expect(guest.isWriter).toBe(false);
  // Who has nothing to ask is there again all the same, before the hook is told that it has gone.
  await new Promise((resolve) => setTimeout(resolve, 500));
  holder.signal('SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(await outcome(guest, 'left')).toBe('[]');
  const after = await guest.consult('read');
  expect(after.host).toBe(host);
  // Only the one that had been sent may have been decided when the writer went on.
  expect(['1', '2']).toContain(after.answer);
}, 60_000);

test('a writer whose program is busy: a message it has not taken is taken back for certain', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const guest = await open(log);
  expect(await outcome(guest, 'count')).toBe('1');
  const blocked = holder.order({ block: 3_000 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const since = performance.now();
  const counting = repeat(100, () => guest.consult('count').catch((reason: unknown) => reason));
  await guest.append({ eventType: 'a.b' });
  const errors = await Promise.all(counting);
  expect(performance.now() - since).toBeGreaterThan(1_900);
  expect(new Set(errors.map((error) => (error as AuditError).code))).toEqual(
    new Set(['log_unavailable']),
  );
  expect(String(errors[0])).toContain(`process ${holder.pid}`);
  await blocked;
  // Of a hundred none was counted, though the first were on their way to the hook when they were taken back.
  expect(await outcome(guest, 'read')).toBe('1');
}, 60_000);

test('a writer whose hook computes for long: the message it has taken counts as decided', async () => {
  const log = temporaryLog();
  await HookProcess.start(log);
  const guest = await open(log);
  const since = performance.now();
  const blocking = outcome(guest, 'block 3000');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const counting = outcome(guest, 'count');
  expect(await Promise.all([blocking, counting])).toEqual(['unknown_outcome', 'log_unavailable']);
  expect(performance.now() - since).toBeLessThan(3_000);
  expect(await outcome(guest, 'read')).toBe('0');
}, 60_000);

test('an answer that never comes holds up no other, and is not waited for', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const guest = await open(log);
  const since = performance.now();
  const hanging = Promise.all([outcome(guest, 'hang'), holder.order({ consult: 'hang' })]);
  expect(await outcome(guest, 'slow 300')).toBe('1');
  expect(await outcome(guest, 'count')).toBe('2');
  expect(performance.now() - since).toBeLessThan(1_500);
  expect(await hanging).toEqual(['unknown_outcome', 'unknown_outcome']);
  expect(performance.now() - since).toBeLessThan(4_000);
}, 60_000);

test('a log that is closed leaves no message without an answer', async () => {
  const log = temporaryLog();
  const holder = await HookProcess.start(log);
  const guest = await open(log);
  const late = outcome(guest, 'slow 400');
  const hanging = repeat(messagesMax - 1, () => outcome(guest, 'hang'));
  const waiting = repeat(10, () => outcome(guest, 'count'));
  const own = holder.order({ consult: 'hang' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const since = performance.now();
  await holder.order({ close: true });
  expect(performance.now() - since).toBeLessThan(2_000);
  expect(await own).toBe('unknown_outcome');
  // There was time for this one.
  expect(await late).toBe('1');
  expect(new Set(await Promise.all(hanging))).toEqual(new Set(['unknown_outcome']));
  // What the hook had not taken the next one has, although it was sent to the first as soon as there was room.
  expect(await Promise.all(waiting)).toEqual(repeat(10, () => 'own count'));
}, 60_000);

test('a guest that closes its log while it waits is answered first', async () => {
  const log = temporaryLog();
  await HookProcess.start(log);
  const guest = await open(log);
  const slow = outcome(guest, 'slow 300');
  await guest.close();
  expect(await slow).toBe('1');
  expect(await outcome(guest, 'count')).toBe('log_closed');
});
