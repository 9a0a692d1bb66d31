import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import { Breaker } from './breaker.js';
import { isUnknownScript, type ScriptClient } from './client.js';
import { StoreFailure } from './store-failure.js';

/** A script, and the name that the server gives it. */
export class Script {
  readonly text: string;
  readonly sha: string;

  constructor(text: string) {
    this.text = text;
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

export interface LinkOptions {
  readonly client: ScriptClient;
  readonly clock: Clock;
  /** After so long a call has failed, whatever becomes of it. */
  readonly timeoutMs: number;
  /** Calls that may be under way. */
  readonly maxInFlight: number;
  /** Told when the store is found to be away, and when it is back. */
  readonly onChange?: ((isUp: boolean) => void) | undefined;
}

interface Pending {
  readonly deadline: number;
  isOver: boolean;
  late(): void;
}

/** The way to the store: every call ends within the time-out, and while the store is away none is made but a probe now and then. */
export class Link {
  readonly #options: LinkOptions;
  readonly #breaker: Breaker;
  /** In the order of their deadlines, since all have the same time. */
  #pending: Pending[] = [];
  #oldest = 0;
  #inFlight = 0;
  #stop: (() => void) | undefined;
  #isUp = true;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#breaker = new Breaker(options.clock);
  }

  get isOpen(): boolean {
    return this.#breaker.isOpen;
  }

  get pauseMs(): number {
    return this.#breaker.pauseMs;
  }

  /**
   * Runs a script. `onLate` gets what is answered after the time-out, or nothing where the call failed without anybody knowing whether
   * it was done.
   *
   * @throws StoreFailure
   */
  run(
    script: Script,
    keys: string[],
    values: string[],
    onLate?: (reply: unknown) => void,
  ): Promise<unknown> {
    const { client, clock, timeoutMs, maxInFlight } = this.#options;
    if (this.#closed) return Promise.reject(new StoreFailure('the limiter is closed', false, 0));
    if (this.#inFlight >= maxInFlight) {
      const message = `${maxInFlight} calls to the store are under way already`;
      return Promise.reject(new StoreFailure(message, false, timeoutMs));
    }
    if (!this.#breaker.enter()) {
      const message = 'the store does not answer, and is asked again later';
      return Promise.reject(new StoreFailure(message, false, this.#breaker.pauseMs));
    }
    this.#inFlight++;
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        deadline: clock.now() + timeoutMs,
        isOver: false,
        late: () => {
          this.#failed();
          const message = `the store has not answered within ${timeoutMs} ms`;
          reject(new StoreFailure(message, true, Math.max(timeoutMs, this.#breaker.pauseMs)));
        },
      };
      this.#pending.push(pending);
      if (this.#stop === undefined) this.#watch();
      this.#call(client, script, keys, values).then(
        (reply) => {
          this.#inFlight--;
          this.#succeeded();
          if (pending.isOver) onLate?.(reply);
          else {
            pending.isOver = true;
            resolve(reply);
          }
        },
        (error: unknown) => {
          this.#inFlight--;
          if (pending.isOver) {
            onLate?.(undefined);
            return;
          }
          pending.isOver = true;
          this.#failed();
          onLate?.(undefined);
          const reason = error instanceof Error ? error.message : String(error);
          reject(
            new StoreFailure(`the store failed: ${reason}`, true, this.#breaker.pauseMs, error),
          );
        },
      );
    });
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#stop = undefined;
    for (const pending of this.#pending.slice(this.#oldest)) {
      if (pending.isOver) continue;
      pending.isOver = true;
      pending.late();
    }
    this.#pending = [];
    this.#oldest = 0;
  }

  async #call(
    client: ScriptClient,
    script: Script,
    keys: string[],
    values: string[],
  ): Promise<unknown> {
    try {
      return await client.run(script.sha, keys, values);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return await client.teach(script.text, keys, values);
    }
  }

  #succeeded(): void {
    this.#breaker.succeeded();
    this.#tell(true);
  }

  #failed(): void {
    this.#breaker.failed();
    if (this.#breaker.isOpen) this.#tell(false);
  }

  #tell(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.#options.onChange?.(isUp);
  }

  /** One timer, for the oldest call that is not over. */
  #watch(): void {
    while (this.#oldest < this.#pending.length && this.#pending[this.#oldest]!.isOver)
      this.#oldest++;
    if (this.#oldest > 1_024 || this.#oldest === this.#pending.length) {
      this.#pending = this.#pending.slice(this.#oldest);
      this.#oldest = 0;
    }
    const next = this.#pending[this.#oldest];
    this.#stop = undefined;
    if (next === undefined || this.#closed) return;
    const { clock } = this.#options;
    this.#stop = clock.wake(Math.max(1, Math.ceil(next.deadline - clock.now())), () => {
      const now = clock.now();
      for (let i = this.#oldest; i < this.#pending.length; i++) {
        const pending = this.#pending[i]!;
        if (pending.deadline > now) break;
        if (pending.isOver) continue;
        pending.isOver = true;
        pending.late();
      }
      this.#watch();
    });
  }
}
