import * as fs from 'node:fs';
import * as path from 'node:path';
import { readUnarchived, type Unarchived } from './archive-place.js';
import { endsEpoch } from './chain.js';
import { type Checkpoint, noteBytesMax, parseCheckpointText, parseNote } from './checkpoint.js';
import { listContents } from './content-file.js';
import { isNoFolder, readIfThere, readRegular } from './durable.js';
import { erasureIsPending } from './erasure-survey.js';
import { AuditError, systemCode } from './errors.js';
import { initialKeyOnHost } from './keys.js';
import { lastLine } from './last-line.js';
import { timestampOf } from './line-check.js';
import { lockHolder } from './lock.js';
import type { ForwardSecurity } from './log.js';
import { findNewest, findNewestPruned } from './newest-own.js';
import { type ContentMode, contentModes } from './options.js';
import { findLine, parseRecord } from './reader.js';
import type { Policy } from './retention.js';
import { periodEnd, type Rotate, rotations } from './rotation.js';
import { listSegments, type SegmentName } from './segment.js';
import { isArchive, lineBytesIn, openBytes } from './segment-bytes.js';
import { SubjectKeys } from './subject-keys.js';
import { formatTime } from './timestamp.js';

export interface LogStatus {
  readonly origin: string;
  readonly publicKey: string;
  readonly records: number;
  readonly segments: number;
  /** Of the lines in the segments, also where they lie archived. */
  readonly bytes: number;
  readonly archive: ArchiveStatus;
  /** Of everything in the log folder. */
  readonly diskBytes: number;
  /** Of the next record. */
  readonly epoch: number;
  readonly checkpoint?: { readonly size: number; readonly root: string };
  /** Records behind the newest checkpoint. */
  readonly pending: number;
  readonly rotation: RotationStatus;
  readonly retention: RetentionStatus;
  readonly content: ContentStatus;
  readonly forwardSecurity: ForwardSecurity;
  /** Pid of a process that has the log open; 0 when it is not known which. */
  readonly lockedBy?: number;
  readonly lastTimestamp?: string;
}

/** Segments whose archive has taken their place. */
export interface ArchiveStatus {
  readonly segments: number;
  /** Of the archives on disk, and of the lines in them. */
  readonly bytes: number;
  readonly lineBytes: number;
  /** Segments that could not be archived since the log was opened last, and why. */
  readonly unarchived: readonly Unarchived[];
}

/** What is kept of content that does not stand in records. */
export interface ContentStatus {
  readonly mode: ContentMode;
  /** People whose keys there are. */
  readonly subjects: number;
  /** Of the sealed content. */
  readonly bytes: number;
  /** An erasure was begun that the log's writer, or its next opening, finishes. */
  readonly erasurePending: boolean;
}

/** When the open segment will be sealed. */
export interface RotationStatus {
  readonly rotate: Rotate;
  /** Of the open segment, and at which it is sealed. */
  readonly bytes: number;
  readonly bytesMax: number;
  /** When its period ends, by this clock. */
  readonly next?: string;
}

export interface RetentionStatus {
  /** As the book has it. */
  readonly policy: Policy;
  /** First seq and the seq behind the last, of records that were deleted. */
  readonly pruned: readonly (readonly [number, number])[];
  /** Time of the oldest record that is there, the log's own kept ones aside. */
  readonly horizon: string;
}

/**
 * How a log stands, read from its folders without checking anything. Throws `not_found` when there is no log, and
 * `log_damaged` when its first or last record cannot be read.
 */
export async function logStatus(options: {
  readonly dir: string;
  readonly keysDir: string;
}): Promise<LogStatus> {
  const { dir, keysDir } = options;
  const segments = listSegments(dir);
  const first = findLine(dir, 0);
  const [newest, before] = [segments.at(-1), segments.at(-2)];
  const last =
    (newest && lastLine(newest.path)) ?? (before === undefined ? undefined : lastLine(before.path));
  if (first === undefined || last === undefined) {
    throw new AuditError('not_found', `${dir} holds no log`);
  }
  const opened = parseRecord(first.line).details ?? {};
  const record = parseRecord(last);
  const checkpoint = newestCheckpoint(dir);
  const records = record.seq + 1;
  const initialKey = initialKeyOnHost(keysDir);
  const holder = lockHolder(path.join(dir, 'lock'));
  const current = findNewest(segments, 'log.opened', ({ details }) => details) ?? opened;
  return {
    origin: String(opened['origin']),
    publicKey: newestKey(keysDir, String(opened['origin'])) ?? String(opened['public_key']),
    records,
    segments: segments.length,
    ...sizesOf(dir, segments),
    diskBytes: folderBytes(dir),
    epoch: record.epoch + (endsEpoch(record.event_type) ? 1 : 0),
    ...(checkpoint === undefined
      ? {}
      : { checkpoint: { size: checkpoint.size, root: checkpoint.root } }),
    pending: Math.max(0, records - (checkpoint?.size ?? 0)),
    rotation: rotationOf(current, newest),
    retention: retentionOf(dir, current, segments),
    content: contentOf(dir, keysDir, current),
    forwardSecurity:
      initialKey === undefined ? { on: true } : { on: false, initialKeyFile: initialKey },
    ...(holder === undefined ? {} : { lockedBy: holder }),
    lastTimestamp: record.timestamp,
  };
}

/** An archive is gone through, from member to member, to know the length of its lines; so each only once. */
function sizesOf(
  dir: string,
  segments: readonly SegmentName[],
): Pick<LogStatus, 'bytes' | 'archive'> {
  let bytes = 0;
  const archive = { segments: 0, bytes: 0, lineBytes: 0, unarchived: readUnarchived(dir) };
  for (const { path: file } of segments) {
    const lineBytes = lineBytesIn(file);
    bytes += lineBytes;
    if (!isArchive(file)) continue;
    archive.segments++;
    archive.bytes += sizeOf(file);
    archive.lineBytes += lineBytes;
  }
  return { bytes, archive };
}

type Details = Readonly<Record<string, unknown>>;

/** The key in the keys folder, when that is of this log; the first record names the oldest only. */
function newestKey(keysDir: string, origin: string): string | undefined {
  const text = readIfThere(path.join(keysDir, 'public-key'))?.trim();
  return text?.startsWith(`${origin}+`) ? text : undefined;
}

function rotationOf(opened: Details, segment: SegmentName | undefined): RotationStatus {
  const rotate = rotations.find((known) => known === opened['rotate']) ?? 'size';
  const bytes = segment === undefined ? 0 : sizeOf(segment.path);
  const end = periodEnd(rotate, Date.now());
  const next = bytes > 0 && Number.isFinite(end) ? { next: formatTime(end) } : {};
  return { rotate, bytes, bytesMax: Number(opened['segment_bytes_max']), ...next };
}

function contentOf(dir: string, keysDir: string, opened: Details): ContentStatus {
  return {
    mode: contentModes.find((known) => known === opened['content']) ?? 'off',
    subjects: subjectsIn(keysDir),
    bytes: listContents(dir).reduce((sum, file) => sum + sizeOf(file.path), 0),
    erasurePending: erasureIsPending(keysDir),
  };
}

/** Who may read the log need not be allowed to read its keys. */
function subjectsIn(keysDir: string): number {
  try {
    return new SubjectKeys(keysDir, '').count;
  } catch (error) {
    if (systemCode(error) === 'EACCES') return 0;
    throw error;
  }
}

function retentionOf(
  dir: string,
  opened: Details,
  segments: readonly SegmentName[],
): RetentionStatus {
  const ranges = findNewestPruned(dir, segments)?.pruned.ranges ?? [];
  return {
    policy: (opened['retention'] ?? { delete: 'never' }) as Policy,
    pruned: ranges.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq + 1] as const),
    horizon: firstTimestamp(segments[0]?.path),
  };
}

function firstTimestamp(file: string | undefined): string {
  if (file === undefined) return '';
  const bytes = openBytes(file);
  try {
    const window = Buffer.alloc(128);
    bytes.read(window, 0, window.length, 0);
    return timestampOf(window, 0);
  } finally {
    bytes.close();
  }
}

function sizeOf(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** What the files below a folder hold, those aside that vanish meanwhile. */
function folderBytes(folder: string): number {
  let bytes = 0;
  try {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) bytes += folderBytes(file);
      else if (entry.isFile()) bytes += sizeOf(file);
    }
  } catch (error) {
    if (!isNoFolder(error) && systemCode(error) !== 'EACCES') throw error;
  }
  return bytes;
}

function newestCheckpoint(dir: string): Checkpoint | undefined {
  const bytes = readRegular(path.join(dir, 'checkpoint'), noteBytesMax);
  return bytes === undefined ? undefined : parseCheckpointText(parseNote(bytes).text);
}
