import { systemCode } from './errors.js';
import { listKept } from './kept.js';
import { type Pruned, parsePruned } from './pruned-ranges.js';
import { lineBytesMax } from './record.js';
import type { SegmentName } from './segment.js';
import { openBytes, readBytes, unlessDamaged } from './segment-bytes.js';
import type { LogRecord } from './stored-record.js';
import { type Hash, leafHash } from './tree.js';

/** Finds the log's own records from the end of the log. Nothing is verified. */

/** The newest `log.pruned` record as the lines have it; what it is worth shows when the lines are verified. */
export interface NewestPruned {
  readonly seq: number;
  readonly leaf: Hash;
  readonly pruned: Pruned;
}

/** Looks for it where anything was ever deleted. */
export function findNewestPruned(
  dir: string,
  segments: readonly SegmentName[],
): NewestPruned | undefined {
  if (listKept(dir).length === 0) return undefined;
  return findNewest(segments, 'log.pruned', (record, line) => {
    const pruned = parsePruned(record.details);
    return pruned === undefined ? undefined : { seq: record.seq, leaf: leafHash(line), pruned };
  });
}

/**
 * The newest record of one of the log's own types for which `take` gives something. A damaged archive is passed over, and so is a segment
 * that was deleted since it was listed: what is deleted is older than what tells of it.
 */
export function findNewest<T>(
  segments: readonly SegmentName[],
  type: string,
  take: (record: LogRecord, line: Buffer) => T | undefined,
): T | undefined {
  for (const segment of [...segments].reverse()) {
    const found = unlessGone(() =>
      unlessDamaged(() => searchBack(segment.path, type, take), undefined),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

function unlessGone<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const blockBytes = 1024 * 1024;

function searchBack<T>(
  file: string,
  type: string,
  take: (record: LogRecord, line: Buffer) => T | undefined,
): T | undefined {
  const marker = Buffer.from(`"event_type":"${type}","emitter":"log"`);
  const bytes = openBytes(file);
  try {
    // Blocks overlap by two lines at their longest, so that one holds the whole line around each marker.
    const overlap = 2 * (lineBytesMax + 1);
    for (let end = bytes.size(); end > 0; ) {
      const from = Math.max(0, end - blockBytes);
      const block = Buffer.alloc(end - from);
      readBytes(bytes, block, from);
      for (let at = block.lastIndexOf(marker); at >= 0; at = block.lastIndexOf(marker, at - 1)) {
        const found = takeAround(block, at, type, take);
        if (found !== undefined) return found;
        if (at === 0) break;
      }
      if (from === 0) return undefined;
      end = from + overlap;
    }
    return undefined;
  } finally {
    bytes.close();
  }
}

function takeAround<T>(
  block: Buffer,
  at: number,
  type: string,
  take: (record: LogRecord, line: Buffer) => T | undefined,
): T | undefined {
  const start = block.lastIndexOf(10, at) + 1;
  const end = block.indexOf(10, at);
  if (end < 0 || end - start > lineBytesMax) return undefined;
  const line = block.subarray(start, end);
  try {
    const record = JSON.parse(line.toString('utf8')) as LogRecord;
    // The marker may also stand inside what somebody else recorded.
    if (record.event_type !== type || record.emitter !== 'log') return undefined;
    return take(record, line);
  } catch {
    // No record; whoever verifies the log says so.
    return undefined;
  }
}
