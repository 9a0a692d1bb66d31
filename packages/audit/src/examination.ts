import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  type Checkpoint,
  checkNote,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
} from './checkpoint.js';
import { isThere, readRegular } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import { lastLine } from './last-line.js';
import { seeHolder } from './lock.js';
import { findLine, parseRecord } from './reader.js';
import { listSegments, type SegmentName } from './segment.js';
import { isArchive } from './segment-bytes.js';
import type { LogRecord } from './stored-record.js';

/** How a log looks from outside, for somebody who asks what is wrong with it. */
export interface LogExamination {
  /** As its first record has it. */
  readonly origin: string | undefined;
  readonly segments: number;
  /** Of the segment files, archives as they lie there. */
  readonly bytes: number;
  readonly archives: number;
  /** Up to the last complete line. */
  readonly records: number;
  /** Behind the last complete line: a line that is being written, or that nobody finished. */
  readonly unfinishedBytes: number;
  readonly lastType: string;
  readonly lastTimestamp: string;
  readonly checkpoint?: ExaminedCheckpoint;
  readonly writer: SeenWriter;
  /** What could not be read, each with why. */
  readonly faults: readonly string[];
}

export interface ExaminedCheckpoint extends Pick<Checkpoint, 'origin' | 'size' | 'root'> {
  /** Whether a key that was brought has signed it; undefined where none was. */
  readonly signed: boolean | undefined;
}

export interface SeenWriter {
  /** `unsure`: the process that noted itself as the writer is alive, and whether it still is the writer nobody can see from here. */
  readonly state: 'none' | 'writing' | 'stopped' | 'unsure';
  readonly pid: number | undefined;
}

/**
 * Looks at a log without a lock, a connection or a write, and at no more than the beginning and the end of it; returns undefined where
 * there is none. Everything that is wrong with it is in the result; throws only where its folder cannot be looked at. `publicKeys` are verifier keys in signed-note form.
 */
export function examineLog(
  dir: string,
  publicKeys: readonly string[] = [],
): LogExamination | undefined {
  const faults: string[] = [];
  const attempt = <T>(what: string, look: () => T): T | undefined => {
    try {
      return look();
    } catch (error) {
      faults.push(`${what}: ${reasonOf(error)}`);
      return undefined;
    }
  };
  if (!isThere(path.join(dir, 'segments'))) return undefined;
  const segments = attempt('the segments', () => listSegments(dir)) ?? [];
  const opened = attempt('the first record', () => firstRecord(dir));
  const last = attempt('the last record', () => lastRecord(segments));
  const newest = segments.at(-1);
  const checkpoint = attempt('the checkpoint', () => checkpointOf(dir, publicKeys));
  const origin = opened?.details?.['origin'];
  return {
    origin: typeof origin === 'string' ? origin : undefined,
    segments: segments.length,
    bytes: segments.reduce((sum, segment) => sum + sizeOf(segment), 0),
    archives: segments.filter((segment) => isArchive(segment.path)).length,
    records: last === undefined ? 0 : last.seq + 1,
    unfinishedBytes: attempt('the end of the log', () => unfinished(newest)) ?? 0,
    lastType: last?.event_type ?? '',
    lastTimestamp: last?.timestamp ?? '',
    ...(checkpoint === undefined ? {} : { checkpoint }),
    writer: writerOf(path.join(dir, 'lock')),
    faults,
  };
}

function firstRecord(dir: string): LogRecord {
  const first = findLine(dir, 0);
  if (first === undefined) throw new AuditError('log_damaged', 'it is not there');
  return parseRecord(first.line);
}

function lastRecord(segments: readonly SegmentName[]): LogRecord {
  for (const segment of segments.slice(-2).reverse()) {
    const line = lastLine(segment.path);
    if (line !== undefined) return parseRecord(line);
  }
  throw new AuditError('log_damaged', 'it is not there');
}

/** No line is longer than this window, so one that is not finished begins in it. */
const windowBytes = 1024 * 1024;

function unfinished(segment: SegmentName | undefined): number {
  if (segment === undefined || isArchive(segment.path)) return 0;
  const fd = fs.openSync(segment.path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const { size } = fs.fstatSync(fd);
    const window = Buffer.alloc(Math.min(size, windowBytes));
    const got = fs.readSync(fd, window, 0, window.length, size - window.length);
    return got - 1 - window.subarray(0, got).lastIndexOf(10);
  } finally {
    fs.closeSync(fd);
  }
}

function checkpointOf(dir: string, publicKeys: readonly string[]): ExaminedCheckpoint | undefined {
  const bytes = readRegular(path.join(dir, 'checkpoint'), noteBytesMax);
  if (bytes === undefined) return undefined;
  const note = parseNote(bytes);
  const { origin, size, root } = parseCheckpointText(note.text);
  const keys = publicKeys.map(parseVerifierKey);
  const signed = keys.length === 0 ? undefined : checkNote(note, keys) === 'signed';
  return { origin, size, root, signed };
}

function writerOf(lock: string): SeenWriter {
  const { held, pid } = seeHolder(lock);
  if (held === false) return { state: 'none', pid: undefined };
  if (pid !== undefined && isStopped(pid)) return { state: 'stopped', pid };
  return { state: held === true ? 'writing' : 'unsure', pid };
}

/** Told by Linux alone. */
function isStopped(pid: number): boolean {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`).toString('latin1');
    return /^[Tt]$/.test(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '');
  } catch {
    return false;
  }
}

function sizeOf({ path: file }: SegmentName): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
