import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tracedEnvironment } from '../crash/programs.js';
import { writeTree } from '../power-loss/tree.js';
import { type Point, readCalls } from './points.js';
import type { Scenario } from './scenarios.js';

export const faults = ['EIO', 'ENOSPC', 'SIGKILL'] as const;
export type Fault = (typeof faults)[number];

export interface Ran {
  readonly said: readonly string[];
  readonly errors: string;
  readonly exit: number | null;
  readonly trace: string;
}

/** A thread pool of one and no ring, so that every file call is made by the same thread each time. */
const environment: NodeJS.ProcessEnv = { ...tracedEnvironment, UV_THREADPOOL_SIZE: '1' };

/** Runs a scenario under strace in `folder`, whose `root` it leaves behind. strace counts `when` by thread and only what it traces. */
export async function runTraced(
  scenario: Scenario,
  folder: string,
  options: readonly string[],
): Promise<Ran> {
  const root = join(folder, 'root');
  const trace = join(folder, 'trace');
  rmSync(root, { recursive: true, force: true });
  writeTree(root, scenario.base);
  const args = ['-f', '-q', '-y', '-o', trace, ...options, ...scenario.command(root)];
  const child = spawn('strace', args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('latin1');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('latin1');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const exit = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearTimeout(timer);
  // A line without its end was promised to nobody.
  const said = out.split('\n').slice(0, -1);
  return { said, errors, exit, trace: readFileSync(trace, 'latin1') };
}

/** The file calls of a run that nothing disturbs, and every path they name, below the root. */
export async function findPoints(
  scenario: Scenario,
  folder: string,
): Promise<{ points: Point[]; paths: string[] }> {
  const ran = await runTraced(scenario, folder, ['--seccomp-bpf', '-e', 'trace=%file,%desc']);
  if (ran.exit !== 0) throw new Error(`${scenario.name}: exit ${ran.exit}: ${ran.errors}`);
  return readCalls(ran.trace, join(folder, 'root'));
}

/** Runs a scenario with one fault at one point; `hit` when the trace shows that it was really given there. */
export async function runInjected(
  scenario: Scenario,
  folder: string,
  paths: readonly string[],
  { call, at }: Point,
  fault: Fault,
): Promise<Ran & { hit: boolean }> {
  // With its filter in the kernel, strace 6.1 gives no signals.
  const what = fault === 'SIGKILL' ? 'signal=SIGKILL' : `error=${fault}`;
  const filter = fault === 'SIGKILL' ? [] : ['--seccomp-bpf'];
  const only = paths.flatMap((path) => ['-P', join(folder, 'root', path)]);
  const options = [...filter, ...only, '-e', `trace=${call}`];
  const inject = `inject=${call}:${what}:when=${at}`;
  const ran = await runTraced(scenario, folder, [...options, '-e', inject]);
  const mark = fault === 'SIGKILL' ? ' +++ killed by SIGKILL +++' : ' (INJECTED)';
  return { ...ran, hit: ran.trace.includes(`${mark}\n`) };
}
