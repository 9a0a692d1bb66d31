import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildTask } from './child-tasks.js';

const childMsMax = 15 * 60_000;
const childProgram = path.join(import.meta.dirname, 'child.js');

interface Running {
  readonly child: ChildProcess;
  /** Exit code and signal; rejects when the program could not be started or was aborted. */
  readonly exit: Promise<[number | null, string | null]>;
}

/** Runs a task in a fresh Node process and gives the last line it printed. Throws when the process fails. */
export async function runTask<T>(task: ChildTask, signal: AbortSignal): Promise<T> {
  const running = startTask(task, signal);
  let last = 'null';
  for await (const line of linesOf(running)) last = line;
  await success(running, task.kind);
  return JSON.parse(last) as T;
}

/**
 * Starts a writer under load and kills it with SIGKILL `delayMs` after it has acknowledged `records`, in the middle of
 * whatever it is doing then.
 */
export async function killUnderLoad(
  task: Extract<ChildTask, { kind: 'append' }>,
  records: number,
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
  const running = startTask(task, signal);
  let doomed = false;
  for await (const line of linesOf(running)) {
    if (doomed || Number(line) < records) continue;
    doomed = true;
    setTimeout(() => running.child.kill('SIGKILL'), delayMs);
  }
  const [, killedBy] = await running.exit;
  if (killedBy !== 'SIGKILL') throw new Error('the writer ended before it was killed');
}

/** Runs a program of the system to its end and gives how long that took, in milliseconds. */
export async function timeProgram(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const start = performance.now();
  await success(startProgram(program, args, 'ignore', signal), program);
  return performance.now() - start;
}

function startTask(task: ChildTask, signal: AbortSignal): Running {
  return startProgram(process.execPath, [childProgram, JSON.stringify(task)], 'pipe', signal);
}

function startProgram(
  program: string,
  args: readonly string[],
  stdout: 'pipe' | 'ignore',
  signal: AbortSignal,
): Running {
  const child = spawn(program, args, {
    stdio: ['ignore', stdout, 'inherit'],
    env: { ...process.env, LC_ALL: 'C' },
    timeout: childMsMax,
    signal,
  });
  const exit = once(child, 'exit') as Running['exit'];
  // It may fail while its output is still being read; whoever awaits it then hears of it.
  exit.catch(() => {});
  return { child, exit };
}

function linesOf({ child }: Running): AsyncIterable<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  return createInterface({ input: child.stdout });
}

async function success({ exit }: Running, what: string): Promise<void> {
  const [code, killedBy] = await exit;
  if (code !== 0) throw new Error(`${what} ended with ${killedBy ?? `exit code ${code}`}`);
}
