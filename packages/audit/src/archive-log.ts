import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeArchive } from './archive-make.js';
import {
  archiveTask,
  noteUnarchived,
  plainSegments,
  putArchive,
  tidyArchives,
  type Unarchived,
} from './archive-place.js';
import { isThere } from './durable.js';
import { AuditError } from './errors.js';
import { readHead } from './keys.js';
import { takeLock } from './lock.js';
import type { SegmentName } from './segment.js';

/** One segment that was archived. */
export interface Archived {
  /** Its first seq and the seq of its last record. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of its lines, and of its archive. */
  readonly lineBytes: number;
  readonly bytes: number;
}

export interface ArchiveReport {
  readonly archived: readonly Archived[];
  /** Those that are not as they were written; they stay as they are. */
  readonly unarchived: readonly Unarchived[];
}

/**
 * Archives all sealed segments of a log that is closed, now; those that were archived before stay as they are. Nothing is recorded: the
 * records stay the same. Throws `log_locked` while the log is open, `not_found` when there is none, `keys_missing` without
 * the head in its keys folder, which says where the log goes on.
 */
export async function archiveLog(options: {
  readonly dir: string;
  readonly keysDir: string;
}): Promise<ArchiveReport> {
  const { dir, keysDir } = options;
  if (!isThere(dir)) throw new AuditError('not_found', `there is no log at ${dir}`);
  const lock = takeLock(path.join(dir, 'lock'), `the log ${dir}`);
  try {
    const head = readHead({ folder: keysDir });
    tidyArchives(dir);
    const archived: Archived[] = [];
    const unarchived: Unarchived[] = [];
    for (const segment of plainSegments(dir, head.segment)) {
      const found = archiveOne(dir, segment);
      if (found === undefined) continue;
      if ('reason' in found) unarchived.push(found);
      else archived.push(found);
    }
    if (unarchived.length > 0) noteUnarchived(dir, unarchived);
    return { archived, unarchived };
  } finally {
    lock.release();
  }
}

function archiveOne(dir: string, segment: SegmentName): Archived | Unarchived | undefined {
  try {
    const task = archiveTask(dir, segment);
    if (task === undefined) return undefined;
    makeArchive(task);
    const { firstSeq, endSeq, source, target } = task;
    const [lineBytes, bytes] = [source, target].map((file) => fs.statSync(file).size);
    putArchive(dir, firstSeq);
    return { firstSeq, lastSeq: endSeq - 1, lineBytes: lineBytes!, bytes: bytes! };
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'log_damaged') throw error;
    return { segment: segment.name, reason: error.message };
  }
}
