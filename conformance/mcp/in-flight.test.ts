import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import {
  callRecords,
  fixture,
  type Gate,
  type Message,
  startGate,
  toolCall,
  until,
} from './gate.js';

/** Limits of what is in flight, and quotas, of all gates over one log. */

let bench: Bench;
let gates: Gate[] = [];

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await end(...gates);
  gates = [];
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

function start(limits: string, more: readonly string[] = []): Gate {
  const words = {
    ENABLED: 'true',
    REQUESTS_PER_MINUTE: '1000',
    TOOL_EXECUTIONS_PER_MINUTE: '1000',
    LIMITS: limits,
  };
  const env = Object.entries(words).map(([k, v]) => `GATEBOOK_SECURITY_RATE_LIMITING_${k}=${v}`);
  const server = [process.execPath, fixture('tap-server.mjs'), join(bench.folder, 'tap')];
  const gate = startGate(bench, server, { before: ['env', ...env, ...more] });
  gates.push(gate);
  return gate;
}

async function end(...some: readonly Gate[]): Promise<void> {
  for (const gate of some) gate.child.stdin.end();
  await Promise.all(some.map((gate) => gate.ended));
}

async function kill(gate: Gate): Promise<void> {
  gate.child.kill('SIGKILL');
  await gate.ended;
}

let lastId = 0;

function call(gate: Gate, tool: string, args: object = {}): Promise<Message> {
  const id = ++lastId;
  gate.send(toolCall(id, tool, args));
  return gate.answer(id);
}

async function passes(gate: Gate): Promise<boolean> {
  // Not twice the same: a session that repeats itself is stopped.
  return (await call(gate, 'echo', { call: lastId })).result?.isError !== true;
}

/** Begins calls to which there is no answer. */
function neverEnd(gate: Gate, count: number): void {
  for (let at = 0; at < count; at++) gate.send(toolCall(++lastId, 'silent'));
}

/** How many of so many calls, one after the other, came to the server. */
async function passed(gate: Gate, count: number): Promise<number> {
  let through = 0;
  for (let at = 0; at < count; at++) if (await passes(gate)) through++;
  return through;
}

async function inFlight(): Promise<number> {
  const { limits } = JSON.parse((await bench.run(['limits', '--json'])).stdout) as {
    limits: { name: string; buckets: { used: number }[] }[];
  };
  return limits.find(({ name }) => name === 'two')?.buckets[0]?.used ?? 0;
}

const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const two = '{ two = { in_flight = 2 } }';

test('so many calls are in flight in all gates together, and one that ends makes room', async () => {
  const first = start(two);
  expect(await passes(first)).toBe(true);
  const second = start(two);
  const go = join(bench.folder, 'go');
  const held = call(first, 'hold', { until: go });
  neverEnd(second, 1);
  await until(async () => (await inFlight()) === 2);
  const refused = await call(second, 'echo');
  expect(refused.result?.isError).toBe(true);
  expect(refused.result?.content?.[0]?.text).toMatch(/limit `two` .*is used up, retry later/);
  expect((await bench.run(['limits'])).stdout).toMatch(
    /^two +2 in flight +- +2 +0 +2 +as calls end$/m,
  );
  await writeFile(go, '');
  await held;
  expect([await passed(first, 2), await passed(second, 2)]).toEqual([2, 2]);
  // A gate that is gone has nothing in flight.
  await kill(second);
  await until(async () => (await inFlight()) === 0);
  const hits = (await callRecords(bench)).filter((each) => each.event_type === 'rate_limit_hit');
  expect(hits.map(({ security }) => security?.rule)).toEqual(['limit.two']);
});

test('a call that may wait is made when one that is in flight ends', async () => {
  const gate = start(two, ['GATEBOOK_SECURITY_RATE_LIMITING_WAIT=1m']);
  const ended: string[] = [];
  const slow = [1, 2].map(async (place) => {
    await call(gate, 'wait', { ms: 1_000 + place });
    ended.push(`slow ${place}`);
  });
  const third = passes(gate).then((made) => ended.push(`third ${made}`));
  await Promise.all([...slow, third]);
  expect(ended[0]).toBe('slow 1');
  expect(ended).toContain('third true');
});

test('what is in flight stays so when the gate that holds the state ends', async () => {
  const first = start(two);
  expect(await passes(first)).toBe(true);
  const second = start(two);
  expect(await passes(second)).toBe(true);
  neverEnd(second, 2);
  await until(async () => (await inFlight()) === 2);
  await end(first);
  const third = start(two);
  expect(await passes(third)).toBe(false);
});

test.runIf(full)('and, 30 s long, when it was killed', { timeout: 180_000 }, async () => {
  const first = start(two);
  expect(await passes(first)).toBe(true);
  const second = start(two);
  neverEnd(second, 1);
  await until(async () => (await inFlight()) === 1);
  await kill(first);
  const since = performance.now();
  expect(await passes(second)).toBe(false);
  await until(async () => {
    await sleep(1_000);
    return await passes(second);
  });
  expect(performance.now() - since).toBeGreaterThan(25_000);
  expect(await inFlight()).toBe(1);
});

test('a quota goes on where the gate that counted it was killed', async () => {
  const quota = '{ month = { quota = "4/month", scope = ["actor"] } }';
  const first = start(quota);
  expect(await passed(first, 3)).toBe(3);
  await kill(first);
  const second = start(quota);
  // Of the rates everything counts as used after a kill; as of then they come back.
  await until(async () => await passes(second));
  await sleep(300);
  expect(await passed(second, 3)).toBe(0);
  const table = (await bench.run(['limits'])).stdout;
  expect(table).toMatch(/^month +4 a calendar month +\S+ +4 +0 +4 +next month$/m);
  const hits = (await callRecords(bench)).filter(
    ({ security }) => security?.rule === 'limit.month',
  );
  expect(hits.length).toBeGreaterThanOrEqual(3);
});
