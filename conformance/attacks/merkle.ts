import { createHash } from 'node:crypto';

/** The tree of docs/format.md §5, as plainly as RFC 6962 defines it. */

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function leafHash(line: Uint8Array): Buffer {
  return sha256(Buffer.of(0), line);
}

export function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

const width = 256;

/** All tiles of a tree by their paths, the last of each level partial. */
export function tilesOf(leaves: readonly Buffer[]): Map<string, Buffer> {
  const tiles = new Map<string, Buffer>();
  let hashes = leaves;
  for (let level = 0; hashes.length > 0; level++) {
    const above: Buffer[] = [];
    for (let index = 0; index * width < hashes.length; index++) {
      const part = hashes.slice(index * width, (index + 1) * width);
      tiles.set(tilePath(level, index, part.length), Buffer.concat(part));
      if (part.length === width) above.push(rootOf(part));
    }
    hashes = above;
  }
  return tiles;
}

function tilePath(level: number, index: number, count: number): string {
  if (index > 999) throw new Error('these tests have no logs of a quarter of a million records');
  const full = `tile/${level}/${String(index).padStart(3, '0')}`;
  return count === width ? full : `${full}.p/${count}`;
}
