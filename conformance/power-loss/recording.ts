import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gatebook, straceSetup, tracedEnvironment, writeLoad } from '../crash/programs.js';
import { places } from './judge.js';
import { type Call, readTrace, tracedCalls } from './trace.js';
import { type Tree, writeTree } from './tree.js';

/** Makes sure that strace is there; takes a while where it has to be installed. */
export function ensureStrace(): void {
  const { status, stderr } = spawnSync(straceSetup, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`strace cannot be installed: ${stderr}`);
}

/**
 * Runs `write-load` on a copy of `base` under strace and returns what it did to the files. `inject` makes calls fail, in
 * strace's words.
 */
export function record(base: Tree, args: readonly string[], inject?: string): Call[] {
  return trace(base, [writeLoad, ...args], /closed\n$/, inject);
}

/** Runs `gatebook audit archive` so. What it says is no word of the log's. */
export function recordArchiving(base: Tree): Call[] {
  const calls = trace(base, [gatebook, 'audit', 'archive'], /[1-9]\d* segments archived\n$/);
  return calls.filter(({ kind }) => kind !== 'said');
}

function trace(base: Tree, command: readonly string[], says: RegExp, inject?: string): Call[] {
  const folder = mkdtempSync(join(tmpdir(), 'gatebook-trace-'));
  const root = join(folder, 'root');
  const file = join(folder, 'trace');
  try {
    writeTree(root, base);
    const options = ['-f', '--seccomp-bpf', '-qq', '-xx', '-s', '16777216', '-e', 'signal=none'];
    const paths = ['--log', join(root, places.log), '--keys', join(root, places.keys)];
    if (inject !== undefined) options.push('-e', `inject=${inject}`);
    const ran = spawnSync(
      'strace',
      [
        ...[...options, '-e', `trace=${tracedCalls}`, '-o', file],
        ...[process.execPath, ...command, ...paths],
      ],
      { encoding: 'utf8', env: tracedEnvironment, timeout: 60_000 },
    );
    const calls = readTrace(readFileSync(file, 'latin1'), root);
    const wanted = ran.status === 0 && says.test(ran.stdout);
    if (!wanted) throw new TracedRunFailed(ran.stdout + ran.stderr, calls);
    return calls;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The traced program did not end as it should: the state it was started on is itself a finding. */
export class TracedRunFailed extends Error {
  readonly calls: readonly Call[];

  constructor(said: string, calls: readonly Call[]) {
    super(`the traced program did not end well: ${said.slice(-2_000)}`);
    this.calls = calls;
  }
}
