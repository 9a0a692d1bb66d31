import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import type { ArchiveTask } from './archive-make.js';
import {
  archiveTask,
  noteUnarchived,
  plainSegments,
  putArchive,
  tidyArchives,
  type Unarchived,
} from './archive-place.js';
import type { ArchiveAnswer, ArchiveThreadData } from './archive-thread.js';
import { AuditError } from './errors.js';
import { sequenceName } from './segment.js';

/** While an archive is made, the writer looks this often whether it is finished. */
const lookMs = 100;
/** What failed for a reason that may pass is tried again after this. */
const againMs = 600_000;
/** How long closing waits for the thread to leave what it is at: it looks after each 256 records. */
const closeWaitMs = 2_000;

/**
 * Replaces the sealed segments of a log by their archives, one at a time, as long as it is open: a thread of its own makes
 * each, and the writer's thread, which calls `turn`, only puts it in its place. A segment that is not as the tree has it stays
 * plain, and is noted once for `status`. Throws nothing: whatever fails here, records go on.
 */
export class Archiver {
  readonly #dir: string;
  readonly #flags = new Int32Array(new SharedArrayBuffer(8));
  #thread: { readonly worker: Worker; readonly port: MessagePort } | undefined;
  #task: ArchiveTask | undefined;
  #posted = 0;
  /** When to look next, by the monotonic clock; undefined when there is no reason to. */
  #lookMs: number | undefined;
  readonly #on: boolean;
  /** Only when the head has left a segment may that be archived. */
  #headSegment: number | undefined;
  /** Segments that cannot be archived, by their first seq: without a seal, or not as they were written. */
  readonly #never = new Set<number>();
  readonly #unarchived = new Map<number, Unarchived>();

  /** Removes what an interruption left, also where `on` is false and nothing is archived. */
  constructor(dir: string, on: boolean) {
    this.#dir = dir;
    this.#on = on;
    tidyArchives(dir);
  }

  /** When the next turn is wanted, by the monotonic clock. */
  dueMs(): number | undefined {
    return this.#lookMs;
  }

  /** Begins an archive, or puts one that is finished in its place. `headSegment`: of the head's last record. */
  turn(nowMs: number, headSegment: number): void {
    if (this.#on && headSegment !== this.#headSegment) {
      this.#headSegment = headSegment;
      this.#lookMs = 0;
    }
    if (this.#lookMs === undefined || nowMs < this.#lookMs) return;
    this.#lookMs = undefined;
    const was = this.#task;
    try {
      if (was === undefined) this.#begin(headSegment);
      else this.#takeAnswer(was);
      if (this.#task !== undefined) this.#lookMs = nowMs + lookMs;
      else if (was !== undefined) this.#lookMs = nowMs;
    } catch {
      // A disk that is full, or that fails: what there is stays as it is.
      this.#lookMs = nowMs + againMs;
    }
  }

  #begin(headSegment: number): void {
    for (const segment of plainSegments(this.#dir, headSegment)) {
      const { firstSeq } = segment;
      if (this.#never.has(firstSeq)) continue;
      try {
        const task = archiveTask(this.#dir, segment);
        if (task !== undefined) {
          this.#task = task;
          this.#post(task);
          return;
        }
        this.#never.add(firstSeq);
      } catch (error) {
        if (!(error instanceof AuditError)) throw error;
        this.#refuse(firstSeq, error.message);
      }
    }
  }

  #post(task: ArchiveTask): void {
    if (this.#thread === undefined) {
      const { port1, port2 } = new MessageChannel();
      const workerData: ArchiveThreadData = { port: port2, flags: this.#flags };
      const worker = new Worker(new URL('./archive-thread.js', import.meta.url), {
        name: 'gatebook-archive',
        workerData,
        transferList: [port2],
        execArgv: [],
      });
      // A thread that ends leaves its segment plain; the next opening begins again.
      worker.on('error', () => {});
      worker.unref();
      this.#thread = { worker, port: port1 };
    }
    this.#thread.port.postMessage(task);
    this.#posted++;
  }

  #takeAnswer(task: ArchiveTask): void {
    const received = this.#thread && receiveMessageOnPort(this.#thread.port);
    if (received === undefined) return;
    const { error } = received.message as ArchiveAnswer;
    this.#task = undefined;
    if (error === undefined) putArchive(this.#dir, task.firstSeq);
    else if (error.damaged) this.#refuse(task.firstSeq, error.reason);
    else throw new Error(error.reason);
  }

  #refuse(firstSeq: number, reason: string): void {
    this.#never.add(firstSeq);
    this.#unarchived.set(firstSeq, { segment: `${sequenceName(firstSeq)}.jsonl`, reason });
    noteUnarchived(this.#dir, [...this.#unarchived.values()]);
  }

  /** Ends the thread. An archive that is not finished is begun again when the log is opened next. */
  close(): void {
    if (this.#thread === undefined) return;
    const { worker, port } = this.#thread;
    Atomics.store(this.#flags, 0, 1);
    const untilMs = performance.now() + closeWaitMs;
    for (let left = closeWaitMs; this.#isAtWork() && left > 0; left = untilMs - performance.now()) {
      Atomics.wait(this.#flags, 1, this.#posted - 1, left);
    }
    try {
      if (this.#task !== undefined) this.#takeAnswer(this.#task);
    } catch {
      // What was not finished is no more than what was never begun.
    }
    this.#lookMs = undefined;
    this.#thread = undefined;
    port.close();
    void worker.terminate();
  }

  #isAtWork(): boolean {
    return Atomics.load(this.#flags, 1) < this.#posted;
  }
}
