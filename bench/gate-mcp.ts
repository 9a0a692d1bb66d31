import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Answer, atMost, type Measures, quantile, ratioTable, tableOf } from './answer.js';
import type { Bench } from './bench.js';
import type { DecisionTimes, LogFolders, Variables } from './child-tasks.js';
import { twoAppends } from './gate-appends.js';
import { ruleVariables } from './gate-rules.js';
import { type Contender, runRounds } from './rounds.js';
import { runTask } from './run-child.js';

const gatebookBin = path.join(import.meta.dirname, '../../packages/gatebook/bin/gatebook.js');
const server = [process.execPath, path.join(import.meta.dirname, 'echo-server.js')];
const corpus = path.join(import.meta.dirname, '../../packages/policy/corpus/benign.txt');
const names = {
  own: 'gatebook mcp',
  direct: 'the server itself',
  policy: 'a decision of the policy',
};
const column = 'p50 µs';

/** How much does the relay add to a call? */
export async function gateMcp(bench: Bench): Promise<Answer> {
  const { plan, workspace } = bench;
  const calls = plan.gateCalls;
  const relayed = (folders: LogFolders): readonly string[] => {
    const places = ['--log', folders.dir, '--keys', folders.keysDir];
    return [process.execPath, gatebookBin, 'mcp', ...places, '--', ...server];
  };
  const contender = (name: string, words: () => readonly string[]): Contender => ({
    name,
    async measure() {
      const env = { XDG_CONFIG_HOME: workspace.path(), ...ruleVariables };
      return timesOf(await callThrough(words(), env, calls, workspace.signal));
    },
  });
  const appends = twoAppends(bench, column);
  const policy: Contender = {
    name: names.policy,
    async measure() {
      const task = { kind: 'decide', calls, corpus } as const;
      const { toolUs } = await runTask<DecisionTimes>(task, workspace.signal);
      return { [column]: quantile(toolUs, 0.5) };
    },
  };
  const rounds = await runRounds(
    plan,
    [
      contender(names.own, () => relayed(workspace.logFolders())),
      contender(names.direct, () => server),
      appends,
      policy,
    ],
    workspace.settle,
  );
  const added = rounds.map((round) => {
    const us = (name: string): number => round.get(name)?.[column] ?? Number.NaN;
    return (us(names.own) - us(names.direct) - us(appends.name) - us(names.policy)) / 1_000;
  });
  return {
    question: 'gate-mcp',
    title: 'A tools/call through gatebook mcp',
    method: [
      `${calls.toLocaleString('en')} calls a round over stdio, one after the other, after as many others, each in a session of its own; the server answers at once. The policy has the shipped rules and 20 more, the breaker is on.`,
      'What is added is the call through the relay, less the call to the server itself, the two records that are synced one after the other, and the decision of the policy, each of the same round.',
    ],
    tables: [
      tableOf('One call', rounds),
      ratioTable('One call: ratios', rounds, names.own, [names.direct], [column]),
    ],
    targets: [
      atMost(
        'added to a call, p50',
        quantile(added, 0.5),
        1,
        'ms',
        'two more processes that take turns, on a machine that runs two at a time.',
      ),
    ],
  };
}

function timesOf(us: readonly number[]): Measures {
  return { [column]: quantile(us, 0.5), 'p99 µs': quantile(us, 0.99) };
}

type Running = ChildProcessByStdio<Writable, Readable, null>;

/** Microseconds, one a call that counts. */
async function callThrough(
  words: readonly string[],
  env: Variables,
  calls: number,
  signal: AbortSignal,
): Promise<number[]> {
  const [file = '', ...args] = words;
  const child: Running = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
    signal,
  });
  const exit = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const ask = (id: number, method: string, params: object): Promise<Reply> => {
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    return replyOf(lines, exit);
  };
  await ask(0, 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1' },
  });
  const us: number[] = [];
  for (let at = 1; at <= calls * 2; at++) {
    const since = performance.now();
    const params = { name: 'search', arguments: { query: `the word number ${at}` } };
    const reply = await ask(at, 'tools/call', params);
    const end = performance.now();
    if (reply.id !== at || reply.result?.isError !== undefined) throw new Error('a call failed');
    if (at > calls) us.push((end - since) * 1_000);
  }
  child.stdin.end();
  await exit;
  return us;
}

interface Reply {
  readonly id?: number;
  readonly result?: { readonly isError?: boolean };
}

async function replyOf(lines: Interface, exit: Promise<unknown>): Promise<Reply> {
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => text as string),
    exit.then(() => undefined),
  ]);
  if (line === undefined) throw new Error('a process ended before it answered');
  return JSON.parse(line) as Reply;
}
