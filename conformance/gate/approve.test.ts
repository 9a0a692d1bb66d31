import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, gatebookBin, openBench, repository } from '../cli/gatebook.js';
import {
  type CallRecord,
  callRecords,
  fixture,
  type Gate,
  type Message,
  startGate,
  toolCall,
  until,
} from '../mcp/gate.js';
import { onTerminal, type Seen, terminalWords } from './terminal.js';

/** A person answers what a gate asks from a terminal elsewhere. */

let bench: Bench;
let gates: Gate[] = [];

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await Promise.all(gates.map(stop));
  gates = [];
  expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  await bench.remove();
});

const runner = join(repository, 'conformance', 'gate', 'fixtures', 'runner-server.mjs');

function start(server: string, ...variables: string[]): Gate {
  const before = ['env', ...variables];
  const options = ['--user', 'ann', '--session', 'desk'];
  const gate = startGate(bench, [process.execPath, server], { before, options });
  gates.push(gate);
  return gate;
}

/** A gate that asks about every call. */
function asking(...variables: string[]): Gate {
  const ask = 'GATEBOOK_SECURITY_POLICY_ASK=["tool:*"]';
  return start(fixture('tap-server.mjs'), ask, ...variables);
}

async function end(gate: Gate): Promise<void> {
  gate.child.stdin.end();
  await gate.ended;
}

/** Ends a gate whose call nobody will answer; with the end of its input alone it would wait for that. */
async function stop(gate: Gate): Promise<void> {
  gate.child.kill('SIGTERM');
  await gate.ended;
}

interface Listed {
  readonly kept: string;
  readonly pending: readonly { readonly id: string; readonly arguments_beginning: string }[];
  readonly approvals: readonly {
    readonly id: string;
    readonly reach: string;
    readonly by: string;
  }[];
}

async function listed(): Promise<Listed> {
  const ran = await bench.run(['approve', '--list', '--json']);
  expect(ran.code).toBe(0);
  return JSON.parse(ran.stdout) as Listed;
}

/** The id of the question that waits. */
async function waiting(): Promise<string> {
  await until(async () => {
    const records = await told();
    const idsOf = (type: string): unknown[] =>
      records
        .filter((each) => each.event_type === type)
        .map(({ details }) => details?.['approval']);
    const answered = new Set(idsOf('gate.approval'));
    return idsOf('gate.approval_requested').some((id) => !answered.has(id));
  });
  let pending: Listed['pending'] = [];
  await until(async () => {
    pending = (await listed()).pending;
    return pending.length > 0;
  });
  expect(pending).toHaveLength(1);
  return pending[0]!.id;
}

async function terminal(answer: string, ...args: string[]): Promise<Seen> {
  const env = { GATEBOOK_LOG: bench.log, GATEBOOK_KEYS: bench.keys };
  return await onTerminal(['approve', ...args], answer, env);
}

function passed({ result }: Message): boolean {
  return result !== undefined && result.isError !== true;
}

/** What the book has about the call, in its order. */
async function told(): Promise<CallRecord[]> {
  const types = ['gate.approval', 'gate.approval_requested', 'tool_execution', 'policy_violation'];
  return (await callRecords(bench)).filter(({ event_type }) => types.includes(event_type));
}

test('a call waits until a person has read it and said yes, which is in the book before it passes', async () => {
  const gate = asking();
  gate.send(toolCall(1, 'echo', { text: 'a\u001b[2J\u202eb' }));
  const id = await waiting();

  const piped = await bench.run(['approve', id], { input: 'y\n' });
  expect([piped.code, piped.stderr]).toEqual([2, expect.stringContaining('needs a terminal')]);
  const no = await terminal('no\n', id);
  expect(no.code).toBe(1);
  expect(await waiting()).toBe(id);

  const yes = await terminal('y\n', id);
  expect(yes.code).toBe(0);
  expect(yes.text).toContain('a\\u001b[2J\\u{202e}b');
  expect(yes.text).toMatch(/^tool +\S*echo$/m);
  expect(yes.text).toMatch(/^actor +user ann/m);
  expect(yes.text).toMatch(/^arguments +\d+ bytes, SHA-256 [0-9a-f]+$/m);
  expect(yes.text).toContain(`asked by   process ${gate.child.pid}`);
  expect(passed(await gate.answer(1))).toBe(true);
  // The outcome is recorded after the answer has passed.
  await until(async () => (await told()).length > 3);
  const records = await told();
  expect(records.map(({ event_type }) => event_type)).toEqual([
    'gate.approval_requested',
    'gate.approval',
    'tool_execution',
    'tool_execution',
  ]);
  const [, answer, intent] = records;
  expect(answer).toMatchObject({
    actor: { user_id: 'ann' },
    action: { approved: true },
    details: { approval: id, how: 'command', reach: 'once' },
  });
  expect(intent).toMatchObject({ details: { approval: id }, action: { approved: true } });

  // It was for once.
  gate.send(toolCall(2, 'echo', { text: 'a\u001b[2J\u202eb' }));
  const again = await waiting();
  expect(again).not.toBe(id);
  expect((await terminal('yes\n', again, '--deny')).code).toBe(0);
  expect(passed(await gate.answer(2))).toBe(false);
  expect((await told()).at(-2)).toMatchObject({ action: { approved: false } });
  const gone = await terminal('y\n', again);
  expect([gone.code, gone.text]).toEqual([1, expect.stringContaining('no call waits')]);
});

test('a yes reaches as far as it says, and can be taken back', async () => {
  const gate = asking();
  gate.send(toolCall(1, 'echo', { n: 1 }));
  expect((await terminal('y\n', await waiting(), '--session')).code).toBe(0);
  expect(passed(await gate.answer(1))).toBe(true);
  gate.send(toolCall(2, 'echo', { n: 2 }));
  expect(passed(await gate.answer(2))).toBe(true);
  // Another tool is another question.
  gate.send(toolCall(3, 'noise'));
  expect((await terminal('y\n', await waiting(), '--for', '1h')).code).toBe(0);
  expect(passed(await gate.answer(3))).toBe(true);
  expect((await listed()).approvals.map(({ reach }) => reach)).toEqual(['session', 'until']);
  expect((await terminal('y\n', '--revoke')).code).toBe(0);
  gate.send(toolCall(4, 'echo', { n: 3 }));
  await waiting();
});

test('a yes for the session lets nothing pass that another rule asks about', async () => {
  const gate = start(fixture('tap-server.mjs'));
  gate.send(toolCall(1, 'exec', { command: 'frobnicate x' }));
  expect((await terminal('y\n', await waiting(), '--session')).code).toBe(0);
  await gate.answer(1);
  gate.send(toolCall(2, 'exec', { command: 'frobnicate x; git push --force' }));
  const id = await waiting();
  const [asked] = (await told()).filter(({ details }) => details?.['approval'] === id);
  expect(asked?.details?.['rules']).toEqual(['git-remote-rewrite', 'unknown-program']);
  const seen = await terminal('y\n', id, '--session');
  expect(seen.text).toMatch(/^rule +git-remote-rewrite$/m);
  expect(seen.text).toMatch(/^rule +unknown-program$/m);
  await gate.answer(2);
  // Each of the two alone is less than both.
  gate.send(toolCall(3, 'exec', { command: 'git push --force' }));
  gate.send(toolCall(4, 'exec', { command: 'frobnicate y' }));
  await gate.answer(3);
  await gate.answer(4);
  expect((await listed()).pending).toEqual([]);
});

test('what runs behind a gate answers nothing', async () => {
  const gate = asking();
  gate.send(toolCall(1, 'echo'));
  const id = await waiting();
  const other = start(runner);
  const approve = [process.execPath, gatebookBin, 'approve', id];
  for (const [place, unset] of [[], ['GATEBOOK_GATED']].entries()) {
    other.send(toolCall(`run ${place}`, 'run', { words: terminalWords(approve), unset }));
    const { result } = await other.answer(`run ${place}`);
    expect(result!.content![0]!.text).toContain('is for people, not for what runs behind a gate');
  }
  expect(await waiting()).toBe(id);
});

test('what cannot be recorded is not decided', async () => {
  const gate = asking();
  gate.send(toolCall(1, 'echo'));
  const id = await waiting();
  // A log of which these are not the keys.
  const env = { GATEBOOK_LOG: join(bench.folder, 'other'), GATEBOOK_KEYS: bench.keys };
  const seen = await onTerminal(['approve', id], 'y\n', env);
  expect([seen.code, seen.text]).toEqual([1, expect.stringContaining('cannot be recorded')]);
  expect(await waiting()).toBe(id);
  expect((await told()).map(({ event_type }) => event_type)).toEqual(['gate.approval_requested']);
});

test('a person may answer after the call was refused as pending, and after its gate has ended', async () => {
  const short = 'GATEBOOK_SECURITY_APPROVAL_TIMEOUT=1s';
  const first = asking(short);
  first.send(toolCall(1, 'echo', { n: 1 }));
  const { result } = await first.answer(1);
  const id = await waiting();
  expect(result?.content?.[0]?.text).toContain(`gatebook approve ${id}`);
  await end(first);
  expect((await listed()).kept).toBe('written');
  expect((await terminal('y\n', id)).code).toBe(0);
  const next = asking(short);
  next.send(toolCall(1, 'echo', { n: 1 }));
  expect(passed(await next.answer(1))).toBe(true);
});
