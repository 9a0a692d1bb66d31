import * as fs from 'node:fs';
import { openAuditLog } from '@gatebook/audit';
import { createPolicy, type Policy, type ToolCall } from '@gatebook/policy';
import { createGate } from 'gatebook';
import type { CallTimes, ChildTask, DecisionTimes } from './child-tasks.js';
import { event } from './event.js';
import { rules } from './gate-rules.js';

/** What child processes do to answer questions about the gate. */

/** Twice as many calls as count, one after the other: code that has just been loaded is slow. */
async function timed(calls: number, call: (at: number) => unknown): Promise<number[]> {
  const us: number[] = [];
  for (let at = 0; at < calls * 2; at++) {
    const since = performance.now();
    const made = call(at);
    if (made instanceof Promise) await made;
    const end = performance.now();
    if (at >= calls) us.push((end - since) * 1_000);
  }
  return us;
}

export async function makeGateCalls(
  task: Extract<ChildTask, { kind: 'gate-call' }>,
): Promise<CallTimes> {
  const { dir, keysDir, calls, env } = task;
  Object.assign(process.env, env);
  const report = (): void => {};
  const gate = await createGate({ log: { dir, keysDir }, actor: { userId: 'ada' }, report });
  let runs = 0;
  // Different calls: the breaker stops who makes the same one all the time.
  const us = await timed(calls, (at) =>
    gate.call({ tool: 'search', arguments: { query: `the word number ${at}` } }, () => ++runs),
  );
  await gate.close();
  if (runs !== calls * 2) throw new Error('a call was not made');
  return { us };
}

export async function decideCalls(
  task: Extract<ChildTask, { kind: 'decide' }>,
): Promise<DecisionTimes> {
  const policy = await createPolicy(rules);
  const lines = fs
    .readFileSync(task.corpus, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !/^[#\t]/.test(line));
  const shell = (at: number): ToolCall => ({
    tool: 'exec',
    arguments: { command: lines[at % lines.length] },
  });
  const tool = (at: number): ToolCall => ({
    tool: 'search',
    server: 'web',
    arguments: { query: `the word number ${at}`, limit: at % 50 },
  });
  const shellUs = await timed(task.calls, (at) => decide(policy, shell(at)));
  const toolUs = await timed(task.calls, (at) => decide(policy, tool(at)));
  policy.close();
  return { shellUs, toolUs };
}

function decide(policy: Policy, call: ToolCall): void {
  if (policy.decide(call).rule === '') throw new Error('there is no decision');
}

export async function appendOneByOne(
  task: Extract<ChildTask, { kind: 'one-by-one' }>,
): Promise<CallTimes> {
  const { dir, keysDir, calls } = task;
  const log = await openAuditLog({ dir, keysDir });
  const us = await timed(calls, () => log.append(event));
  await log.close();
  return { us };
}
