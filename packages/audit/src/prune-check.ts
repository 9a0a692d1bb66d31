import * as fs from 'node:fs';
import * as path from 'node:path';
import { replaceFileDurably, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import { checkLine, type LineFacts } from './line-check.js';
import { LineFile } from './line-file.js';
import type { SegmentName } from './segment.js';
import { appendCover, coverHashes, MissingHash, tileSubtrees } from './tile-subtrees.js';
import { readTile, tileBytes, tilePath, tileWidth } from './tiles.js';
import { Frontier, type Hash, leafHashInPlace } from './tree.js';

/** A segment as it was read, every line of it led to the signed root. */
export interface CheckedSegment {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly bytes: number;
  /** `hash` of the last record, and epoch of the one behind it. */
  readonly hash: Hash;
  readonly epoch: number;
  /** The log's own lines, each with its newline. */
  readonly own: Buffer;
}

/** So much is read or synced before somebody else gets a turn. */
const turnBytes = 512 * 1024;
const turnSyncs = 8;

/**
 * Reads segments that are to be deleted, checks that they lead to the root of the tree of `head.size` records together with the
 * tiles of all others, and makes sure that the level 0 tiles hold their leaves, durably: they become the only copy. Goes on
 * for as long as it is stepped. Throws `log_damaged` when something is not as it was written.
 */
export function* checkSegments(
  dir: string,
  segments: readonly SegmentName[],
  head: { readonly size: number; readonly root: Hash },
): Generator<void, CheckedSegment[]> {
  const subtree = tileSubtrees(dir);
  const frontier = new Frontier();
  const checked: CheckedSegment[] = [];
  const tiles = new LeafTiles(dir);
  const skipTo = (to: number): void => {
    try {
      appendCover(frontier, to, coverHashes(frontier.size, to, subtree));
    } catch (error) {
      if (!(error instanceof MissingHash)) throw error;
      throw new AuditError(
        'log_failed',
        `a tile of what is kept has no hash ${error.message}, so nothing is deleted; close the log and open it, which makes its tiles again`,
        { cause: error },
      );
    }
  };
  for (const segment of segments) {
    skipTo(segment.firstSeq);
    checked.push(yield* readSegment(segment, frontier, tiles));
  }
  skipTo(head.size);
  if (frontier.root() !== head.root) {
    throw new AuditError(
      'log_damaged',
      `the records that may be deleted, or the tiles of others, do not lead to the root of ${head.size} records; nothing is deleted. Run gatebook audit verify`,
    );
  }
  yield* tiles.settle();
  return checked;
}

function* readSegment(
  segment: SegmentName,
  frontier: Frontier,
  tiles: LeafTiles,
): Generator<void, CheckedSegment> {
  const lines = new LineFile(segment.path);
  const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
  const own: Buffer[] = [];
  let turn = 0;
  try {
    while (lines.next()) {
      const { buf, start, end } = lines;
      const wrong = checkLine(buf, start, end, facts);
      if (wrong !== undefined || facts.seq !== frontier.size) {
        throw new AuditError(
          'log_damaged',
          `${segment.path}, byte ${lines.offset}: ${wrong ?? 'another seq than expected'}; nothing is deleted. Run gatebook audit verify`,
        );
      }
      const leaf = leafHashInPlace(buf, start, end);
      tiles.add(frontier.size, leaf);
      frontier.append(leaf);
      if (facts.eventType.startsWith('log.')) own.push(Buffer.from(buf.subarray(start, end + 1)));
      turn += end - start;
      if (turn < turnBytes) continue;
      turn = 0;
      yield;
    }
    return {
      firstSeq: segment.firstSeq,
      lastSeq: frontier.size - 1,
      bytes: lines.nextOffset,
      hash: facts.hash,
      epoch: facts.epoch + 1,
      own: Buffer.concat(own),
    };
  } finally {
    lines.close();
  }
}

/** Full level 0 tiles and the leaves that they must hold. */
class LeafTiles {
  readonly #dir: string;
  readonly #wanted = new Map<number, Buffer>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  add(seq: number, leaf: Hash): void {
    const index = Math.floor(seq / tileWidth);
    let wanted = this.#wanted.get(index);
    if (wanted === undefined) {
      wanted = Buffer.alloc(tileBytes);
      this.#wanted.set(index, wanted);
    }
    wanted.write(leaf, (seq % tileWidth) * 32, 32, 'hex');
  }

  /** Mends what differs and syncs all of them, and their names. */
  *settle(): Generator<void> {
    const folders = new Set<string>();
    let turn = 0;
    for (const [index, wanted] of this.#wanted) {
      const file = path.join(this.#dir, tilePath(0, index));
      const stored = readTile(this.#dir, 0, index);
      const merged = merge(stored, wanted);
      if (merged.equals(stored)) syncFile(file);
      else replaceFileDurably(file, merged);
      for (let at = path.dirname(file); at !== this.#dir; at = path.dirname(at)) folders.add(at);
      turn = (turn + 1) % turnSyncs;
      if (turn === 0) yield;
    }
    for (const folder of folders) syncFolder(folder);
    syncFolder(this.#dir);
  }
}

/** The stored tile with the wanted entries in their places; those of other segments stay. */
function merge(stored: Buffer, wanted: Buffer): Buffer {
  const merged = Buffer.alloc(tileBytes);
  stored.copy(merged);
  for (let at = 0; at < tileBytes; at += 32) {
    const entry = wanted.subarray(at, at + 32);
    if (entry.some((byte) => byte !== 0)) entry.copy(merged, at);
  }
  return merged;
}

function syncFile(file: string): void {
  const fd = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
