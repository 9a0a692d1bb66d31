import { delay, within } from './delay.js';
import type { Outlet } from './outlet.js';
import type { ServerProcess } from './server-process.js';

/** All in milliseconds. */
export interface ShutdownTimes {
  /** How long a server may take to end by itself after its input was closed; default 5000. */
  readonly graceMs?: number;
  /** The same while requests still wait for an answer; default 60,000. */
  readonly busyGraceMs?: number;
  /** How long after SIGTERM comes SIGKILL; default 1500, less than what MCP clients wait before they kill us. */
  readonly killAfterMs?: number;
}

const forwarded: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
const pollMs = 50;
const stallMs = 1000;

/** Passes signals on to the server and sees to it that it ends when its client is gone, and leaves nothing behind. */
export class Shutdown {
  readonly #server: ServerProcess;
  readonly #waiting: () => number;
  readonly #graceMs: number;
  readonly #busyGraceMs: number;
  readonly #killAfterMs: number;
  readonly #onSignal = (signal: NodeJS.Signals): void => this.#signal(signal);
  #begun = false;
  #stopping = false;
  /** Whether somebody told us to end. */
  #told = false;

  constructor(server: ServerProcess, waiting: () => number, times: ShutdownTimes = {}) {
    this.#server = server;
    this.#waiting = waiting;
    this.#graceMs = times.graceMs ?? 5000;
    this.#busyGraceMs = times.busyGraceMs ?? 60_000;
    this.#killAfterMs = times.killAfterMs ?? 1500;
    for (const name of forwarded) process.on(name, this.#onSignal);
  }

  /** The server's input is closed: it gets its grace, then SIGTERM, then SIGKILL. Only the first call counts. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    void this.#grace();
  }

  /**
   * After the server's exit: ends what it left behind, and waits until its output was read to the end. A slow client
   * is waited for; a process outside the server's group that only holds the pipe open is not.
   */
  async drained(serverDone: Promise<void>, chunks: () => number, client: Outlet): Promise<void> {
    await within(serverDone, pollMs);
    await this.#server.sweep(this.#killAfterMs);
    for (;;) {
      const before = chunks();
      if (await within(serverDone, stallMs)) return;
      if (this.#told || (chunks() === before && !client.blocked)) this.#server.stdout.destroy();
    }
  }

  /** Waits for something that hangs on the client, but not for long once somebody told us to end. */
  async patiently(promise: Promise<void>): Promise<void> {
    while (!(await within(promise, stallMs))) if (this.#told) return;
  }

  end(): void {
    for (const name of forwarded) process.off(name, this.#onSignal);
  }

  #signal(signal: NodeJS.Signals): void {
    this.#told = true;
    // The others a server may survive on purpose; SIGTERM means the end.
    if (signal === 'SIGTERM' && this.#server.running && !this.#stopping) void this.#stop();
    else this.#server.signal(signal);
  }

  async #grace(): Promise<void> {
    for (let waitedMs = 0; this.#server.running; waitedMs += pollMs) {
      if (waitedMs >= (this.#waiting() > 0 ? this.#busyGraceMs : this.#graceMs)) break;
      await delay(pollMs);
    }
    await this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#stopping || !this.#server.running) return;
    this.#stopping = true;
    await this.#server.stop(this.#killAfterMs);
  }
}
