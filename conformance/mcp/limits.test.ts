import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { type CallRecord, callRecords, fixture, type Gate, startGate, toolCall } from './gate.js';

/** Limits in front of a real server: what they refuse does not reach it, costs nothing, and is in the book. */

let bench: Bench;
let tap: string;
let gate: Gate | undefined;

beforeEach(async () => {
  bench = await openBench();
  tap = join(bench.folder, 'tap');
});

afterEach(async () => {
  gate?.child.stdin.end();
  await gate?.ended;
  gate = undefined;
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

function start(...options: string[]): Gate {
  gate = startGate(bench, [process.execPath, fixture('tap-server.mjs'), tap], { options });
  return gate;
}

async function records(): Promise<CallRecord[]> {
  gate!.child.stdin.end();
  expect((await gate!.ended).code).toBe(0);
  return await callRecords(bench);
}

/** What a model gets to read of each answer, in the order of the calls. */
async function texts(count: number): Promise<string[]> {
  const all: string[] = [];
  for (let id = 1; id <= count; id++) all.push((await gate!.answer(id)).result!.content![0]!.text);
  return all;
}

test('what a limit refuses never reaches the server, costs no other limit anything, and is in the book', async () => {
  start(
    '--user',
    'ann',
    '--limit',
    '4/hour',
    '--limit-per-user',
    '100/hour',
    '--limit-tool',
    'e*=2/hour',
  );
  const tools = ['echo', 'echo', 'echo', 'echo', 'progress', 'progress', 'progress'];
  for (const [at, tool] of tools.entries()) gate!.send(toolCall(at + 1, tool, { at }));
  const answers = await texts(tools.length);
  const refused = answers.map((text) => text.startsWith('gatebook did not make this call: '));
  // Two more of `echo` would have used up the limit of all if they had been charged for it.
  expect(refused).toEqual([false, false, true, true, false, false, true]);
  expect(answers[2]).toMatch(/limit `tool:e\*` \(2 at once\) is used up, retry in (1800|1799) s$/);
  expect(answers[6]).toMatch(/limit `global` \(4 at once\) is used up, retry in (900|899) s$/);
  const sent = (await readFile(tap, 'utf8')).split('\n').filter((line) => line !== '');
  expect(sent.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual([1, 2, 5, 6]);
  const found = await records();
  const hits = found.filter((record) => record.event_type === 'rate_limit_hit');
  expect(hits).toHaveLength(3);
  expect(hits[0]).toMatchObject({
    actor: { user_id: 'ann' },
    action: { tool: 'echo', allowed: false, arguments: '{"at":2}' },
    result: { success: false, status: 'refused' },
    security: { rule: 'limit.tool:e*', rate_limit_remaining: 0 },
    details: { limit: 2, limit_reason: 'limit', method: 'tools/call', jsonrpc_id: '3' },
  });
  const others = found.filter((record) => record.event_type === 'tool_execution');
  expect(others).toHaveLength(8);
  const left = others.map((record) => record.security?.rate_limit_remaining);
  expect(left.filter((value) => value === undefined)).toEqual([]);
  expect(
    others
      .filter(({ action }) => action?.phase === 'intent')
      .map(({ security }) => security?.rate_limit_remaining),
  ).toEqual([1, 0, 1, 0]);
});

test('a call that may wait is made when its limit lets it through, and in its order', async () => {
  start('--limit', '5/s', '--limit-wait', '10s');
  const since = performance.now();
  for (let id = 1; id <= 10; id++) gate!.send(toolCall(id, 'echo', { id }));
  expect(await texts(10)).toEqual(Array.from({ length: 10 }, (_, i) => `{"id":${i + 1}}`));
  expect(performance.now() - since).toBeGreaterThan(900);
  expect((await records()).filter(({ event_type: type }) => type === 'rate_limit_hit')).toEqual([]);
});

test('calls behind one that waits wait too, so that the server gets no more at once than a limit lets through', async () => {
  start('--limit-tool', 'echo=1/2s', '--limit-tool', 'progress=2/s', '--limit-wait', '20s');
  for (const [at, tool] of ['echo', 'echo', ...Array(6).fill('progress')].entries())
    gate!.send(toolCall(at + 1, tool, { at }));
  await texts(8);
  const found = await records();
  const order = found
    .filter(({ action }) => action?.phase === 'intent')
    .map(({ details }) => details?.['jsonrpc_id']);
  expect(order).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  const times = found
    .filter(({ action }) => action?.phase === 'intent' && action.tool === 'progress')
    .map(({ timestamp }) => Date.parse(timestamp));
  // Two at once, the others half a second apart; a little less, for the clock of the records is another.
  expect(times.at(-1)! - times[0]!).toBeGreaterThan(1_500);
});

test('a call that is cancelled while it waits is not made, and one whose server ends neither', async () => {
  start('--limit', '2/hour', '--limit-wait', '50m');
  gate!.send(toolCall(1, 'echo'));
  await gate!.answer(1);
  gate!.send(toolCall(2, 'silent'));
  gate!.send(toolCall(3, 'echo', { never: true }));
  gate!.send({ method: 'notifications/cancelled', params: { requestId: 3 } });
  expect((await gate!.answer(3)).result!.content![0]!.text).toContain(
    'it was cancelled while it waited',
  );
  gate!.send(toolCall(4, 'echo', { never: true }));
  const since = performance.now();
  process.kill(
    Number(
      (await readFile(`/proc/${gate!.child.pid}/task/${gate!.child.pid}/children`, 'utf8')).trim(),
    ),
    'SIGKILL',
  );
  expect((await gate!.answer(4)).result!.content![0]!.text).toContain('ended while it waited');
  await gate!.ended;
  expect(performance.now() - since).toBeLessThan(20_000);
  expect(await readFile(tap, 'utf8')).not.toContain('never');
  const found = await callRecords(bench);
  expect(
    found.map(({ event_type: type, action, details }) => [
      type,
      action?.phase,
      details?.['jsonrpc_id'],
    ]),
  ).toEqual([
    ['tool_execution', 'intent', '1'],
    ['tool_execution', 'outcome', '1'],
    ['tool_execution', 'intent', '2'],
    ['rate_limit_hit', undefined, '3'],
    ['rate_limit_hit', undefined, '4'],
    ['tool_execution', 'outcome', '2'],
  ]);
});

test('a call that cannot be ready in time is refused at once', async () => {
  start('--limit', '1/hour', '--limit-wait', '2s');
  const since = performance.now();
  gate!.send(toolCall(1, 'echo'));
  gate!.send(toolCall(2, 'echo'));
  gate!.send({ id: 3, method: 'prompts/get', params: { name: 'greet' } });
  expect((await texts(2))[1]).toContain('limit `global`');
  expect((await gate!.answer(3)).error).toMatchObject({ code: -32012 });
  expect(performance.now() - since).toBeLessThan(30_000);
});

test('without limits nothing is limited, and what is no rate is wrong usage', async () => {
  start();
  for (let id = 1; id <= 20; id++) gate!.send(toolCall(id, 'echo', { id }));
  expect(await texts(20)).toHaveLength(20);
  expect((await records())[0]?.security).toBeUndefined();
  for (const [options, message] of [
    [['--limit', '60'], '"60" is no rate'],
    [['--limit-tool', 'write_*'], '"write_*" is no rate'],
    [['--limit-wait', '10s'], '--limit-wait needs a limit'],
    [['--limit-tool', 'a=1/s', '--limit-tool', 'a=2/s'], 'two limits are named "tool:a"'],
  ] as const) {
    const ran = await bench.run(['mcp', ...options, '--', 'true']);
    expect([ran.code, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toContain(message);
  }
});
