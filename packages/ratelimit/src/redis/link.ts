import type { Clock } from '../clock.js';
import { Breaker } from './breaker.js';
import { isUnknownScript, type ScriptClient } from './client.js';
import { Pending } from './pending.js';
import type { Script } from './script.js';
import { StoreFailure } from './store-failure.js';

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

/** The way to the store: every call ends within the time-out, and while the store is away none is made but a probe now and then. */
export class Link {
  readonly #options: LinkOptions;
  readonly #breaker: Breaker;
  /** In the order of their deadlines, since all have the same time; it begins and ends with one that is no call. */
  readonly #underWay = new Pending(0, undefined);
  #inFlight = 0;
  #stop: (() => void) | undefined;
  #isUp = true;
  #hasFailed = false;
  readonly #sent = new Set<Script>();
  #last: Script | undefined;
  #changes = 0;
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

  /** Whether it was asked nothing that it has not answered. */
  get isIdle(): boolean {
    return this.#inFlight === 0;
  }

  /** Grows when the store may be another server than it was: it has answered after it failed, or has forgotten a script. */
  get changes(): number {
    return this.#changes;
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
    let pending: Pending;
    try {
      pending = this.enter(onLate);
    } catch (error) {
      return Promise.reject(error);
    }
    this.send(
      ...[script, keys, values],
      (reply) => this.answered(pending, reply),
      (error) => this.refused(pending, error),
    );
    return pending.answer();
  }

  /** Something that is to be asked for from now on, by a call of its own or with others. @throws StoreFailure */
  enter(onLate: ((reply: unknown) => void) | undefined): Pending {
    const { clock, timeoutMs, maxInFlight } = this.#options;
    if (this.#closed) throw new StoreFailure('the limiter is closed', false, 0);
    if (this.#inFlight >= maxInFlight) {
      const message = `${maxInFlight} calls to the store are under way already`;
      throw new StoreFailure(message, false, timeoutMs);
    }
    if (!this.#breaker.enter()) {
      const message = 'the store does not answer, and is asked again later';
      throw new StoreFailure(message, false, this.#breaker.pauseMs);
    }
    this.#inFlight++;
    const pending = new Pending(clock.now() + timeoutMs, onLate);
    pending.enter(this.#underWay);
    if (this.#stop === undefined) this.#watch();
    return pending;
  }

  /** One call; the client does not say when it gives up. */
  send(
    script: Script,
    keys: string[],
    values: string[],
    onReply: (reply: unknown) => void,
    onError: (error: unknown) => void,
  ): void {
    const { client } = this.#options;
    const isKnown = this.#knows(script);
    called(() => client.run(script.sha, keys, values)).then(onReply, (error: unknown) => {
      if (!isUnknownScript(error)) return onError(error);
      if (isKnown) this.#changes++;
      client.teach(script.text, keys, values).then(onReply, onError);
    });
  }

  /** Whether it was sent before; the last one is remembered for itself, since most calls are of one script. */
  #knows(script: Script): boolean {
    if (script === this.#last) return true;
    this.#last = script;
    if (this.#sent.has(script)) return true;
    this.#sent.add(script);
    return false;
  }

  answered(pending: Pending, reply: unknown): void {
    this.#inFlight--;
    this.#succeeded();
    if (pending.isOver) pending.onLate?.(reply);
    else pending.resolve(reply);
  }

  refused(pending: Pending, error: unknown): void {
    this.#inFlight--;
    pending.onLate?.(undefined);
    if (pending.isOver) return;
    this.#failed();
    const reason = error instanceof Error ? error.message : String(error);
    pending.reject(
      new StoreFailure(`the store failed: ${reason}`, true, this.#breaker.pauseMs, error),
    );
  }

  #late(pending: Pending): void {
    if (pending.isOver) return;
    this.#failed();
    const { timeoutMs } = this.#options;
    const message = `the store has not answered within ${timeoutMs} ms`;
    const retryAfterMs = Math.max(timeoutMs, this.#breaker.pauseMs);
    pending.reject(new StoreFailure(message, true, retryAfterMs));
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#stop = undefined;
    while (this.#underWay.next !== this.#underWay) this.#late(this.#underWay.next);
  }

  #succeeded(): void {
    this.#breaker.succeeded();
    if (this.#hasFailed) this.#changes++;
    this.#hasFailed = false;
    this.#tell(true);
  }

  #failed(): void {
    this.#breaker.failed();
    this.#hasFailed = true;
    if (this.#breaker.isOpen) this.#tell(false);
  }

  #tell(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.#options.onChange?.(isUp);
  }

  /** One timer, for the oldest call that is not over. */
  #watch(): void {
    this.#stop = undefined;
    const next = this.#underWay.next;
    if (next === this.#underWay || this.#closed) return;
    const { clock } = this.#options;
    this.#stop = clock.wake(Math.max(1, Math.ceil(next.deadline - clock.now())), () => {
      const now = clock.now();
      for (let call = this.#underWay.next; call !== this.#underWay && call.deadline <= now; ) {
        this.#late(call);
        call = this.#underWay.next;
      }
      this.#watch();
    });
  }
}

/** A client that throws at once fails as one that rejects. */
function called(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}
