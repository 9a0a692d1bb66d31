import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { gatebook, writeLoad } from './programs.js';

export interface Folders {
  readonly root: string;
  readonly log: string;
  readonly keys: string;
}

export function makeFolders(): Folders {
  const root = mkdtempSync(join(tmpdir(), 'gatebook-crash-'));
  return { root, log: join(root, 'log'), keys: join(root, 'keys') };
}

export function removeFolders({ root }: Folders): void {
  rmSync(root, { recursive: true, force: true });
}

export function loadCommand({ log, keys }: Folders, args: readonly string[]): string[] {
  return [process.execPath, writeLoad, '--log', log, '--keys', keys, ...args];
}

/** A running program and the lines it has said so far. */
export interface Load {
  readonly process: ChildProcess;
  /** Whole lines only: a cut one was promised to nobody. */
  readonly lines: string[];
  readonly errors: () => string;
  /** Resolves when a line for which `wanted` holds was said, or the program has ended. */
  until(wanted: (line: string) => boolean): Promise<void>;
  readonly ended: Promise<number | null>;
}

export function startLoad(command: readonly string[], env: NodeJS.ProcessEnv = process.env): Load {
  const [program = '', ...args] = command;
  return follow(spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }), (line) => line);
}

/** `gatebook record` fed with numbered events as fast as it takes them; its answers read like those of `write-load`. */
export function startRecord({ log, keys }: Folders, first: number): Load {
  const child = spawn(process.execPath, [gatebook, 'record', '--log', log, '--keys', keys], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let next = first;
  const feed = (): void => {
    let room = true;
    while (room && child.stdin.writable) {
      const n = next++;
      const details = { n, text: '.'.repeat(n % 97) };
      room = child.stdin.write(`${JSON.stringify({ event_type: 'example.load', details })}\n`);
    }
  };
  child.stdin.on('drain', feed);
  child.stdin.on('error', () => {});
  feed();
  let answered = first;
  return follow(child, (line) => {
    const { ok, seq, event_id } = JSON.parse(line) as {
      ok: boolean;
      seq: number;
      event_id: string;
    };
    return `${answered++} ${ok ? `${seq} ${event_id}` : `refused ${line}`}`;
  });
}

function follow(
  child: ChildProcessByStdio<Writable | null, Readable, Readable>,
  read: (line: string) => string,
): Load {
  const lines: string[] = [];
  const waiting: { wanted: (line: string) => boolean; resolve: () => void }[] = [];
  let rest = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  child.stdout.on('data', (chunk: Buffer) => {
    const pieces = (rest + chunk.toString('latin1')).split('\n');
    rest = pieces.pop() ?? '';
    for (const line of pieces.map(read)) {
      lines.push(line);
      for (const { wanted, resolve } of waiting) if (wanted(line)) resolve();
    }
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      for (const { resolve: done } of waiting) done();
      resolve(code);
    });
  });
  const until = (wanted: (line: string) => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (lines.some(wanted) || child.exitCode !== null) resolve();
      else waiting.push({ wanted, resolve });
    });
  return { process: child, lines, errors: () => errors, until, ended };
}
