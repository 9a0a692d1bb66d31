import * as fs from 'node:fs';
import * as path from 'node:path';
import { isNoFolder } from './durable.js';

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

/** The tally of a sealed segment, beside it. */
export function tallyPath(dir: string, firstSeq: number): string {
  return path.join(segmentsFolder(dir), `${sequenceName(firstSeq)}.tally`);
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
    if (isNoFolder(error)) return [];
    throw error;
  }
  const segments: SegmentName[] = [];
  for (const entry of entries) {
    const digits = segmentPattern.exec(entry.name)?.[1];
    if (digits === undefined || !entry.isFile()) continue;
    // A number beyond every seq stays in the list: no record can begin with it, and the reader says so.
    const firstSeq = Number(digits);
    segments.push({ name: entry.name, firstSeq, path: path.join(folder, entry.name) });
  }
  return segments.sort((a, b) => a.firstSeq - b.firstSeq);
}
