import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { replaceFileDurably, syncFolder } from './durable.js';
import { AuditError, reasonOf, systemCode } from './errors.js';

const fileName = 'reserve';
/** Room for a segment with a few of the log's own records, a checkpoint, tiles; beside the keys, for a head and an epoch key. */
const logBytes = 64 * 1024;
const keysBytes = 16 * 1024;

/** Whether an error says that there is no room left on the disk, or none for this user. */
export function saysFull(error: unknown): boolean {
  const cause = error instanceof AuditError ? error.cause : error;
  return ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '');
}

/**
 * Disk space kept for the day the disk is full: a file in each folder, removed then, so that the log can still record what
 * happened and close. While it is spent nothing else is written.
 */
export class Reserve {
  readonly #files: readonly { readonly file: string; readonly bytes: number }[];
  #spent = false;

  constructor(dir: string, keysDir: string) {
    this.#files = [
      { file: path.join(dir, fileName), bytes: logBytes },
      { file: path.join(keysDir, fileName), bytes: keysBytes },
    ];
  }

  get spent(): boolean {
    return this.#spent;
  }

  /** Sets the space aside where that is possible; a log without a reserve is as good until its disk is full. */
  keep(): void {
    try {
      for (const each of this.#files) fill(each);
    } catch {
      // What there is of it is used when the day comes.
    }
  }

  /** Gives the space back to the disk. */
  release(): void {
    this.#spent = true;
    for (const { file } of this.#files) {
      try {
        fs.rmSync(file, { force: true });
      } catch {
        // The other may be enough.
      }
    }
  }

  /** Sets the space aside again. Throws `write_failed` while there is no room for it: then there is none for records. */
  restore(): void {
    if (!this.#spent) return;
    try {
      for (const each of this.#files) fill(each);
    } catch (error) {
      this.release();
      throw new AuditError(
        'write_failed',
        `the disk is full (${reasonOf(error)}); nothing was written. Make room, and the log goes on by itself`,
        { cause: error },
      );
    }
    this.#spent = false;
  }
}

/** Random bytes: some file systems keep no space for zeros. */
function fill({ file, bytes }: { readonly file: string; readonly bytes: number }): void {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.size === bytes) return;
  try {
    replaceFileDurably(file, randomBytes(bytes));
  } catch (error) {
    fs.rmSync(`${file}.tmp`, { force: true });
    syncFolder(path.dirname(file));
    throw error;
  }
}
