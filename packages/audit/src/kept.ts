import * as fs from 'node:fs';
import * as path from 'node:path';
import { isNoFolder } from './durable.js';
import { listSegments, type SegmentName, sequenceName } from './segment.js';

/** The log's own lines of segments that were deleted: `kept/<first seq of the segment>.jsonl`. */

export function keptFolder(dir: string): string {
  return path.join(dir, 'kept');
}

export function keptPath(dir: string, firstSeq: number): string {
  return path.join(keptFolder(dir), `${sequenceName(firstSeq)}.jsonl`);
}

/** The files of kept lines in order. What is no regular file is none. */
export function listKept(dir: string): SegmentName[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(keptFolder(dir), { withFileTypes: true });
  } catch (error) {
    if (isNoFolder(error)) return [];
    throw error;
  }
  return entries
    .filter((entry) => /^[0-9]{20}\.jsonl$/.test(entry.name) && entry.isFile())
    .map(({ name }) => ({
      name,
      firstSeq: Number(name.slice(0, 20)),
      path: path.join(keptFolder(dir), name),
    }))
    .sort((a, b) => a.firstSeq - b.firstSeq);
}

/** A file of lines: a segment, or what was kept of one. */
export interface LineSource extends SegmentName {
  readonly kept: boolean;
}

/** Everything that holds lines of the log, in order. Kept lines beside their segment, as an interruption leaves them, do not count. */
export function listSources(dir: string): LineSource[] {
  const segments = listSegments(dir).map((segment) => ({ ...segment, kept: false }));
  const whole = new Set(segments.map(({ firstSeq }) => firstSeq));
  const kept = listKept(dir)
    .filter(({ firstSeq }) => !whole.has(firstSeq))
    .map((file) => ({ ...file, kept: true }));
  return [...segments, ...kept].sort((a, b) => a.firstSeq - b.firstSeq);
}

/** The seq that the line at `start` of a buffer begins with, or -1. */
export function seqOf(buf: Buffer, start: number): number {
  const digits = /^\{"seq":([0-9]{1,16}),/.exec(buf.toString('latin1', start, start + 25))?.[1];
  return digits === undefined ? -1 : Number(digits);
}
