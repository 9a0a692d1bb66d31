import * as fs from 'node:fs';
import type { BookState } from './book-state.js';
import { contentFolder, listContents } from './content-file.js';
import { makeFolder, replaceFileDurably, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import { keptFolder, keptPath, listKept } from './kept.js';
import { type CheckedSegment, checkSegments } from './prune-check.js';
import {
  joinSpans,
  type Pruned,
  type PrunedRange,
  type Removed,
  rangeAround,
  rangesMax,
  removedMax,
} from './pruned-ranges.js';
import { reasonToGo, type SealedSegment, type Terms, termsOf } from './retention.js';
import {
  archivePath,
  listSegments,
  type SegmentName,
  segmentPath,
  segmentsFolder,
} from './segment.js';
import { readSeal, type SegmentSeal } from './segment-seal.js';
import { tallyRoot } from './tally.js';
import { readTallyLines } from './tally-file.js';
import { appendCover, coverHashes, tileSubtrees } from './tile-subtrees.js';
import { tileWidth } from './tiles.js';
import { Frontier, type Hash } from './tree.js';

/** The log as it stands when somebody asks what may go. */
export interface PruneView {
  readonly state: BookState;
  readonly nowMs: number;
  /** Of all records so far, deleted ones included. */
  readonly seq: number;
  readonly bytes: number;
  /** The newest checkpoint, and the segment that holds its last record. */
  readonly head: { readonly size: number; readonly root: Hash; readonly segment: number };
}

interface Chosen extends Removed {
  readonly segment: SegmentName;
  readonly bytes: number;
}

/** Everything but the record and the deletion is done. */
export interface PreparedPrune {
  readonly removed: readonly Removed[];
  readonly ranges: readonly PrunedRange[];
}

/**
 * Deletes what the policy in the book lets go, in this order: the segments are checked against the tree and their tiles synced, the
 * log's own lines of them kept, durably; then the writer records it and signs
 * that; then `finish`. What was interrupted or failed behind the record is finished by the same writer or the next opening.
 */
export class Pruner {
  readonly #dir: string;
  #ranges: readonly PrunedRange[];
  readonly #seals = new Map<number, SegmentSeal | undefined>();

  constructor(dir: string, ranges: readonly PrunedRange[]) {
    this.#dir = dir;
    this.#ranges = ranges;
  }

  /** Deletes segments that a durable record says are gone. */
  finish(): void {
    let removed = 0;
    const kept = new Set(listKept(this.#dir).map(({ firstSeq }) => firstSeq));
    for (const segment of listSegments(this.#dir)) {
      const { firstSeq } = segment;
      if (rangeAround(this.#ranges, firstSeq, firstSeq + 1) === undefined) continue;
      if (!kept.has(firstSeq)) {
        throw new AuditError(
          'log_damaged',
          `${keptPath(this.#dir, firstSeq)} is gone, but ${segment.path} was to be deleted; run gatebook audit verify`,
        );
      }
      for (const file of [segmentPath, archivePath])
        fs.rmSync(file(this.#dir, firstSeq), { force: true });
      removed++;
    }
    if (removed > 0) syncFolder(segmentsFolder(this.#dir));
    this.#finishContents();
  }

  /** The content of records that are gone; it goes after them, so that no record is left without. */
  #finishContents(): void {
    let removed = 0;
    for (const { firstSeq, path } of listContents(this.#dir)) {
      if (rangeAround(this.#ranges, firstSeq, firstSeq + 1) === undefined) continue;
      fs.rmSync(path, { force: true });
      removed++;
    }
    if (removed > 0) syncFolder(contentFolder(this.#dir));
  }

  /** What may go now, oldest first: as much as one record can name, or `most` segments. */
  choose(view: PruneView, most = removedMax): readonly Removed[] {
    return this.#choose(view, most).map(removedOf);
  }

  #choose(view: PruneView, most: number): Chosen[] {
    const terms = termsOf(view.state.retention);
    if (terms === undefined) return [];
    const chosen: Chosen[] = [];
    let bytes = view.bytes - sum(this.#ranges.map((range) => range.bytes));
    let records = view.seq - sum(this.#ranges.map((range) => range.lastSeq + 1 - range.firstSeq));
    let ranges: readonly Span[] = this.#ranges;
    // The leaves of what goes must lie in full tiles, which are not written again.
    const end = Math.floor(view.head.size / tileWidth) * tileWidth;
    for (const segment of listSegments(this.#dir)) {
      if (segment.firstSeq >= view.head.segment || chosen.length === most) break;
      if (rangeAround(this.#ranges, segment.firstSeq, segment.firstSeq + 1)) continue;
      const sealed = this.#sealed(segment, terms);
      if (sealed === undefined) continue;
      if (sealed.lastSeq >= end) break;
      const { aheadMs } = view.state;
      const reason = reasonToGo(terms, sealed, { nowMs: view.nowMs, aheadMs, bytes, records });
      const joined = joinSpans([...ranges, sealed]);
      if (reason === undefined || joined.length > rangesMax) continue;
      ranges = joined;
      const { firstSeq, lastSeq } = sealed;
      chosen.push({ firstSeq, lastSeq, reason, segment, bytes: sealed.bytes });
      bytes -= sealed.bytes;
      records -= lastSeq + 1 - firstSeq;
    }
    return chosen;
  }

  /** Checks, syncs and keeps what must be before anything may be deleted; undefined when nothing may. */
  *prepare(view: PruneView): Generator<void, PreparedPrune | undefined> {
    const chosen = this.#choose(view, removedMax);
    if (chosen.length === 0) return undefined;
    const segments = chosen.map(({ segment }) => segment);
    const checked = yield* checkSegments(this.#dir, segments, view.head);
    chosen.forEach((choice, i) => {
      const found = checked[i]!;
      if (found.lastSeq === choice.lastSeq && found.bytes === choice.bytes) return;
      throw new AuditError(
        'log_damaged',
        `${choice.segment.path} changed while it was read; nothing is deleted`,
      );
    });
    makeFolder(keptFolder(this.#dir));
    for (const segment of checked) {
      replaceFileDurably(keptPath(this.#dir, segment.firstSeq), segment.own);
      yield;
    }
    return { removed: chosen.map(removedOf), ranges: this.#merge(checked, view.head) };
  }

  /** The record is in the book; once it is signed, `finish`. */
  recorded(pruned: Pruned): void {
    this.#ranges = pruned.ranges;
  }

  get ranges(): readonly PrunedRange[] {
    return this.#ranges;
  }

  #merge(checked: readonly CheckedSegment[], head: PruneView['head']): PrunedRange[] {
    const parts = [
      ...this.#ranges,
      ...checked.map((segment) => ({ ...segment, subtrees: [] })),
    ].sort((a, b) => a.firstSeq - b.firstSeq);
    const merged: PrunedRange[] = [];
    for (const { firstSeq, lastSeq, bytes, epoch, hash, subtrees } of parts) {
      const before = merged.at(-1);
      if (before?.lastSeq !== firstSeq - 1) {
        merged.push({ firstSeq, lastSeq, bytes, epoch, hash, subtrees });
        continue;
      }
      merged[merged.length - 1] = {
        ...{ firstSeq: before.firstSeq, lastSeq, epoch, hash, subtrees: [] },
        bytes: before.bytes + bytes,
      };
    }
    return merged.map((range) =>
      range.subtrees.length > 0 ? range : { ...range, subtrees: this.#cover(range, head) },
    );
  }

  /** The subtrees of a range; upper tiles are used where they lead to the root, else the leaves, which were checked. */
  #cover({ firstSeq, lastSeq }: Span, { size, root }: PruneView['head']): Hash[] {
    for (const levelMax of [Number.POSITIVE_INFINITY, 0]) {
      const subtree = tileSubtrees(this.#dir, levelMax);
      const tree = new Frontier();
      const hashes = coverHashes(firstSeq, lastSeq + 1, subtree);
      appendCover(tree, firstSeq, coverHashes(0, firstSeq, subtree));
      appendCover(tree, lastSeq + 1, hashes);
      appendCover(tree, size, coverHashes(lastSeq + 1, size, subtree));
      if (tree.root() === root) return hashes;
    }
    throw new AuditError(
      'log_damaged',
      `the tiles in ${this.#dir} do not lead to the root of ${size} records; nothing is deleted`,
    );
  }

  #sealed(segment: SegmentName, terms: Terms): SealedSegment | undefined {
    if (!this.#seals.has(segment.firstSeq)) this.#seals.set(segment.firstSeq, readSeal(segment));
    const seal = this.#seals.get(segment.firstSeq);
    if (seal === undefined) return undefined;
    const asks = terms.hold.length > 0 || Object.keys(terms.typeDays).length > 0;
    const { tallyRoot: root, ...sealed } = seal;
    return { ...sealed, has: asks ? tallyOf(this.#dir, segment.firstSeq, root) : undefined };
  }
}

interface Span {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

function removedOf({ firstSeq, lastSeq, reason }: Chosen): Removed {
  return { firstSeq, lastSeq, reason };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Asks the tally beside a segment, if it is the one that its seal names. */
export function tallyOf(dir: string, firstSeq: number, root: unknown): SealedSegment['has'] {
  const lines = readTallyLines(dir, firstSeq);
  if (lines === undefined || tallyRoot(lines) !== root) return undefined;
  const keys = new Set(lines.map((line) => line.slice(0, line.lastIndexOf(','))));
  return (dimension, value) => {
    const text = Buffer.from(JSON.stringify(value)).toString('latin1');
    return keys.has(`["${dimension}",${text}`);
  };
}
