import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  cosignedFolder,
  noteProgress,
  type Progress,
  readPublished,
  type SignedCheckpoint,
} from './cosigned.js';
import { makeFolder } from './durable.js';
import { reasonOf } from './errors.js';
import { type KernelLock, lockHolder, takeLock } from './lock.js';

/** Where checkpoints are sent to be held: a witness, or an anchor for what witnesses do not reach. */
export interface Sink {
  readonly kind: 'witness' | 'anchor';
  /** Stands in `status`; holds no secret. */
  readonly name: string;
  readonly intervalMs: number;
  /** Hands a checkpoint over. Throws an AuditError. */
  send(dir: string, signed: SignedCheckpoint, signal: AbortSignal): Promise<Receipt>;
}

export interface Receipt {
  /** As of when it is held, in ms since 1970. */
  readonly heldMs: number;
  /** Hash of the log's newest key, where two sign and the witness has taken this one's signature alone. */
  readonly logKey?: string;
}

export interface FeederOptions {
  readonly dir: string;
  readonly sinks: readonly Sink[];
  /** Bound on one try. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** How long `close` waits for the last checkpoint to arrive. Default 2,000. */
  readonly closeMs?: number | undefined;
}

const timeoutMsUsual = 10_000;
const closeMsUsual = 2_000;
const errorCharsMax = 300;

/**
 * Sends the published checkpoint to each witness and anchor, each at its own pace and apart from the others: at the start,
 * then once an interval, also when nothing is new, so that the age of what they hold shows that nothing was hidden. What
 * fails is tried again an interval later. It reads only the log folder, and nothing waits for it but `close`.
 *
 * Of the processes that have a log open one does this; another takes over when that one has ended.
 */
export class Feeder {
  readonly #options: FeederOptions;
  readonly #stop = new AbortController();
  readonly #loops: readonly Promise<void>[];
  /** Ends what is under way when `close` has waited long enough. */
  readonly #abandon = new AbortController();
  #lock: KernelLock | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: FeederOptions) {
    this.#options = options;
    this.#loops = options.sinks.map((sink) => this.#feed(sink));
  }

  /** Names of the witnesses. */
  get witnesses(): readonly string[] {
    return this.#options.sinks.filter(({ kind }) => kind === 'witness').map(({ name }) => name);
  }

  /** Sends the last checkpoint to whoever has not got it, and ends; waits no longer than `closeMs`. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    const timer = setTimeout(() => this.#abandon.abort(), this.#options.closeMs ?? closeMsUsual);
    await Promise.all(this.#loops);
    clearTimeout(timer);
    this.#lock?.release();
    this.#lock = undefined;
  }

  async #feed(sink: Sink): Promise<void> {
    let sent = -1;
    while (!this.#stop.signal.aborted) {
      if (this.#isFirst()) sent = await this.#try(sink, sent, false);
      await pause(sink.intervalMs, this.#stop.signal);
    }
    if (this.#isFirst()) await this.#try(sink, sent, true);
  }

  /** Sends once; returns the size that is held now. The last time only news is sent. */
  async #try(sink: Sink, sent: number, last: boolean): Promise<number> {
    const { dir, timeoutMs } = this.#options;
    if (last && sizeOf(dir) === sent) return sent;
    const bound = AbortSignal.timeout(timeoutMs ?? timeoutMsUsual);
    const outcome = await sendOnce(dir, sink, AbortSignal.any([bound, this.#abandon.signal]));
    return outcome?.size ?? sent;
  }

  /** Whether this process is the one that feeds; asked again each time, for the one before may have ended. */
  #isFirst(): boolean {
    if (this.#lock !== undefined) return true;
    const folder = path.join(this.#options.dir, cosignedFolder);
    const file = path.join(folder, 'feeder');
    try {
      if (lockHolder(file) !== undefined) return false;
      makeFolder(folder);
      this.#lock = takeLock(file, `the feeder of ${this.#options.dir}`);
      return true;
    } catch {
      return false;
    }
  }
}

function sizeOf(dir: string): number | undefined {
  try {
    return readPublished(dir)?.checkpoint.size;
  } catch {
    // What is wrong with it is said when it is sent.
    return undefined;
  }
}

/**
 * Sends the newest checkpoint to one place, and notes what became of it for `status`: without `size` it failed. Undefined
 * when the log has no checkpoint yet. Never rejects.
 */
export async function sendOnce(
  dir: string,
  sink: Sink,
  signal: AbortSignal,
): Promise<Progress | undefined> {
  const progress = await attempt(dir, sink, signal);
  if (progress === undefined) return undefined;
  try {
    noteProgress(dir, progress);
  } catch {
    // The note is for people; a full disk shows where it matters, in the log itself.
  }
  return progress;
}

async function attempt(
  dir: string,
  sink: Sink,
  signal: AbortSignal,
): Promise<Progress | undefined> {
  const about = { kind: sink.kind, name: sink.name, tried: new Date().toISOString() } as const;
  try {
    const signed = readPublished(dir);
    if (signed === undefined) return undefined;
    const { heldMs, logKey } = await sink.send(dir, signed, signal);
    const confirmed = new Date(heldMs).toISOString();
    const held = { ...about, size: signed.checkpoint.size, confirmed };
    return logKey === undefined ? held : { ...held, logKey };
  } catch (error) {
    return { ...about, error: reasonOf(error).slice(0, errorCharsMax) };
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal, ref: false });
  } catch {
    // The only way this sleep fails is the abort that it is told of.
  }
}
