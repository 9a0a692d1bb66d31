import { coverOf } from './pruned-ranges.js';
import { readTile, tileEntry, tileWidth } from './tiles.js';
import { type Frontier, type Hash, nodeHash, type SubtreeHash } from './tree.js';

/** Thrown where the tiles do not hold a hash. */
export class MissingHash extends Error {}

/** Perfect subtrees from the tiles: a hash of the tile of its level up to `levelMax`, or folded from those below it. */
export function tileSubtrees(dir: string, levelMax = Number.POSITIVE_INFINITY): SubtreeHash {
  let last: { name: string; bytes: Buffer } | undefined;
  const known = new Map<string, Buffer>();
  const tile = (level: number, index: number): Buffer => {
    const name = `${level}/${index}`;
    if (last?.name === name) return last.bytes;
    const bytes = known.get(name) ?? readTile(dir, level, index);
    // Upper tiles are asked for again and again, and there are few of them.
    if (level > 0) known.set(name, bytes);
    last = { name, bytes };
    return bytes;
  };
  const entry = (level: number, index: number): Hash => {
    const hash = tileEntry(tile(level, Math.floor(index / tileWidth)), index % tileWidth);
    if (hash !== undefined) return hash;
    if (level === 0) throw new MissingHash(`${level}/${index}`);
    return foldSubtree(8, index, (place) => entry(level - 1, place));
  };
  return (height, index) => {
    const level = Math.min(levelMax, Math.floor(height / 8));
    return foldSubtree(height - level * 8, index, (place) => entry(level, place));
  };
}

/** The hash of 2^height neighbours, the `index`-th such group. */
export function foldSubtree(height: number, index: number, at: (place: number) => Hash): Hash {
  if (height === 0) return at(index);
  return nodeHash(
    foldSubtree(height - 1, index * 2, at),
    foldSubtree(height - 1, index * 2 + 1, at),
  );
}

/** The perfect subtrees that cover the leaves [from, to). */
export function coverHashes(from: number, to: number, subtree: SubtreeHash): Hash[] {
  let at = from;
  return coverOf(from, to).map((height) => {
    const hash = subtree(height, at / 2 ** height);
    at += 2 ** height;
    return hash;
  });
}

/** Appends the leaves up to `to` as the subtrees that cover them. */
export function appendCover(frontier: Frontier, to: number, hashes: readonly Hash[]): void {
  coverOf(frontier.size, to).forEach((height, i) => {
    frontier.appendSubtree(hashes[i]!, height);
  });
}
