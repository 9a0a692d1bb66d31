import { setTimeout as sleep } from 'node:timers/promises';
import { ArchiveFault, ArchiveFile } from './archive-file.js';
import { memberBytesMax } from './archive-format.js';
import { AuditError, reasonOf, systemCode } from './errors.js';
import { type LineSource, listSources, seqOf } from './kept.js';
import { LineFile } from './line-file.js';
import type { SegmentName } from './segment.js';
import { openBytes, type PlainFile } from './segment-bytes.js';
import type { LogRecord } from './stored-record.js';

/** One complete line of a log, as stored. */
export interface StoredLine {
  readonly seq: number;
  /** Without its newline; the reader's own copy. */
  readonly line: Buffer;
  readonly segment: string;
  /** Byte offset in the segment. */
  readonly offset: number;
}

export interface ReadOptions {
  /** Begins with this record; default 0. */
  readonly fromSeq?: number | undefined;
  /** Goes on waiting for new lines until aborted. */
  readonly follow?: AbortSignal | undefined;
  /** Is told of lines that the damaged archive of a segment does not give; reading goes on with the next segment. Default: an error. */
  passOver?(lines: UnreadLines): void;
}

/** Lines that cannot be read. */
export interface UnreadLines {
  readonly seq: number;
  /** How many there are, by where the next segment begins. */
  readonly count: number;
  readonly segment: string;
  /** Byte offset of the first in the segment. */
  readonly offset: number;
  readonly reason: string;
}

const followPauseMs = 100;

/** A segment may be deleted between the listing of the folder and its opening; so often in a row the folder is listed again. */
const listingsMax = 10;

/**
 * The lines of a log in order, in constant memory; of deleted segments those that were kept. Reading proves nothing: `seq` is counted from the file names, and
 * only `verifyLog` says whether the lines are what was written. An unfinished last line is not given. Throws `log_damaged` where the
 * archive of a segment cannot be read on, unless `passOver` is given.
 */
export async function* readLines(
  dir: string,
  options: ReadOptions = {},
): AsyncGenerator<StoredLine> {
  const fromSeq = options.fromSeq ?? 0;
  let position: { segment: LineSource; offset: number; seq: number } | undefined;
  let vanished = 0;
  for (;;) {
    const segments = listSources(dir);
    const from = position?.segment.firstSeq ?? startSegment(segments, fromSeq);
    let isStale = false;
    for (const [i, segment] of segments.entries()) {
      if (segment.firstSeq < from) continue;
      const resume = position?.segment.firstSeq === segment.firstSeq ? position : undefined;
      // What is kept of a segment that was deleted meanwhile has other places.
      const isSame = resume?.segment.kept === segment.kept;
      const lines = openListed(segment, isSame ? (resume?.offset ?? 0) : 0, ++vanished);
      isStale = lines === undefined;
      if (lines === undefined) break;
      vanished = 0;
      const readFrom = Math.max(fromSeq, resume?.seq ?? 0);
      let seq = isSame ? (resume?.seq ?? segment.firstSeq) : segment.firstSeq;
      try {
        while (lines.next()) {
          const { buf, start, end, offset } = lines;
          const current = segment.kept ? seqOf(buf, start) : seq;
          seq = current + 1;
          position = { segment, offset: lines.nextOffset, seq };
          if (current < readFrom) continue;
          yield {
            seq: current,
            line: Buffer.from(buf.subarray(start, end)),
            segment: segment.name,
            offset,
          };
          if (options.follow?.aborted) return;
        }
      } catch (error) {
        if (options.passOver === undefined || !(error instanceof ArchiveFault)) throw error;
        const { offset, reason } = error;
        const first = Math.max(seq, readFrom);
        const count = (segments[i + 1]?.firstSeq ?? first + 1) - first;
        if (count > 0)
          options.passOver({ seq: first, count, segment: segment.name, offset, reason });
      } finally {
        lines.close();
      }
    }
    if (isStale) continue;
    if (options.follow === undefined || !(await pause(options.follow))) return;
  }
}

/** Undefined where it is gone since it was listed: then what was kept of it stands in its place. */
function openListed(segment: LineSource, offset: number, times: number): LineFile | undefined {
  try {
    return new LineFile(segment.path, offset);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || times >= listingsMax) throw error;
    return undefined;
  }
}

/** First seq of the segment that holds `seq`. */
function startSegment(segments: readonly SegmentName[], seq: number): number {
  return segments.findLast((segment) => segment.firstSeq <= seq)?.firstSeq ?? 0;
}

async function pause(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(followPauseMs, undefined, { signal });
  } catch {
    // The only way this sleep fails is the abort that it is told of.
  }
  return !signal.aborted;
}

/** A stored line as an object. Throws `log_damaged` when it is not JSON. */
export function parseRecord(line: Uint8Array): LogRecord {
  try {
    return JSON.parse(
      Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8'),
    ) as LogRecord;
  } catch (error) {
    throw new AuditError(
      'log_damaged',
      `a line of the log is not JSON (${reasonOf(error)}); run gatebook audit verify`,
    );
  }
}

const probeBytes = 128 * 1024;

/**
 * Finds the line of a seq without reading its segment: lines begin with `{"seq":N,`, so the file can be searched like a
 * sorted list; of an archive the one member is read that can hold it. Undefined when there is no such complete line. Throws
 * `log_damaged` where that member cannot be read.
 */
export function findLine(dir: string, seq: number): StoredLine | undefined {
  for (let times = 1; ; times++) {
    try {
      return findListed(dir, seq);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || times === listingsMax) throw error;
    }
  }
}

function findListed(dir: string, seq: number): StoredLine | undefined {
  const segment = listSources(dir).findLast((entry) => entry.firstSeq <= seq);
  if (segment === undefined) return undefined;
  const bytes = openBytes(segment.path);
  try {
    if (!(bytes instanceof ArchiveFile))
      return scanFor(segment, placeBefore(bytes, seq), seq, 2 * probeBytes);
    const member = bytes.seek(seq);
    return member === undefined ? undefined : scanFor(segment, member, seq, memberBytesMax);
  } finally {
    bytes.close();
  }
}

/** Where a line begins, not far before that of a seq. */
function placeBefore(file: PlainFile, seq: number): number {
  let low = 0;
  let high = file.size();
  // Invariant: the line wanted begins in [low, high), and low begins a line.
  while (high - low > probeBytes) {
    const middle = Math.floor((low + high) / 2);
    const line = lineAfter(file, middle);
    if (line === undefined || line.start >= high || line.seq > seq) high = middle;
    else low = line.start;
  }
  return low;
}

/** The first line that begins behind `at`. */
function lineAfter(file: PlainFile, at: number): { start: number; seq: number } | undefined {
  const window = Buffer.alloc(70_000);
  const got = file.read(window, 0, window.length, at);
  const newline = window.subarray(0, got).indexOf(10);
  if (newline < 0) return undefined;
  const seq = seqOf(window, newline + 1);
  return seq < 0 ? undefined : { start: at + newline + 1, seq };
}

/** Looks for it in lines of about `bytesMax` bytes from `offset` on. */
function scanFor(
  segment: SegmentName,
  offset: number,
  seq: number,
  bytesMax: number,
): StoredLine | undefined {
  const lines = new LineFile(segment.path, offset);
  const wanted = `{"seq":${seq},`;
  try {
    for (let scanned = 0; scanned <= bytesMax && lines.next(); scanned += lines.end - lines.start) {
      const { buf, start, end } = lines;
      if (buf.toString('latin1', start, start + wanted.length) !== wanted) continue;
      return {
        seq,
        line: Buffer.from(buf.subarray(start, end)),
        segment: segment.name,
        offset: lines.offset,
      };
    }
    return undefined;
  } finally {
    lines.close();
  }
}
