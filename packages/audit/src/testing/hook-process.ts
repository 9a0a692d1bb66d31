import { type ChildProcess, fork } from 'node:child_process';
import * as path from 'node:path';
import { onTestFinished } from 'vitest';
import { type Folders, packageRoot } from './folders.js';
import type { Order } from './hook-program.js';

interface Said {
  readonly id?: number;
  readonly said?: string;
  readonly code?: string;
  readonly message?: string;
}

/** A process of `hook-program.ts`. It is killed when the running test has finished. */
export class HookProcess {
  readonly #child: ChildProcess;
  #next = 0;
  readonly #waiting = new Map<number, (said: Said) => void>();

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start({ dir, keysDir }: Folders): Promise<HookProcess> {
    const program = path.join(packageRoot, 'dist', 'testing', 'hook-program.js');
    const child = fork(program, [dir, keysDir]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const started = new HookProcess(child);
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', () => reject(new Error('the program ended before it had the log')));
    });
    child.on('message', (said: Said) => started.#waiting.get(said.id ?? -1)?.(said));
    return started;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** What it said, or the code of its error. */
  order(order: Omit<Order, 'id'>): Promise<string> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, ({ said, code }) => resolve(said ?? code ?? ''));
      this.#child.send({ id, ...order });
    });
  }
}
