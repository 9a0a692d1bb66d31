import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { delay, within } from './delay.js';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Why a command could not be started, with the exit code shells give for it. */
export class StartError extends Error {
  readonly exitCode: 126 | 127;

  constructor(command: string, cause: unknown) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    super(`cannot start ${command}: ${startReason(code, cause)}`, { cause });
    this.name = 'StartError';
    this.exitCode = code === 'ENOENT' ? 127 : 126;
  }
}

function startReason(code: string, cause: unknown): string {
  if (code === 'ENOENT') return 'no such command, or the working directory is gone';
  if (code === 'EACCES') return 'it is not executable';
  return cause instanceof Error ? cause.message : String(cause);
}

/** Resolves when the system has started the command; throws a StartError when it has not. */
export async function started(child: ChildProcess, command: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new StartError(command, error)));
  });
}

const pollMs = 25;

/**
 * The MCP server as a child process, leader of its own process group, so that what it starts in turn (`npx` starts a
 * shell that starts the server) gets the same signals and nothing is left behind.
 */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable | null;
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, stdin: Writable, stdout: Readable) {
    this.#child = child;
    this.#pid = child.pid!;
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = child.stderr;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Starts the command. Its stderr is ours, or a stream when `pipeStderr`. Throws a StartError. */
  static async start(
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    pipeStderr: boolean,
  ): Promise<ServerProcess> {
    const [file, ...args] = command;
    if (file === undefined || file === '') throw new StartError('""', new Error('no command'));
    let child: ChildProcess;
    try {
      child = spawn(file, args, {
        stdio: ['pipe', 'pipe', pipeStderr ? 'pipe' : 'inherit'],
        detached: true,
        env,
      });
    } catch (error) {
      throw new StartError(file, error);
    }
    // After the start, errors can only be of signals that came too late.
    child.on('error', () => undefined);
    const { stdin, stdout } = child;
    if (stdin === null || stdout === null) throw new StartError(file, new Error('no pipes'));
    const server = new Promise<ServerProcess>((resolve) => {
      child.once('spawn', () => resolve(new ServerProcess(child, stdin, stdout)));
    });
    await started(child, file);
    return server;
  }

  /** How it ended, once it has. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Sends a signal to the server and everything in its group. */
  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#pid, signal);
    } catch {
      if (this.running) this.#child.kill(signal);
    }
  }

  /** Ends the server: SIGTERM, and SIGKILL if it is still there after `killAfterMs`. */
  async stop(killAfterMs: number): Promise<void> {
    this.signal('SIGTERM');
    if (!(await within(this.exited, killAfterMs))) this.signal('SIGKILL');
  }

  /** After the server's exit: ends what it left running in its group. */
  async sweep(killAfterMs: number): Promise<void> {
    if (!this.#groupExists()) return;
    this.signal('SIGTERM');
    for (let waitedMs = 0; waitedMs < killAfterMs; waitedMs += pollMs) {
      await delay(pollMs);
      if (!this.#groupExists()) return;
    }
    this.signal('SIGKILL');
  }

  #groupExists(): boolean {
    try {
      process.kill(-this.#pid, 0);
      return true;
    } catch {
      return false;
    }
  }
}
