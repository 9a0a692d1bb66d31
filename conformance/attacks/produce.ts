import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { finished, type Ran, repository } from '../cli/gatebook.js';

const program = join(repository, 'examples', 'dist', 'produce-log.js');

/** Starts examples/produce-log.ts, which sets segments and epochs as short as these tests need them. */
export function startProducer(args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [program, ...args]);
  child.stdin.end();
  // Read or not, what it prints must not stop it.
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

/** Runs it to its end. */
export function produce(args: readonly string[]): Promise<Ran> {
  return finished(startProducer(args));
}
