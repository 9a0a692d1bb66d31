import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildTask, Shared } from './child-tasks.js';

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

/** Runs tasks at the same time, each in a process of its own; all begin when the last of them is ready. */
export async function shareLoad(
  tasks: readonly Extract<ChildTask, { kind: 'share' }>[],
  signal: AbortSignal,
): Promise<Shared[]> {
  const running = tasks.map((task) => startTask(task, signal, 'pipe'));
  const said = running.map((one) => linesOf(one)[Symbol.asyncIterator]());
  for (const lines of said) await nextLine(lines);
  for (const { child } of running) child.stdin?.write('go\n');
  const shares: Shared[] = [];
  for (const lines of said) shares.push(JSON.parse(await nextLine(lines)) as Shared);
  for (const { child } of running) child.stdin?.end();
  for (const one of running) await success(one, 'a share');
  return shares;
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error('a process ended before it answered');
  return value;
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

function startTask(task: ChildTask, signal: AbortSignal, stdin: 'pipe' | 'ignore' = 'ignore') {
  const args = [childProgram, JSON.stringify(task)];
  return startProgram(process.execPath, args, 'pipe', signal, stdin);
}

function startProgram(
  program: string,
  args: readonly string[],
  stdout: 'pipe' | 'ignore',
  signal: AbortSignal,
  stdin: 'pipe' | 'ignore' = 'ignore',
): Running {
  const child = spawn(program, args, {
    stdio: [stdin, stdout, 'inherit'],
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
