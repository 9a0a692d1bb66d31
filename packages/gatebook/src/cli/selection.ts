import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogRecord, parseRecord, readLines, type StoredLine } from '@gatebook/audit';
import { reasonOf } from './failure.js';

export type Match = (record: LogRecord) => boolean;

/** A line of the log, and its record where it was needed. */
export interface Selected {
  readonly line: StoredLine;
  readonly record: LogRecord | undefined;
}

/** Lines that are no records, or cannot be read at all. They are passed over, so that a damaged log can still be searched, and reported. */
export interface Unreadable {
  count: number;
  first: string | undefined;
}

export interface Selection {
  readonly dir: string;
  /** Undefined: everything matches. */
  readonly match: Match | undefined;
  /** Whether the caller wants every record parsed, matched or not. */
  readonly parse: boolean;
  readonly fromSeq?: number | undefined;
  readonly untilSeq?: number | undefined;
  readonly follow?: AbortSignal | undefined;
}

/** Streams the matching lines in the order of the log. */
export async function* select(
  selection: Selection,
  unreadable: Unreadable,
): AsyncGenerator<Selected> {
  const { match, parse, untilSeq } = selection;
  const lines = readLines(selection.dir, {
    fromSeq: selection.fromSeq,
    follow: selection.follow,
    passOver: ({ count, segment, offset, reason }) => {
      unreadable.count += count;
      unreadable.first ??= `segment ${segment}, byte offset ${offset}: ${reason}`;
    },
  });
  for await (const line of lines) {
    if (untilSeq !== undefined && line.seq > untilSeq) return;
    if (match === undefined && !parse) {
      yield { line, record: undefined };
      continue;
    }
    const record = parsed(line, unreadable);
    if (record !== undefined && (match === undefined || match(record))) yield { line, record };
  }
}

function parsed(line: StoredLine, unreadable: Unreadable): LogRecord | undefined {
  let reason = 'it is JSON, but no object';
  try {
    const record: unknown = parseRecord(line.line);
    if (typeof record === 'object' && record !== null && !Array.isArray(record)) {
      return record as LogRecord;
    }
  } catch (error) {
    reason = reasonOf(error);
  }
  unreadable.count++;
  unreadable.first ??= `segment ${line.segment}, byte offset ${line.offset}: ${reason}`;
  return undefined;
}

/** The stretch of the log that holds the newest matches. */
export interface Stretch {
  readonly fromSeq: number;
  /** −1 when nothing matches. */
  readonly untilSeq: number;
  /** Whether older records match too. */
  readonly more: boolean;
}

/**
 * Finds where the newest `count` matches begin and end, in one pass that remembers a number per match and no more
 * than `count` of them. `count` is at least 1.
 */
export async function newestMatches(
  dir: string,
  match: Match | undefined,
  count: number,
): Promise<Stretch> {
  const skipped = match === undefined ? await skippable(dir, count) : 0;
  const ring: number[] = [];
  let found = 0;
  let last = -1;
  const ignored: Unreadable = { count: 0, first: undefined };
  for await (const { line } of select({ dir, match, parse: false, fromSeq: skipped }, ignored)) {
    if (ring.length < count) ring.push(line.seq);
    else ring[found % count] = line.seq;
    found++;
    last = line.seq;
  }
  const oldest = ring.length < count ? ring[0] : ring[found % count];
  return {
    fromSeq: oldest ?? 0,
    untilSeq: last,
    more: found > count || (skipped > 0 && found > 0),
  };
}

const segmentName = /^(\d{20})\.jsonl(?:\.gz)?$/;

/** Records that need not be looked at when the newest `count` are wanted: the last segment begins `count` later. */
async function skippable(dir: string, count: number): Promise<number> {
  const names = await readdir(join(dir, 'segments')).catch(() => []);
  let newest = 0;
  for (const name of names) {
    const first = Number(segmentName.exec(name)?.[1] ?? 0);
    if (Number.isSafeInteger(first)) newest = Math.max(newest, first);
  }
  return Math.max(0, newest - count);
}
