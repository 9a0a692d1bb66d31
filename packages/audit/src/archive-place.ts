import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ArchiveTask } from './archive-make.js';
import { isThere, namesIn, readRegular, replaceFile, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import {
  archivePath,
  listSegments,
  type SegmentName,
  segmentPath,
  segmentsFolder,
} from './segment.js';
import { isArchive } from './segment-bytes.js';
import { readSeal } from './segment-seal.js';

/**
 * How an archive takes the place of its segment. It is written as `….gz.tmp`, read back, synced, and only then gets its name;
 * the plain file goes when that name is on disk. So at every instant one form is there whole, and while both are the plain one counts.
 */

/** A segment that stays as it is, and why. */
export interface Unarchived {
  readonly segment: string;
  readonly reason: string;
}

/** Removes what an interruption left unfinished, and what was noted before. */
export function tidyArchives(dir: string): void {
  const folder = segmentsFolder(dir);
  for (const name of namesIn(folder)) {
    if (name.endsWith('.tmp') && isArchive(name.slice(0, -'.tmp'.length)))
      fs.rmSync(path.join(folder, name), { force: true });
  }
  fs.rmSync(notePath(dir), { force: true });
}

/** The plain segments of a log that come before the one that holds its head's last record, which are all that may be archived. */
export function plainSegments(dir: string, headSegment: number): SegmentName[] {
  return listSegments(dir).filter(
    ({ firstSeq, path: file }) => firstSeq < headSegment && !isArchive(file),
  );
}

/** What is to be made of a segment; undefined where it has no seal. Throws `log_damaged` where its last line is no record. */
export function archiveTask(dir: string, segment: SegmentName): ArchiveTask | undefined {
  const seal = readSeal(segment);
  if (seal === undefined) return undefined;
  const { firstSeq } = segment;
  const target = `${archivePath(dir, firstSeq)}.tmp`;
  return { dir, firstSeq, endSeq: seal.lastSeq + 1, source: segment.path, target };
}

/** Puts a finished archive in the place of its segment, durably; an interruption between leaves both. */
export function putArchive(dir: string, firstSeq: number): void {
  const plain = segmentPath(dir, firstSeq);
  const archive = archivePath(dir, firstSeq);
  // Retention may have deleted the segment meanwhile, and it must not come back.
  if (!isThere(plain)) {
    fs.rmSync(`${archive}.tmp`, { force: true });
    return;
  }
  fs.renameSync(`${archive}.tmp`, archive);
  syncFolder(segmentsFolder(dir));
  fs.rmSync(plain);
  syncFolder(segmentsFolder(dir));
}

function notePath(dir: string): string {
  return path.join(dir, 'unarchived');
}

const noteBytesMax = 1024 * 1024;
const notedMax = 1_000;

/** Notes for `status` what could not be archived; nothing of it is evidence. */
export function noteUnarchived(dir: string, unarchived: readonly Unarchived[]): void {
  replaceFile(notePath(dir), `${JSON.stringify(unarchived.slice(0, notedMax))}\n`);
}

/** What was noted since the log was opened last. */
export function readUnarchived(dir: string): Unarchived[] {
  try {
    const bytes = readRegular(notePath(dir), noteBytesMax);
    const value: unknown = bytes === undefined ? [] : JSON.parse(bytes.toString('utf8'));
    return Array.isArray(value) ? value.filter(isUnarchived) : [];
  } catch (error) {
    // A note that cannot be read is no more than one that was never made.
    if (error instanceof SyntaxError || error instanceof AuditError) return [];
    throw error;
  }
}

function isUnarchived(value: unknown): value is Unarchived {
  if (typeof value !== 'object' || value === null) return false;
  const { segment, reason } = value as Record<string, unknown>;
  return typeof segment === 'string' && typeof reason === 'string';
}
