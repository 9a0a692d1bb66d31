import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { OutputClosed } from './destination.js';
import { describeFailure, exitCodeOf, usageError } from './failure.js';
import type { Outcome } from './outcome.js';
import { buildProgram } from './program.js';
import { visible } from './visible.js';

/**
 * Runs one command line (without `node` and the script) and returns its exit code. Data goes to stdout, talk and errors
 * to stderr.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    return await parseAndRun(argv);
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    process.stderr.write(describeFailure(error, (process.env['GATEBOOK_DEBUG'] ?? '') !== ''));
    return exitCodeOf(error);
  }
}

async function parseAndRun(argv: readonly string[]): Promise<number> {
  const outcome: Outcome = { exitCode: 0 };
  const program = buildProgram({ version: ownVersion(), outcome });
  for (const each of [program, ...program.commands.flatMap((sub) => [sub, ...sub.commands])]) {
    each.exitOverride().configureOutput({ outputError: writeUsageError });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  return outcome.exitCode;
}

function writeUsageError(text: string, write: (text: string) => void): void {
  const message = text.replace(/^error: /, '').trim();
  write(`gatebook: ${visible(message)}\n`);
}

function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const value: unknown = JSON.parse(text);
  const version = (value as { readonly version?: unknown }).version;
  if (typeof version !== 'string') throw usageError('package.json of gatebook has no version');
  return version;
}

/** The process: as `runCli`, and ends when all that was written has left. */
export async function main(): Promise<void> {
  // A reader that went away is noticed by the write itself; without a listener it would be an uncaught error too.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const exitCode = await runCli(process.argv.slice(2));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(exitCode);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => {
    if (stream.destroyed || !stream.writable) return done();
    stream.write('', () => done());
  });
}
