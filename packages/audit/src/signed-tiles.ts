import type { Checkpoint } from './checkpoint.js';
import { AuditError } from './errors.js';
import { LineFile } from './line-file.js';
import { findLine } from './reader.js';
import { listSegments } from './segment.js';
import { readTile, tileEntry, tileWidth } from './tiles.js';
import { Frontier, type Hash, leafHash } from './tree.js';

/** A tile or line that is not there, or not yet, or not what was signed. */
export class NotServable extends Error {}

const keptTilesMax = 256;

/**
 * The tree under one checkpoint as tiles and entry bundles (c2sp.org/tlog-tiles), from the log folder. What lies there is
 * derived and unsynced, so nothing of it is given before it was folded into the checkpoint's root.
 */
export class SignedTiles {
  readonly checkpoint: Checkpoint;
  readonly #dir: string;
  /** By level: the hashes of the tile at the tree's right edge, empty where that is full. */
  readonly #edges: (readonly Hash[])[] = [];
  readonly #kept = new Map<string, readonly Hash[]>();

  /** Throws `NotServable` when the edge of the tree on disk is not the one that was signed. */
  constructor(dir: string, checkpoint: Checkpoint) {
    this.#dir = dir;
    this.checkpoint = checkpoint;
    const { size, root } = checkpoint;
    const subtrees: Hash[] = [];
    for (let level = 0; 256 ** level <= size; level++) {
      const count = Math.floor(size / 256 ** level) % tileWidth;
      const edge = this.#read(level, Math.floor(size / 256 ** (level + 1)), count);
      this.#edges.push(edge);
      const fold = new Frontier();
      for (const hash of edge) fold.append(hash);
      subtrees.unshift(...fold.toArray());
    }
    if (Frontier.from(size, subtrees).root() !== root) {
      throw new NotServable(`the tiles do not give the root of ${size} records`);
    }
  }

  /** How many hashes a tile has in this tree; 0 when it has no such tile. */
  width(level: number, index: number): number {
    const hashes = Math.floor(this.checkpoint.size / 256 ** level) - index * tileWidth;
    return Math.max(0, Math.min(tileWidth, hashes));
  }

  /** The hashes of a tile, each of them under the root. Throws `NotServable`. */
  tile(level: number, index: number): readonly Hash[] {
    const width = this.width(level, index);
    if (width === 0) throw new NotServable('the tree has no such tile');
    if (width < tileWidth) return this.#edges[level]!;
    const name = `${level}/${index}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const hashes = this.#read(level, index, tileWidth);
    const above = this.tile(level + 1, Math.floor(index / tileWidth));
    const fold = new Frontier();
    for (const hash of hashes) fold.append(hash);
    if (above[index % tileWidth] !== fold.root()) {
      throw new NotServable(`tile ${name} is not under the root of ${this.checkpoint.size}`);
    }
    this.#keep(name, hashes);
    return hashes;
  }

  /** The lines of a bundle, `width` of them, each of them under the root. Throws `NotServable`. */
  entries(index: number, width: number): Buffer[] {
    const leaves = this.tile(0, index);
    const first = index * tileWidth;
    const lines = linesFrom(this.#dir, first, width);
    if (lines.length < width) throw new NotServable(`record ${first + lines.length} is not there`);
    lines.forEach((line, at) => {
      if (leafHash(line) !== leaves[at]) {
        throw new NotServable(`record ${first + at} is not the one that was signed`);
      }
    });
    return lines;
  }

  #read(level: number, index: number, count: number): Hash[] {
    if (count === 0) return [];
    const bytes = readTile(this.#dir, level, index);
    return Array.from({ length: count }, (_, place) => {
      const hash = tileEntry(bytes, place);
      if (hash === undefined) throw new NotServable(`tile ${level}/${index} is not there`);
      return hash;
    });
  }

  #keep(name: string, hashes: readonly Hash[]): void {
    this.#kept.set(name, hashes);
    if (this.#kept.size <= keptTilesMax) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest!);
  }
}

/** Up to `count` lines from `seq` on, across segments. */
function linesFrom(dir: string, seq: number, count: number): Buffer[] {
  const found = findLine(dir, seq);
  if (found === undefined) return [];
  const lines: Buffer[] = [];
  const segments = listSegments(dir);
  const start = segments.findIndex(({ name }) => name === found.segment);
  let offset = found.offset;
  for (const segment of start < 0 ? [] : segments.slice(start)) {
    // Behind a gap other records follow than the ones asked for.
    if (lines.length > 0 && segment.firstSeq !== seq + lines.length) break;
    const file = new LineFile(segment.path, offset);
    try {
      while (lines.length < count && file.next()) {
        lines.push(Buffer.from(file.buf.subarray(file.start, file.end)));
      }
    } finally {
      file.close();
    }
    if (lines.length === count) break;
    offset = 0;
  }
  return lines;
}

/**
 * The end of the newest deleted segment, rounded up to a whole bundle (c2sp.org/tlog-tiles, Pruning): entries below are
 * not served. 0 when every segment is there.
 */
export function minimumIndex(dir: string): number {
  const segments = listSegments(dir);
  let minimum = segments[0]?.firstSeq ?? 0;
  segments.slice(1).forEach((segment, at) => {
    // A segment is followed by the one that its records lead to, unless something between them is gone.
    const last = findLine(dir, segment.firstSeq - 1);
    if (last === undefined || last.segment !== segments[at]!.name) minimum = segment.firstSeq;
  });
  return Math.ceil(minimum / tileWidth) * tileWidth;
}

export function asNotServable(error: unknown): NotServable | undefined {
  if (error instanceof NotServable) return error;
  return error instanceof AuditError ? new NotServable(error.message) : undefined;
}
