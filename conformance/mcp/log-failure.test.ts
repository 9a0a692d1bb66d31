import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { briefly, callRecords, fixture, startGate, toolCall, until } from './gate.js';

let bench: Bench;
let tap: string;
let server: string[];
beforeEach(async () => {
  bench = await openBench();
  tap = join(bench.folder, 'tap');
  server = [process.execPath, fixture('tap-server.mjs'), tap];
});
afterEach(() => bench.remove());

/** From now on the process cannot write to any file, as on a full disk; and can again. */
function setWritable(pid: number | undefined, writable: boolean): void {
  execFileSync('prlimit', [
    '--pid',
    String(pid),
    `--fsize=${writable ? 'unlimited' : '0:unlimited'}`,
  ]);
}

async function forwarded(): Promise<string> {
  return await readFile(tap, 'utf8').catch(() => '');
}

test('a call that cannot be recorded is refused by a tool error, and does not reach the server', async () => {
  const gate = startGate(bench, server);
  gate.send(toolCall(1, 'echo'));
  expect((await gate.answer(1)).result?.isError).toBeUndefined();
  const before = await forwarded();
  setWritable(gate.child.pid, false);
  for (let id = 2; id <= 5; id++) {
    gate.send(toolCall(id, 'echo'));
    const { result } = await gate.answer(id);
    expect(result?.isError).toBe(true);
    expect(result?.content?.[0]?.text).toContain('could not be recorded');
  }
  gate.send({ id: 'read', method: 'resources/read', params: { uri: 'a:b' } });
  expect((await gate.answer('read')).error?.code).toBe(-32010);
  expect(await forwarded()).toBe(before);
  gate.send({ id: 'list', method: 'tools/list' });
  expect((await gate.answer('list')).error).toBeUndefined();
  setWritable(gate.child.pid, true);
  await until(async () => {
    const id = `again ${performance.now()}`;
    gate.send(toolCall(id, 'echo'));
    return (await gate.answer(id)).result?.isError === undefined;
  });
  gate.child.stdin.end();
  const { code, stderr } = await gate.ended;
  expect(code).toBe(0);
  expect(stderr.split('\n').filter((line) => line.includes('the log fails'))).toHaveLength(1);
  expect(stderr.split('\n').filter((line) => line.includes('the log works again'))).toHaveLength(1);
  const records = (await callRecords(bench)).filter((record) => record.event_type.includes('tool'));
  expect(briefly(records)).toEqual([
    'intent echo',
    'outcome echo ok',
    'intent echo',
    'outcome echo ok',
  ]);
  expect(records[2]?.details?.['unrecorded_before']).toBeGreaterThanOrEqual(5);
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
});

test("by the operator's choice calls pass unrecorded; stderr says so once, and the log afterwards", async () => {
  const gate = startGate(bench, server, { options: ['--on-log-failure', 'allow'] });
  gate.send({ id: 'up', method: 'ping' });
  await gate.answer('up');
  setWritable(gate.child.pid, false);
  for (let id = 1; id <= 5; id++) {
    gate.send(toolCall(id, 'echo'));
    expect((await gate.answer(id)).result?.isError).toBeUndefined();
  }
  setWritable(gate.child.pid, true);
  await until(async () => {
    const id = `again ${performance.now()}`;
    gate.send(toolCall(id, 'echo'));
    await gate.answer(id);
    return (await callRecords(bench)).length > 0;
  });
  gate.child.stdin.end();
  const { code, stderr } = await gate.ended;
  expect(code).toBe(0);
  expect(stderr.split('\n').filter((line) => line.includes('PASS UNRECORDED'))).toHaveLength(1);
  const [first] = await callRecords(bench);
  expect(first?.security?.not_enforced).toEqual(['audit']);
  expect(first?.details?.['unrecorded_before']).toBeGreaterThanOrEqual(10);
});

test('one log serves many gates: calls go through the gate that has it, and then through the other', async () => {
  const first = startGate(bench, server);
  first.send(toolCall(1, 'echo'));
  await first.answer(1);
  const second = startGate(bench, server);
  second.send(toolCall(1, 'echo'));
  expect((await second.answer(1)).result?.isError).toBeUndefined();
  first.child.stdin.end();
  expect((await first.ended).code).toBe(0);
  second.send(toolCall(2, 'echo'));
  expect((await second.answer(2)).result?.isError).toBeUndefined();
  second.child.stdin.end();
  expect((await second.ended).code).toBe(0);
  expect(briefly(await callRecords(bench))).toEqual([
    ...['intent echo', 'outcome echo ok', 'intent echo', 'outcome echo ok'],
    ...['intent echo', 'outcome echo ok'],
  ]);
});

test('a log whose writer is stopped: lists pass, calls are refused until it goes on', async () => {
  const holder = startGate(bench, [process.execPath, fixture('tap-server.mjs')]);
  holder.send({ id: 1, method: 'ping' });
  await holder.answer(1);
  holder.child.kill('SIGSTOP');
  const gate = startGate(bench, server);
  try {
    gate.send({ id: 1, method: 'tools/list' });
    gate.send(toolCall(2, 'echo'));
    expect((await gate.answer(1)).error).toBeUndefined();
    const refused = await gate.answer(2);
    expect(refused.result?.isError).toBe(true);
    expect(refused.result?.content?.[0]?.text).toContain(`process ${holder.child.pid}`);
    expect(await forwarded()).not.toContain('tools/call');
  } finally {
    holder.child.kill('SIGCONT');
  }
  // The log is tried again at most once a second.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  gate.send(toolCall(3, 'echo'));
  expect((await gate.answer(3)).result?.isError).toBeUndefined();
  gate.child.stdin.end();
  expect((await gate.ended).code).toBe(0);
  holder.child.stdin.end();
  await holder.ended;
  const records = await callRecords(bench);
  expect(briefly(records)).toEqual(['intent echo', 'outcome echo ok']);
  expect(records[0]?.details).toMatchObject({ unrecorded_before: 1 });
});

test('a damaged log is an error at the start: the client sees a server that failed', async () => {
  await bench.record([{ event_type: 'test.event' }]);
  const [segment] = await readdir(join(bench.log, 'segments'));
  await rm(join(bench.log, 'segments', segment!));
  const gate = startGate(bench, server);
  const { code, stderr } = await gate.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('the log cannot be opened, so no server is started');
  expect(await forwarded()).toBe('');
});

test('so is a log folder that cannot be made', async () => {
  await writeFile(bench.log, 'a file');
  expect((await startGate(bench, server).ended).code).toBe(1);
  expect(await forwarded()).toBe('');
});
