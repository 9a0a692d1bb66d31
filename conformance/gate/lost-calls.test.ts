import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, finished, openBench } from '../cli/gatebook.js';
import {
  type CallRecord,
  callRecords,
  fixture,
  type Gate,
  initialize,
  startGate,
  toolCall,
  until,
} from '../mcp/gate.js';

/** A gate that is killed leaves calls of which nobody knows how they ended: the next to open the log, or the one that holds it, says so. */

let bench: Bench;
let gates: Gate[] = [];

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  for (const gate of gates) gate.child.stdin.end();
  await Promise.all(gates.map((gate) => gate.ended));
  gates = [];
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

async function start(...options: string[]): Promise<Gate> {
  const gate = startGate(bench, [process.execPath, fixture('tap-server.mjs')], { options });
  gates.push(gate);
  gate.send(initialize);
  await gate.answer('init');
  return gate;
}

/** Makes a call that is not answered, and waits for its intent. */
async function callWithoutEnd(gate: Gate, actor: string): Promise<void> {
  gate.send(toolCall(actor, 'silent'));
  await until(async () => (await callsOf(actor)).some(({ action }) => action?.tool === 'silent'));
}

async function callsOf(user: string): Promise<CallRecord[]> {
  return (await callRecords(bench)).filter(({ actor }) => actor?.user_id === user);
}

const end = ({ action, result }: CallRecord): unknown => [action?.phase, result?.status];

async function kill(gate: Gate): Promise<void> {
  gate.child.kill('SIGKILL');
  await gate.ended;
}

const unknown = [
  ['intent', undefined],
  ['outcome', 'unknown'],
];

test('the next gate records it before anything of its own', async () => {
  const first = await start('--user', 'first');
  first.send(toolCall(1, 'echo'));
  await first.answer(1);
  await callWithoutEnd(first, 'first');
  await kill(first);

  expect((await bench.run(['exec', '--user', 'next', '--', 'true'])).code).toBe(0);
  const records = (await callRecords(bench)).map((each) => [
    each.actor?.user_id,
    ...(end(each) as []),
  ]);
  expect(records).toEqual([
    ['first', 'intent', undefined],
    ['first', 'outcome', 'ok'],
    ['first', 'intent', undefined],
    ['first', 'outcome', 'unknown'],
    ['next', 'intent', undefined],
    ['next', 'outcome', 'ok'],
  ]);
  const [, , intent, outcome] = await callRecords(bench);
  expect(outcome).toMatchObject({
    call_id: intent?.call_id,
    session_id: intent?.session_id,
    actor: intent?.actor,
    action: { phase: 'outcome', tool: 'silent' },
    result: { success: false, error: expect.stringContaining(`pid:${first.child.pid}`) },
    details: { intent_seq: intent?.seq },
  });

  expect((await bench.run(['exec', '--', 'true'])).code).toBe(0);
  expect((await callsOf('first')).map(end)).toHaveLength(4);
});

test('the gate that holds the log records it of another one while it runs itself', async () => {
  const holder = await start('--user', 'holder');
  await callWithoutEnd(holder, 'holder');
  const guest = await start('--user', 'guest');
  await callWithoutEnd(guest, 'guest');
  await kill(guest);
  await until(async () => (await callsOf('guest')).length > 1);
  expect((await callsOf('guest')).map(end)).toEqual(unknown);
  // Its own call is still under way.
  expect((await callsOf('holder')).map(end)).toEqual([['intent', undefined]]);
});

test('calls of gates that live are left alone when the one that held the log is killed', async () => {
  const holder = await start('--user', 'holder');
  await callWithoutEnd(holder, 'holder');
  const guest = await start('--user', 'guest');
  await callWithoutEnd(guest, 'guest');
  await kill(holder);
  const third = await start('--user', 'third');
  third.send(toolCall(1, 'echo'));
  await third.answer(1);
  expect((await callsOf('holder')).map(end)).toEqual(unknown);
  expect((await callsOf('guest')).map(end)).toEqual([['intent', undefined]]);
  guest.child.stdin.end();
  await guest.ended;
  expect((await callsOf('guest')).map(end)).toEqual([
    ['intent', undefined],
    ['outcome', 'server_died'],
  ]);
});

test('a gate whose end nobody saw, for the one that held the log ended with it, is not forgotten', async () => {
  const holder = await start('--user', 'holder');
  holder.send(toolCall(1, 'echo'));
  await holder.answer(1);
  const guest = await start('--user', 'guest');
  await callWithoutEnd(guest, 'guest');
  await kill(guest);
  holder.child.stdin.end();
  await holder.ended;
  expect((await bench.run(['exec', '--', 'true'])).code).toBe(0);
  expect((await callsOf('guest')).map(end)).toEqual(unknown);
});

test('without a breaker or limits too', async () => {
  const env = { GATEBOOK_SECURITY_RUNAWAY_ENABLED: 'false' };
  const before = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const gate = startGate(bench, [process.execPath, fixture('tap-server.mjs')], {
    before,
    options: ['--user', 'first'],
  });
  gates.push(gate);
  gate.send(initialize);
  await gate.answer('init');
  await callWithoutEnd(gate, 'first');
  await kill(gate);
  expect((await bench.run(['exec', '--', 'true'], { env })).code).toBe(0);
  expect((await callsOf('first')).map(end)).toEqual(unknown);
});

test('one that appends by a token is known by its name when it is gone', async () => {
  const tokens = join(bench.folder, 'tokens');
  const socket = join(bench.folder, 's');
  const tokenOf = async (name: string): Promise<string> =>
    (await bench.run(['token', name, '--token-file', tokens])).stdout.trim();
  const [lost, live] = [await tokenOf('lost'), await tokenOf('live')];
  const server = bench.start(['serve', '--socket', socket, '--token-file', tokens, '--json']);
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const begin = async (token: string, user: string): Promise<Gate> => {
    const options = ['--socket', socket, '--user', user];
    const before = ['env', `GATEBOOK_TOKEN=${token}`];
    const gate = startGate(bench, [process.execPath, fixture('tap-server.mjs')], {
      before,
      options,
    });
    gates.push(gate);
    await callWithoutEnd(gate, user);
    return gate;
  };
  const other = await begin(live, 'live');
  await kill(await begin(lost, 'lost'));
  await until(async () => (await callsOf('lost')).length > 1);
  expect((await callsOf('lost')).map(end)).toEqual(unknown);
  expect((await callsOf('live')).map(end)).toEqual([['intent', undefined]]);
  other.child.stdin.end();
  await other.ended;
  server.kill('SIGTERM');
  expect((await finished(server)).code).toBe(0);
});

test('to what ended in order nothing is added', async () => {
  const gate = await start('--user', 'first');
  gate.send(toolCall(1, 'echo'));
  await gate.answer(1);
  gate.child.stdin.end();
  await gate.ended;
  expect((await bench.run(['exec', '--', 'true'])).code).toBe(0);
  expect((await callsOf('first')).map(end)).toEqual([
    ['intent', undefined],
    ['outcome', 'ok'],
  ]);
});
