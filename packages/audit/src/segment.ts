import * as fs from 'node:fs';
import * as path from 'node:path';
import { isNoFolder } from './durable.js';

/**
 * The files that hold the lines: `segments/<first seq, 20 digits>.jsonl`, never renamed; a sealed one may have been replaced by its
 * archive, `….jsonl.gz`.
 */

export interface SegmentName {
  /** Of the segment, 20 digits and `.jsonl`, also where its archive is what holds the lines. */
  readonly name: string;
  readonly firstSeq: number;
  /** The file that holds the lines. */
  readonly path: string;
}

const segmentPattern = /^([0-9]{20})\.jsonl(\.gz)?$/;

export function segmentsFolder(dir: string): string {
  return path.join(dir, 'segments');
}

export function segmentPath(dir: string, firstSeq: number): string {
  return path.join(segmentsFolder(dir), `${sequenceName(firstSeq)}.jsonl`);
}

/** The archive of a sealed segment, in its place. */
export function archivePath(dir: string, firstSeq: number): string {
  return `${segmentPath(dir, firstSeq)}.gz`;
}

/** The tally of a sealed segment, beside it. */
export function tallyPath(dir: string, firstSeq: number): string {
  return path.join(segmentsFolder(dir), `${sequenceName(firstSeq)}.tally`);
}

/** A seq or size as 20 digits, so that names sort as numbers. */
export function sequenceName(seq: number): string {
  return String(seq).padStart(20, '0');
}

/**
 * The segments of a log folder in order; none when there is no such folder. What is no regular file is no segment. Where a
 * segment lies there both plain and archived, the plain file is the one that counts.
 */
export function listSegments(dir: string): SegmentName[] {
  const folder = segmentsFolder(dir);
  // A listing that is not done in one step can miss both forms of a segment that is archived meanwhile.
  let names = segmentFiles(folder);
  for (let before = ''; before !== names.join(); ) {
    before = names.join();
    names = segmentFiles(folder);
  }
  const segments = new Map<string, SegmentName>();
  // The archive sorts behind the plain file.
  for (const file of names.reverse()) {
    const name = file.slice(0, 20 + '.jsonl'.length);
    // A number beyond every seq stays in the list: no record can begin with it, and the reader says so.
    segments.set(name, {
      name,
      firstSeq: Number(name.slice(0, 20)),
      path: path.join(folder, file),
    });
  }
  return [...segments.values()].reverse();
}

/** The names of both forms in order. */
function segmentFiles(folder: string): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (isNoFolder(error)) return [];
    throw error;
  }
  return entries
    .filter((entry) => segmentPattern.test(entry.name) && entry.isFile())
    .map(({ name }) => name)
    .sort();
}
