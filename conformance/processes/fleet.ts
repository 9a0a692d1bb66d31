import { type Folders, type Load, loadCommand, startLoad } from '../crash/load.js';

/** Several processes that append to one log, each replaced when it dies until its share is acknowledged. */
export class Fleet {
  readonly #folders: Folders;
  readonly #share: number;
  readonly #args: readonly string[];
  readonly #running = new Map<number, Load>();
  readonly #slots: Promise<void>[];
  /** Everything that was said, by whatever process. */
  readonly said: string[] = [];
  /** What made a process end that was not killed. */
  readonly failures: string[] = [];
  #done = false;
  #next = 0;
  started = 0;

  constructor(folders: Folders, size: number, share: number, args: readonly string[]) {
    this.#folders = folders;
    this.#share = share;
    this.#args = args;
    this.#slots = Array.from({ length: size }, () => this.#run());
    void Promise.all(this.#slots).then(() => {
      this.#done = true;
    });
  }

  get done(): boolean {
    return this.#done;
  }

  get pids(): number[] {
    return [...this.#running.keys()];
  }

  async ended(): Promise<void> {
    await Promise.all(this.#slots);
  }

  /** Kills a process of ours; false when it is none, or gone already. */
  kill(pid: number): boolean {
    return this.#running.get(pid)?.process.kill('SIGKILL') ?? false;
  }

  async #run(): Promise<void> {
    for (let left = this.#share; left > 0; ) {
      const first = this.#next;
      this.#next += 1_000_000;
      const load = startLoad(
        loadCommand(this.#folders, [
          ...['--first', String(first), '--records', String(left), ...this.#args],
        ]),
      );
      const pid = load.process.pid!;
      this.#running.set(pid, load);
      this.started++;
      const code = await load.ended;
      this.#running.delete(pid);
      for (const line of load.lines) this.said.push(line);
      left -= load.lines.filter((line) => /^\d+ \d+ /.test(line)).length;
      if (load.process.signalCode === 'SIGKILL') continue;
      if (code === 0 && left <= 0) return;
      this.failures.push(
        `process ${pid} ended with ${code}: ${load.lines.at(-1)} ${load.errors()}`,
      );
      return;
    }
  }
}
