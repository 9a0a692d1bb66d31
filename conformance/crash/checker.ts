import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { checkLogs } from './programs.js';

export interface LevelAnswer {
  readonly verdict: string;
  readonly reason?: string;
  readonly records?: number;
  readonly size?: number;
  readonly pending?: number;
  readonly unfinishedBytes?: number;
}

interface Levels {
  readonly public: LevelAnswer;
  readonly auditor: LevelAnswer;
}

/** What `check-logs` says about one pair of folders. */
export interface Answer {
  readonly before: Levels;
  readonly opened?: {
    readonly origin: string;
    readonly publicKey: string;
    readonly seq: number;
    readonly eventId: string;
  };
  readonly error?: string;
  readonly after?: Levels;
  /** Kept content behind the records, by what became of it. */
  readonly contents?: Readonly<
    Record<'opened' | 'erased' | 'missing' | 'no_key' | 'altered', number>
  >;
}

/** A process that verifies, opens, appends to, closes and verifies logs, one after the other. */
export class Checker {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  constructor() {
    this.#process = spawn(process.execPath, [checkLogs], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on('line', (line) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.resolve(JSON.parse(line) as Answer);
    });
    this.#process.on('exit', (code) => {
      this.#waiting?.reject(new Error(`the checking process ended with ${code}`));
    });
  }

  /** One question at a time. With `open` false the log is only verified. */
  check(log: string, keys: string, open = true): Promise<Answer> {
    if (this.#waiting !== undefined) throw new Error('the checker is busy');
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#process.stdin!.write(`${JSON.stringify({ id: 0, log, keys, open })}\n`);
    });
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.stdin!.end();
    await ended;
  }
}
