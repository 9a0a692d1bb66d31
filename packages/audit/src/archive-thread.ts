import * as os from 'node:os';
import { type MessagePort, workerData } from 'node:worker_threads';
import { type ArchiveTask, makeArchive } from './archive-make.js';
import { AuditError, reasonOf } from './errors.js';

/** A thread that makes the archives of a log, one after the other, for `archiver.ts`. */

export interface ArchiveThreadData {
  readonly port: MessagePort;
  /** [0] not 0: the log is being closed. [1] how many tasks are done. */
  readonly flags: Int32Array;
}

/** What became of a task. */
export interface ArchiveAnswer {
  readonly firstSeq: number;
  /** Undefined: it lies finished under its unfinished name. */
  readonly error: { readonly damaged: boolean; readonly reason: string } | undefined;
}

const { port, flags } = workerData as ArchiveThreadData;

yieldToOthers();

/** The records come first. Elsewhere than on Linux the priority is that of the whole process. */
function yieldToOthers(): void {
  if (process.platform !== 'linux') return;
  try {
    os.setPriority(os.constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Where that is not allowed, the archive is made all the same.
  }
}

port.on('message', (task: ArchiveTask) => {
  port.postMessage({ firstSeq: task.firstSeq, error: failureOf(task) } satisfies ArchiveAnswer);
  Atomics.add(flags, 1, 1);
  Atomics.notify(flags, 1);
});

function failureOf(task: ArchiveTask): ArchiveAnswer['error'] {
  try {
    makeArchive(task, () => Atomics.load(flags, 0) === 0);
    return undefined;
  } catch (error) {
    const damaged = error instanceof AuditError && error.code === 'log_damaged';
    return { damaged, reason: reasonOf(error) };
  }
}
