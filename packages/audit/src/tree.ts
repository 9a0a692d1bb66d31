import * as crypto from 'node:crypto';

/** The Merkle tree of RFC 6962 §2.1 with SHA-256. A hash is 64 lower-case hex digits. */
export type Hash = string;

/** The root of a tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Hash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const scratch = Buffer.alloc(65);

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  scratch[0] = 1;
  scratch.write(left + right, 1, 64, 'hex');
  return crypto.hash('sha256', scratch, 'hex');
}

/** SHA-256(0x00 ‖ leaf). */
export function leafHash(leaf: Uint8Array): Hash {
  const prefixed = Buffer.allocUnsafe(leaf.length + 1);
  prefixed[0] = 0;
  prefixed.set(leaf, 1);
  return crypto.hash('sha256', prefixed, 'hex');
}

/**
 * The leaf hash of `buf[start..end)`, without a copy: the byte before `start` is overwritten with the 0x00 prefix for
 * as long as the hash takes, so there must be one.
 */
export function leafHashInPlace(buf: Buffer, start: number, end: number): Hash {
  const before = buf[start - 1]!;
  buf[start - 1] = 0;
  const hash = crypto.hash('sha256', buf.subarray(start - 1, end), 'hex');
  buf[start - 1] = before;
  return hash;
}

/** Called when a perfect subtree of 256^level leaves is complete, level 1 and up. */
export type OnSubtree = (level: number, hash: Hash) => void;

/**
 * The perfect subtrees at the right edge of a growing tree (its *frontier*), one slot a height, from which the root of
 * the tree follows. Appending costs one node hash a leaf on average.
 */
export class Frontier {
  #size = 0;
  readonly #slots: (Hash | undefined)[] = [];

  get size(): number {
    return this.#size;
  }

  /** `hashes` are largest subtree first, as `toArray` gives them. */
  static from(size: number, hashes: readonly Hash[]): Frontier {
    const frontier = new Frontier();
    const heights = heightsOf(size);
    if (heights.length !== hashes.length) {
      throw new RangeError(`a tree of ${size} leaves has ${heights.length} subtrees at its edge`);
    }
    heights.forEach((height, i) => {
      frontier.#slots[height] = hashes[i]!;
    });
    frontier.#size = size;
    return frontier;
  }

  copy(): Frontier {
    return Frontier.from(this.#size, this.toArray());
  }

  append(leaf: Hash, onSubtree?: OnSubtree): void {
    this.#carry(leaf, 0, onSubtree);
    this.#size++;
  }

  /** Appends a perfect subtree of 2^height leaves; the size must be a multiple of that. */
  appendSubtree(hash: Hash, height: number, onSubtree?: OnSubtree): void {
    if (this.#size % 2 ** height !== 0) {
      throw new RangeError(`a subtree of height ${height} cannot stand at ${this.#size}`);
    }
    this.#carry(hash, height, onSubtree);
    this.#size += 2 ** height;
  }

  #carry(hash: Hash, from: number, onSubtree: OnSubtree | undefined): void {
    let height = from;
    let carried = hash;
    for (;;) {
      const left = this.#slots[height];
      if (left === undefined) break;
      this.#slots[height] = undefined;
      carried = nodeHash(left, carried);
      height++;
      if (onSubtree !== undefined && height % 8 === 0) onSubtree(height / 8, carried);
    }
    this.#slots[height] = carried;
  }

  /**
   * Whether the subtrees of heights `from` to `from + 7` at this edge are those of `count` hashes folded on their own,
   * as the hashes of one tile are.
   */
  hasEdge(hashes: readonly Hash[], count: number, from: number): boolean {
    return heightsOf(count).every((height, i) => this.#slots[from + height] === hashes[i]);
  }

  root(): Hash {
    let root: Hash | undefined;
    for (const hash of this.#slots) {
      if (hash !== undefined) root = root === undefined ? hash : nodeHash(hash, root);
    }
    return root ?? emptyRoot;
  }

  /** The subtree hashes, largest first. */
  toArray(): Hash[] {
    return this.#slots.filter((hash) => hash !== undefined).reverse();
  }
}

/** Heights of the perfect subtrees at the edge of a tree of `size` leaves, largest first. */
export function heightsOf(size: number): number[] {
  const heights: number[] = [];
  let rest = size;
  for (let height = 0; rest > 0; height++) {
    if (rest % 2 === 1) heights.unshift(height);
    rest = Math.floor(rest / 2);
  }
  return heights;
}

/** Where a verifier or prover finds the hash of the perfect subtree of 2^height leaves whose place at that height is `index`. */
export type SubtreeHash = (height: number, index: number) => Hash;

/** MTH(D[start:end]) from perfect subtrees; `start` must be a multiple of the largest power of two below the width. */
function rangeRoot(start: number, end: number, subtree: SubtreeHash): Hash {
  const width = end - start;
  const height = Math.log2(width);
  if (Number.isInteger(height)) return subtree(height, start / width);
  const split = splitOf(width);
  return nodeHash(rangeRoot(start, start + split, subtree), rangeRoot(start + split, end, subtree));
}

/** The largest power of two smaller than `width`. */
function splitOf(width: number): number {
  let split = 1;
  while (split * 2 < width) split *= 2;
  return split;
}

/** The inclusion proof of leaf `index` in the tree of `size` leaves, RFC 6962 §2.1.1: from the leaf's sibling up. */
export function inclusionProof(index: number, size: number, subtree: SubtreeHash): Hash[] {
  checkRange(index, size);
  const proof: Hash[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    if (index < middle) {
      proof.push(rangeRoot(middle, end, subtree));
      end = middle;
    } else {
      proof.push(rangeRoot(start, middle, subtree));
      start = middle;
    }
  }
  return proof.reverse();
}

function checkRange(index: number, size: number): void {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new RangeError(`there is no leaf ${index} in a tree of ${size}`);
  }
}

/** The root that an inclusion proof leads to, or undefined when it has the wrong length. */
export function rootFromInclusion(
  index: number,
  size: number,
  leaf: Hash,
  proof: readonly Hash[],
): Hash | undefined {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    return undefined;
  }
  let hash = leaf;
  let node = index;
  let last = size - 1;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : undefined;
}

/** The consistency proof between the trees of `first` and `size` leaves, RFC 6962 §2.1.2. */
export function consistencyProof(first: number, size: number, subtree: SubtreeHash): Hash[] {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(size) || first < 0 || first > size) {
    throw new RangeError(`there is no consistency proof from ${first} to ${size}`);
  }
  if (first === 0 || first === size) return [];
  const proof: Hash[] = [];
  let start = 0;
  let end = size;
  let whole = true;
  while (first !== end) {
    const middle = start + splitOf(end - start);
    if (first <= middle) {
      proof.push(rangeRoot(middle, end, subtree));
      end = middle;
    } else {
      proof.push(rangeRoot(start, middle, subtree));
      start = middle;
      whole = false;
    }
  }
  if (!whole) proof.push(rangeRoot(start, end, subtree));
  return proof.reverse();
}

/** Whether a consistency proof leads from the first root to the second, RFC 9162 §2.1.4.2. */
export function checkConsistency(
  first: number,
  firstRoot: Hash,
  size: number,
  root: Hash,
  proof: readonly Hash[],
): boolean {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(size) || first < 0 || first > size) {
    return false;
  }
  if (first === size) return proof.length === 0 && firstRoot === root;
  if (first === 0) return proof.length === 0 && firstRoot === emptyRoot;
  const isPower = Number.isInteger(Math.log2(first));
  const hashes = isPower ? [firstRoot, ...proof] : [...proof];
  let node = first - 1;
  let last = size - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  const start = hashes.shift();
  if (start === undefined) return false;
  let oldHash = start;
  let newHash = start;
  for (const sibling of hashes) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && oldHash === firstRoot && newHash === root;
}
