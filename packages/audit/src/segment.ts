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

/** The segments of a log folder in order; none when there is no such folder. */
export function listSegments(dir: string): SegmentName[] {
  const folder = segmentsFolder(dir);
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
  const segments: SegmentName[] = [];
  for (const name of names.sort()) {
    const match = segmentPattern.exec(name);
    if (match) segments.push({ name, firstSeq: Number(match[1]), path: path.join(folder, name) });
  }
  return segments;
}
