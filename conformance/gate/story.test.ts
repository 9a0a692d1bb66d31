import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import {
  type CallRecord,
  callRecords,
  fixture,
  type Gate,
  initialize,
  type Message,
  startGate,
  toolCall,
  until,
} from '../mcp/gate.js';

/**
 * Two hundred calls of all kinds under a policy, limits, questions and the breaker: the book tells of each of them, in order, what
 * became of it.
 */

const config: Readonly<Record<string, string>> = {
  POLICY_DENY: '["tool:tap/big"]',
  POLICY_ASK: '["tool:tap/progress"]',
  RUNAWAY_IDENTICAL_CALLS: '5',
  RUNAWAY_FAILURES: '40',
};
const calls = 200;

let bench: Bench;
let gate: Gate;
let tap: string;

beforeEach(async () => {
  bench = await openBench();
  tap = join(bench.folder, 'tap');
  const words = Object.entries(config).map(([key, value]) => `GATEBOOK_SECURITY_${key}=${value}`);
  gate = startGate(bench, [process.execPath, fixture('tap-server.mjs'), tap], {
    before: ['env', ...words],
    options: ['--user', 'ann', '--server', 'tap', '--limit-tool', 'wait=10/day'],
  });
  const params = { ...initialize.params, capabilities: { elicitation: {} } };
  gate.send({ ...initialize, params });
  await gate.answer('init');
});

afterEach(async () => {
  gate.child.stdin.end();
  await gate.ended;
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

/** Every third question is answered with no. */
function answerQuestions(): () => void {
  const answered = new Set<unknown>();
  let count = 0;
  const timer = setInterval(() => {
    for (const { id, method } of gate.messages()) {
      if (method !== 'elicitation/create' || answered.has(id)) continue;
      answered.add(id);
      const approve = ++count % 3 !== 0;
      gate.send({ id, result: { action: 'accept', content: { approve } } });
    }
  }, 5);
  return () => clearInterval(timer);
}

function call(id: number): object {
  switch (id % 10) {
    case 0:
      return { id, method: 'resources/read', params: { uri: `note:${id}` } };
    case 1:
      return toolCall(id, 'big', { n: id });
    case 2:
      return toolCall(id, 'progress', { id });
    case 3:
      return toolCall(id, 'wait', { ms: 1, id });
    case 4:
      return toolCall(id, 'fail', { id });
    case 5:
      return { id, method: 'prompts/get', params: { name: 'greet', arguments: { id: `${id}` } } };
    default:
      return toolCall(id, 'echo', { id });
  }
}

function setWritable(writable: boolean): void {
  const size = writable ? 'unlimited' : '0:unlimited';
  execFileSync('prlimit', ['--pid', String(gate.child.pid), `--fsize=${size}`]);
}

function refusedByGate({ result, error }: Message): boolean {
  const text = result?.content?.[0]?.text ?? error?.message ?? '';
  return text.startsWith('gatebook did not make this call');
}

/** What became of a call, by its records. */
function fateOf(records: readonly CallRecord[]): string {
  return records
    .map(({ event_type, action, result }) => action?.phase ?? result?.status ?? event_type)
    .join(' ');
}

test('the book tells of two hundred calls, in order, what became of each', async () => {
  const stop = answerQuestions();
  const answers = new Map<number, Message>();
  for (let id = 1; id <= calls; id++) {
    gate.send(call(id));
    if (id % 25 === 0)
      for (let at = id - 24; at <= id; at++) answers.set(at, await gate.answer(at));
  }
  stop();
  gate.child.stdin.end();
  expect((await gate.ended).code).toBe(0);
  const records = await callRecords(bench);
  const byId = new Map<string, CallRecord[]>();
  for (const record of records) {
    const id = String(record.details?.['jsonrpc_id'] ?? '');
    if (record.call_id === undefined || id === '') continue;
    byId.set(id, [...(byId.get(id) ?? []), record]);
  }
  expect(byId.size).toBe(calls);
  const fates: Record<string, number> = {};
  for (let id = 1; id <= calls; id++) {
    const own = byId.get(String(id))!;
    expect(new Set(own.map(({ call_id }) => call_id)).size).toBe(1);
    const fate = fateOf(own.filter(({ event_type }) => event_type !== 'gate.approval_requested'));
    expect(['intent outcome', 'refused']).toContain(fate);
    expect(refusedByGate(answers.get(id)!), `${id}`).toBe(fate === 'refused');
    fates[`${id % 10} ${fate}`] = (fates[`${id % 10} ${fate}`] ?? 0) + 1;
  }
  expect(fates).toMatchObject({
    '1 refused': 20,
    '2 intent outcome': 14,
    '2 refused': 6,
    '3 intent outcome': 10,
    '3 refused': 10,
    '4 intent outcome': 20,
    '9 intent outcome': 20,
  });
  // What nobody is asked about is begun in the order of the lines.
  const begun = records
    .filter(
      ({ action, details }) =>
        action?.phase === 'intent' && Number(details?.['jsonrpc_id']) % 10 !== 2,
    )
    .map(({ details }) => Number(details?.['jsonrpc_id']));
  expect(begun).toEqual([...begun].sort((a, b) => a - b));
  const asked = records.filter(({ event_type }) => event_type === 'gate.approval_requested');
  const said = records.filter(({ event_type }) => event_type === 'gate.approval');
  expect([asked.length, said.length]).toEqual([20, 20]);
});

test('while the log cannot be written no call passes, and the next record counts them', async () => {
  const stop = answerQuestions();
  gate.send(call(6));
  await gate.answer(6);
  const before = await readFile(tap, 'utf8');
  setWritable(false);
  for (let id = 10; id < 40; id++) gate.send(call(id));
  for (let id = 10; id < 40; id++) expect(refusedByGate(await gate.answer(id)), `${id}`).toBe(true);
  expect(await readFile(tap, 'utf8')).toBe(before);
  setWritable(true);
  let again = 1_000;
  await until(async () => {
    gate.send(toolCall(++again, 'echo', { again }));
    return !refusedByGate(await gate.answer(again));
  });
  stop();
  gate.child.stdin.end();
  await gate.ended;
  const records = await callRecords(bench);
  const missing = records.reduce(
    (sum, { details }) => sum + Number(details?.['unrecorded_before'] ?? 0),
    0,
  );
  expect(missing).toBeGreaterThanOrEqual(30);
});

test('a session that runs in a loop is stopped, with a record, and told to end', async () => {
  for (let id = 1; id <= 12; id++) gate.send(toolCall(id, 'echo', { same: true }));
  const refused: boolean[] = [];
  for (let id = 1; id <= 12; id++) refused.push(refusedByGate(await gate.answer(id)));
  expect(refused).toEqual([...Array(5).fill(false), ...Array(7).fill(true)]);
  expect((await gate.answer(12)).result?.content?.[0]?.text).toContain(
    'End the loop and tell the user',
  );
  gate.child.stdin.end();
  await gate.ended;
  const stops = (await callRecords(bench)).filter(
    ({ security }) => security?.rule === 'breaker.identical_calls',
  );
  expect(stops.map(({ details }) => details?.['refused'])).toEqual([1, 6]);
});
