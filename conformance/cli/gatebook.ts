import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository, from wherever the compiled test lies in it. */
export const repository = findRepository(dirname(fileURLToPath(import.meta.url)));

function findRepository(folder: string): string {
  if (existsSync(join(folder, 'packages', 'gatebook', 'bin', 'gatebook.js'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the repository with packages/gatebook was not found');
  return findRepository(parent);
}

export const gatebookBin = join(repository, 'packages', 'gatebook', 'bin', 'gatebook.js');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Environment variables that would change what a run does. */
const cleared = ['GATEBOOK_LOG', 'GATEBOOK_KEYS', 'GATEBOOK_DEBUG', 'COLUMNS', 'NO_COLOR'];

export function start(
  args: readonly string[],
  options: RunOptions = {},
): ChildProcessWithoutNullStreams {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const name of cleared) delete env[name];
  return spawn(process.execPath, [gatebookBin, ...args], {
    env: { ...env, ...options.env },
    cwd: options.cwd,
  });
}

/** Collects what a started process says until it ends. */
export function finished(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  return new Promise((done, fail) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', fail);
    child.on('close', (code) =>
      done({
        code,
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      }),
    );
  });
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = start(args, options);
  // A process that ends before it has read everything is no fault of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return await finished(child);
}

/** A folder of its own for one test file, with the places of a log in it. */
export interface Bench {
  readonly folder: string;
  readonly log: string;
  readonly keys: string;
  /** Runs a command on this log. */
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  start(args: readonly string[]): ChildProcessWithoutNullStreams;
  /** Records events; throws when one is refused. */
  record(events: readonly object[]): Promise<void>;
  /** The records as `audit --format json` gives them. */
  records(args?: readonly string[]): Promise<StoredEvent[]>;
  remove(): Promise<void>;
}

export interface StoredEvent {
  readonly seq: number;
  readonly event_id: string;
  readonly event_type: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly action?: Readonly<Record<string, unknown>>;
}

export async function openBench(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'gatebook-cli-'));
  const log = join(folder, 'log');
  const keys = join(folder, 'keys');
  const places = { GATEBOOK_LOG: log, GATEBOOK_KEYS: keys };
  const runHere = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    run(args, { ...options, env: { ...places, ...options.env } });
  return {
    folder,
    log,
    keys,
    run: runHere,
    start: (args) => start(args, { env: places }),
    record: async (events) => {
      const input = events.map((event) => `${JSON.stringify(event)}\n`).join('');
      const ran = await runHere(['record'], { input });
      if (ran.code !== 0) throw new Error(`record failed: ${ran.stdout}${ran.stderr}`);
    },
    records: async (args = []) => {
      const ran = await runHere(['audit', '--format', 'json', ...args]);
      if (ran.code !== 0) throw new Error(`audit failed: ${ran.stderr}`);
      return linesOf(ran.stdout).map((line) => JSON.parse(line) as StoredEvent);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

export function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

/** The bytes of all segments, joined in order; none where there is no log yet. */
export async function segmentBytes(log: string): Promise<Buffer> {
  const segments = join(log, 'segments');
  const found = existsSync(segments) ? await readdir(segments) : [];
  const names = found.filter((name) => name.endsWith('.jsonl'));
  names.sort();
  return Buffer.concat(
    await Promise.all(names.map((name) => readFile(join(log, 'segments', name)))),
  );
}
