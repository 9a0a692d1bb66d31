import * as fs from 'node:fs';
import * as path from 'node:path';
import { systemCode } from './errors.js';

/** The files that hold the lines: `segments/<first seq, 20 digits>.jsonl`, never renamed. */

export interface SegmentName {
  readonly name: string;
  readonly firstSeq: number;
  readonly path: string;
}

const segmentPattern = /^([0-9]{20})\.jsonl$/;

export function segmentsFolder(dir: string): string {
  return path.join(dir, 'segments');
}

export function segmentPath(dir: string, firstSeq: number): string {
  return path.join(segmentsFolder(dir), `${sequenceName(firstSeq)}.jsonl`);
}

/** A seq or size as 20 digits, so that names sort as numbers. */
export function sequenceName(seq: number): string {
  return String(seq).padStart(20, '0');
}

/** The segments of a log folder in order; none when there is no such folder. What is no regular file is no segment. */
export function listSegments(dir: string): SegmentName[] {
  const folder = segmentsFolder(dir);
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
  const segments: SegmentName[] = [];
  for (const entry of entries) {
    const firstSeq = Number(segmentPattern.exec(entry.name)?.[1] ?? Number.NaN);
    if (!Number.isSafeInteger(firstSeq) || !entry.isFile()) continue;
    segments.push({ name: entry.name, firstSeq, path: path.join(folder, entry.name) });
  }
  return segments.sort((a, b) => a.firstSeq - b.firstSeq);
}
