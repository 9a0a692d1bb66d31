import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { isNoFolder } from './durable.js';
import type { JsonObject } from './event.js';
import { lineBytesMax } from './record.js';
import { type SegmentName, sequenceName } from './segment.js';
import { openBytes, unlessDamaged } from './segment-bytes.js';
import type { LogRecord } from './stored-record.js';
import { Frontier, type Hash } from './tree.js';

/** What a `log.repaired` record says; docs/format.md §3.3. It is the first of its segment. */
export interface Repaired {
  /** Records that no segment holds, this time and before, in order and apart from each other. */
  readonly ranges: readonly RepairedRange[];
  /** What was set aside in `damaged/<seq of the record>`. */
  readonly set: SetAside;
}

export interface RepairedRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The tree behind the last, largest subtree first. */
  readonly frontier: readonly Hash[];
}

/** How many files a folder holds, and the SHA-256 of their list. */
export interface SetAside {
  readonly files: number;
  readonly sha256: string;
}

/** One record can name no more. */
export const repairedRangesMax = 12;

export function repairedDetails(
  repaired: Repaired,
  why: { readonly reason: string; readonly finding: string },
): JsonObject {
  return {
    reason: why.reason,
    finding: why.finding,
    ranges: repaired.ranges.map(({ firstSeq, lastSeq, frontier }) => ({
      first_seq: firstSeq,
      last_seq: lastSeq,
      frontier: frontier.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
    })),
    files: repaired.set.files,
    sha256: repaired.set.sha256,
  };
}

/** Reads the details of a `log.repaired` record; undefined when they are not of the form. */
export function parseRepaired(details: unknown, seq: number): Repaired | undefined {
  if (typeof details !== 'object' || details === null) return undefined;
  const { ranges, files, sha256 } = details as Record<string, unknown>;
  if (!Array.isArray(ranges) || ranges.length > repairedRangesMax) return undefined;
  if (!isCount(files) || typeof sha256 !== 'string') return undefined;
  const parsed = ranges.map(parseRange);
  let at = 0;
  const good: RepairedRange[] = [];
  for (const range of parsed) {
    if (range === undefined || range.firstSeq < at || range.lastSeq >= seq) return undefined;
    at = range.lastSeq + 2;
    good.push(range);
  }
  return { ranges: good, set: { files, sha256 } };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseRange(value: unknown): RepairedRange | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { first_seq: firstSeq, last_seq: lastSeq, frontier } = value as Record<string, unknown>;
  if (!isCount(firstSeq) || !isCount(lastSeq) || firstSeq > lastSeq) return undefined;
  if (!Array.isArray(frontier) || frontier.length > 53) return undefined;
  const bytes = frontier.map((text) => Buffer.from(String(text), 'base64'));
  if (bytes.some((one, i) => one.length !== 32 || one.toString('base64') !== frontier[i]))
    return undefined;
  const hashes = bytes.map((one) => one.toString('hex'));
  try {
    Frontier.from(lastSeq + 1, hashes);
  } catch {
    // Another number of hashes than a tree of this size has.
    return undefined;
  }
  return { firstSeq, lastSeq, frontier: hashes };
}

export interface NewestRepaired extends Repaired {
  readonly seq: number;
}

/** The newest `log.repaired` as the lines have it; what it is worth shows when the lines are verified. */
export function findNewestRepaired(segments: readonly SegmentName[]): NewestRepaired | undefined {
  for (const segment of [...segments].reverse()) {
    const record = unlessDamaged(() => firstRecord(segment.path), undefined);
    if (record?.event_type !== 'log.repaired' || record.emitter !== 'log') continue;
    if (record.seq !== segment.firstSeq) continue;
    const repaired = parseRepaired(record.details, record.seq);
    if (repaired !== undefined) return { ...repaired, seq: record.seq };
  }
  return undefined;
}

const marker = Buffer.from('"event_type":"log.repaired","emitter":"log"');

function firstRecord(file: string): LogRecord | undefined {
  const from = openBytes(file);
  try {
    // Where the marker stands in a line of the log's own is known; most files need no more than one small read.
    const head = Buffer.alloc(256);
    if (!head.subarray(0, from.read(head, 0, head.length, 0)).includes(marker)) return undefined;
    const bytes = Buffer.alloc(lineBytesMax + 1);
    // An archive gives as much as its first member holds, which is whole lines; the next may be damaged.
    const read = bytes.subarray(0, from.read(bytes, 0, bytes.length, 0));
    const end = read.indexOf(10);
    if (end < 0) return undefined;
    return JSON.parse(read.toString('utf8', 0, end)) as LogRecord;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    from.close();
  }
}

export function damagedFolder(dir: string, seq: number): string {
  return path.join(dir, 'damaged', sequenceName(seq));
}

/** The list of what lies in a folder: `<sha256>  <path>` and a newline for each regular file, in order of the paths' bytes. */
export function describeSetAside(folder: string): SetAside {
  const paths = filesBelow(folder, '').sort((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  const list = createHash('sha256');
  for (const file of paths) list.update(`${hashOf(path.join(folder, file))}  ${file}\n`);
  return { files: paths.length, sha256: list.digest('hex') };
}

function filesBelow(folder: string, under: string): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(path.join(folder, under), { withFileTypes: true });
  } catch (error) {
    if (isNoFolder(error)) return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const name = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(folder, name);
    return entry.isFile() ? [name] : [];
  });
}

function hashOf(file: string): string {
  const hash = createHash('sha256');
  const fd = fs.openSync(file, 'r');
  const block = Buffer.alloc(1024 * 1024);
  try {
    for (let at = 0; ; ) {
      const got = fs.readSync(fd, block, 0, block.length, at);
      if (got === 0) return hash.digest('hex');
      hash.update(block.subarray(0, got));
      at += got;
    }
  } finally {
    fs.closeSync(fd);
  }
}
