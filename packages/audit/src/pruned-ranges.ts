import type { JsonObject } from './event.js';
import type { PruneReason } from './retention.js';
import { pruneReasons } from './retention.js';
import type { Hash } from './tree.js';

/** Records that are gone, and what must be known to go on behind them. */
export interface PrunedRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of the lines that were deleted. */
  readonly bytes: number;
  /** Epoch of the record behind the last, and the `hash` of the last. */
  readonly epoch: number;
  readonly hash: Hash;
  /** The perfect subtrees that cover the range, from left to right. */
  readonly subtrees: readonly Hash[];
}

/** One segment that was deleted. */
export interface Removed {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly reason: PruneReason;
}

/** What a `log.pruned` record says; docs/format.md §3.2. */
export interface Pruned {
  /** Bytes of all lines before this record. */
  readonly bytes: number;
  readonly removed: readonly Removed[];
  /** Everything that is gone, this time and before, in order and apart from each other. */
  readonly ranges: readonly PrunedRange[];
}

/** One record can name no more. */
export const rangesMax = 12;
export const removedMax = 100;

export function prunedDetails({ bytes, removed, ranges }: Pruned): JsonObject {
  return {
    bytes,
    removed: removed.map(({ firstSeq, lastSeq, reason }) => ({
      first_seq: firstSeq,
      last_seq: lastSeq,
      reason,
    })),
    ranges: ranges.map((range) => ({
      first_seq: range.firstSeq,
      last_seq: range.lastSeq,
      bytes: range.bytes,
      epoch: range.epoch,
      hash: range.hash,
      subtrees: range.subtrees.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
    })),
  };
}

/** Reads the details of a `log.pruned` record; undefined when they are not of the form. */
export function parsePruned(details: unknown): Pruned | undefined {
  const fields = new Fields(details);
  const bytes = fields.integer('bytes');
  const removed = fields.list('removed', removedMax, (each): Removed | undefined => {
    const [firstSeq, lastSeq] = [each.integer('first_seq'), each.integer('last_seq')];
    const reason = pruneReasons.find((known) => known === each.value('reason'));
    if (firstSeq === undefined || lastSeq === undefined || firstSeq > lastSeq) return undefined;
    return reason === undefined ? undefined : { firstSeq, lastSeq, reason };
  });
  const ranges = fields.list('ranges', rangesMax, parseRange);
  if (bytes === undefined || removed === undefined || ranges === undefined) return undefined;
  const apart = ranges.every((range, i) => i === 0 || range.firstSeq > ranges[i - 1]!.lastSeq + 1);
  return apart ? { bytes, removed, ranges } : undefined;
}

function parseRange(each: Fields): PrunedRange | undefined {
  const [firstSeq, lastSeq] = [each.integer('first_seq'), each.integer('last_seq')];
  const [bytes, epoch] = [each.integer('bytes'), each.integer('epoch')];
  const hash = each.value('hash');
  if (firstSeq === undefined || lastSeq === undefined || firstSeq > lastSeq) return undefined;
  if (bytes === undefined || epoch === undefined) return undefined;
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) return undefined;
  const texts = each.value('subtrees');
  const heights = coverOf(firstSeq, lastSeq + 1);
  if (!Array.isArray(texts) || texts.length !== heights.length) return undefined;
  const subtrees = texts.map((text) => Buffer.from(String(text), 'base64'));
  if (subtrees.some((bytes, i) => bytes.length !== 32 || bytes.toString('base64') !== texts[i]))
    return undefined;
  const hashes = subtrees.map((bytes) => bytes.toString('hex'));
  return { firstSeq, lastSeq, bytes, epoch, hash, subtrees: hashes };
}

class Fields {
  readonly #object: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    this.#object =
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  }

  value(name: string): unknown {
    return this.#object[name];
  }

  integer(name: string): number | undefined {
    const value = this.#object[name];
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : undefined;
  }

  list<T>(name: string, max: number, parse: (each: Fields) => T | undefined): T[] | undefined {
    const value = this.#object[name];
    if (!Array.isArray(value) || value.length > max) return undefined;
    const items = value.map((each) => parse(new Fields(each)));
    return items.every((item) => item !== undefined) ? items : undefined;
  }
}

/** Heights of the perfect subtrees that cover the leaves [from, to), from left to right, each as large as its place allows. */
export function coverOf(from: number, to: number): number[] {
  const heights: number[] = [];
  let at = from;
  while (at < to) {
    let height = 0;
    while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= to) height++;
    heights.push(height);
    at += 2 ** height;
  }
  return heights;
}

interface Span {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Spans in order, those that touch each other joined. */
export function joinSpans(spans: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.firstSeq - b.firstSeq)) {
    const before = joined.at(-1);
    if (before?.lastSeq !== span.firstSeq - 1) joined.push(span);
    else joined[joined.length - 1] = { firstSeq: before.firstSeq, lastSeq: span.lastSeq };
  }
  return joined;
}

/** The range that holds all of [from, to), if one does. */
export function rangeAround(
  ranges: readonly PrunedRange[],
  from: number,
  to: number,
): PrunedRange | undefined {
  return ranges.find(({ firstSeq, lastSeq }) => firstSeq <= from && to <= lastSeq + 1);
}

/** Cuts [from, to) where ranges begin and end. */
export function splitByRanges(
  ranges: readonly PrunedRange[],
  from: number,
  to: number,
): { readonly from: number; readonly to: number; readonly range: PrunedRange | undefined }[] {
  const parts: { from: number; to: number; range: PrunedRange | undefined }[] = [];
  let at = from;
  for (const range of ranges) {
    const [first, end] = [Math.max(range.firstSeq, at), Math.min(range.lastSeq + 1, to)];
    if (first >= end) continue;
    if (at < first) parts.push({ from: at, to: first, range: undefined });
    parts.push({ from: first, to: end, range });
    at = end;
  }
  if (at < to) parts.push({ from: at, to, range: undefined });
  return parts;
}
