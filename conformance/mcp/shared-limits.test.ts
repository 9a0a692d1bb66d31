import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { callRecords, fixture, type Gate, initialize, startGate, toolCall } from './gate.js';

/** A client starts one gate for each server: the gates over one log have one set of buckets. */

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

function start(tap: string, ...options: string[]): Gate {
  const server = [process.execPath, fixture('tap-server.mjs'), join(bench.folder, tap)];
  const gate = startGate(bench, server, { options });
  gates.push(gate);
  return gate;
}

async function end(...some: readonly Gate[]): Promise<void> {
  for (const gate of some) gate.child.stdin.end();
  await Promise.all(some.map((gate) => gate.ended));
}

/** How many of so many calls, made at once, came to the server. */
async function passed(gate: Gate, count: number): Promise<number> {
  for (let id = 1; id <= count; id++) gate.send(toolCall(id, 'echo', { id }));
  let made = 0;
  for (let id = 1; id <= count; id++) {
    if ((await gate.answer(id)).result?.isError !== true) made++;
  }
  return made;
}

test('three gates with a limit of 10 let 10 calls pass in all', async () => {
  const three = ['a', 'b', 'c'].map((tap) => start(tap, '--limit', '10/day'));
  const made = await Promise.all(three.map((gate) => passed(gate, 8)));
  expect(made.reduce((sum, each) => sum + each)).toBe(10);
  await end(...three);
  const reached = await Promise.all(
    ['a', 'b', 'c'].map((tap) => readFile(join(bench.folder, tap), 'utf8').catch(() => '')),
  );
  expect(reached.join('').match(/"tools\/call"/g)).toHaveLength(10);
  const types = (await callRecords(bench)).map(({ event_type }) => event_type);
  expect(types.filter((type) => type === 'rate_limit_hit')).toHaveLength(14);
});

test('what is used stays used when the gate that held the buckets ends, and when all have', async () => {
  const first = start('a', '--limit', '4/day');
  expect(await passed(first, 1)).toBe(1);
  const second = start('b', '--limit', '4/day');
  expect(await passed(second, 1)).toBe(1);
  await end(first);
  expect(await passed(second, 1)).toBe(1);
  await end(second);
  expect(await passed(start('c', '--limit', '4/day'), 3)).toBe(1);
});

test('what a gate that was killed had let pass is not known, so it was everything', async () => {
  const first = start('a', '--limit', '4/day');
  expect(await passed(first, 1)).toBe(1);
  first.child.kill('SIGKILL');
  await first.ended;
  expect(await passed(start('b', '--limit', '4/day'), 2)).toBe(0);
});

test('it is everything also where the gate after the one that was killed had no limit', async () => {
  const first = start('a', '--limit', '4/day');
  expect(await passed(first, 1)).toBe(1);
  first.child.kill('SIGKILL');
  await first.ended;
  const second = start('b');
  expect(await passed(second, 1)).toBe(1);
  await end(second);
  expect(await passed(start('c', '--limit', '4/day'), 2)).toBe(0);
});

test('a yes for the session that is given in one gate is seen by the others', async () => {
  const before = ['env', 'GATEBOOK_SECURITY_POLICY_ASK=["tool:tap/echo"]'];
  const [first, second] = ['a', 'b'].map((tap) => {
    const server = [process.execPath, fixture('tap-server.mjs'), join(bench.folder, tap)];
    const gate = startGate(bench, server, { before, options: ['--server', 'tap'] });
    gates.push(gate);
    return gate;
  }) as [Gate, Gate];
  first.send({
    ...initialize,
    params: { ...initialize.params, capabilities: { elicitation: {} } },
  });
  await first.answer('init');
  first.send(toolCall(1, 'echo'));
  const question = await first.question();
  const content = { approve: true, reach: 'session' };
  first.send({ id: question.id, result: { action: 'accept', content } });
  expect((await first.answer(1)).result?.isError).toBeUndefined();
  // Here the client cannot even be asked.
  second.send(initialize);
  await second.answer('init');
  second.send(toolCall(1, 'echo', { other: 'arguments' }));
  expect((await second.answer(1)).result?.isError).toBeUndefined();
  await end(first, second);
  const asked = (await callRecords(bench)).filter((each) => each.event_type.startsWith('gate.'));
  expect(asked.map((each) => each.event_type)).toEqual([
    'gate.approval_requested',
    'gate.approval',
  ]);
});

test('gates with other limits have buckets of their own', async () => {
  expect(await passed(start('a', '--limit', '2/day'), 3)).toBe(2);
  expect(await passed(start('b', '--limit', '3/day'), 4)).toBe(3);
});
