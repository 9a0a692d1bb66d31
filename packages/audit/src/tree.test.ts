import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packageRoot } from './testing/folders.js';
import {
  naiveConsistency,
  naiveInclusion,
  naiveLeaves,
  naiveRoot,
  toHex,
} from './testing/naive-tree.js';
import {
  checkConsistency,
  consistencyProof,
  emptyRoot,
  Frontier,
  heightsOf,
  inclusionProof,
  leafHash,
  leafHashInPlace,
  nodeHash,
  rootFromInclusion,
  type SubtreeHash,
} from './tree.js';

const sizeMax = 300;
const leaves = naiveLeaves(sizeMax);
const roots = leaves.map((_, i) => naiveRoot(leaves.slice(0, i + 1)).toString('hex'));
const rootOf = (size: number): string => (size === 0 ? emptyRoot : roots[size - 1]!);
const known = new Map<string, string>();
const subtree: SubtreeHash = (height, index) => {
  const place = `${height}/${index}`;
  const hash =
    known.get(place) ??
    naiveRoot(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height)).toString('hex');
  known.set(place, hash);
  return hash;
};

interface Vectors {
  readonly leaf_hashes: readonly string[];
  readonly roots: readonly { readonly size: number; readonly root: string }[];
  readonly hashes: readonly string[];
  readonly inclusion: readonly { readonly size: number; readonly proofs: number[][] }[];
  readonly consistency: readonly { readonly size: number; readonly proofs: number[][] }[];
  readonly inclusion_large: readonly { size: number; index: number; proof: number[] }[];
  readonly consistency_large: readonly { old_size: number; size: number; proof: number[] }[];
}
const vectors = JSON.parse(
  fs.readFileSync(path.join(packageRoot, 'vectors', 'tlog.json'), 'utf8'),
) as Vectors;
const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
const table = vectors.hashes.map(hex);
const look = (proof: readonly number[]): string[] => proof.map((i) => table[i]!);

describe('the answers of Go’s sumdb/tlog', () => {
  test('leaf hashes and roots are the same, up to 70,000 leaves', () => {
    vectors.leaf_hashes.forEach((leaf, i) => {
      expect(leafHash(Buffer.from(`leaf ${i}`))).toBe(hex(leaf));
    });
    const wanted = new Map(vectors.roots.map(({ size, root }) => [size, hex(root)]));
    const frontier = new Frontier();
    const sizeMax = Math.max(...wanted.keys());
    for (let size = 0; size <= sizeMax; size++) {
      const root = wanted.get(size);
      if (root !== undefined) {
        expect(frontier.root(), `size ${size}`).toBe(root);
        wanted.delete(size);
      }
      frontier.append(leafHash(Buffer.from(`leaf ${size}`)));
    }
    expect(wanted.size).toBe(0);
    expect(sizeMax).toBeGreaterThanOrEqual(70_000);
  });

  test('inclusion proofs of every leaf in every tree up to 70 are the same', () => {
    for (const { size, proofs } of vectors.inclusion) {
      proofs.forEach((proof, index) => {
        expect(inclusionProof(index, size, subtree)).toEqual(look(proof));
        const leaf = hex(vectors.leaf_hashes[index]!);
        expect(rootFromInclusion(index, size, leaf, look(proof))).toBe(rootOf(size));
      });
    }
  });

  test('consistency proofs between all trees up to 70 are the same', () => {
    for (const { size, proofs } of vectors.consistency) {
      proofs.forEach((proof, i) => {
        expect(consistencyProof(i + 1, size, subtree)).toEqual(look(proof));
        expect(checkConsistency(i + 1, rootOf(i + 1), size, rootOf(size), look(proof))).toBe(true);
      });
    }
  });

  test('proofs in large trees lead to the large roots', () => {
    const large = new Map(vectors.roots.map(({ size, root }) => [size, hex(root)]));
    let checked = 0;
    for (const { size, index, proof } of vectors.inclusion_large) {
      const root = large.get(size);
      if (root === undefined) continue;
      checked++;
      const leaf = leafHash(Buffer.from(`leaf ${index}`));
      expect(rootFromInclusion(index, size, leaf, look(proof))).toBe(root);
    }
    for (const { old_size, size, proof } of vectors.consistency_large) {
      const [first, root] = [large.get(old_size), large.get(size)];
      if (first === undefined || root === undefined) continue;
      checked++;
      expect(checkConsistency(old_size, first, size, root, look(proof))).toBe(true);
    }
    expect(checked).toBeGreaterThan(50);
  });
});

describe('against the recursive definition', () => {
  test('a frontier’s root and edge are those of the definition at every size', () => {
    const frontier = new Frontier();
    expect(frontier.root()).toBe(emptyRoot);
    for (let size = 1; size <= sizeMax; size++) {
      frontier.append(leaves[size - 1]!.toString('hex'));
      expect(frontier.size).toBe(size);
      expect(frontier.root()).toBe(rootOf(size));
      let start = 0;
      const edge = heightsOf(size).map((height) => {
        const node = naiveRoot(leaves.slice(start, start + 2 ** height)).toString('hex');
        start += 2 ** height;
        return node;
      });
      expect(frontier.toArray()).toEqual(edge);
      expect(Frontier.from(size, edge).root()).toBe(rootOf(size));
    }
  });

  test('a frontier taken up anywhere goes on as if it had never stopped, and its copy is its own', () => {
    fc.assert(
      fc.property(fc.nat(sizeMax - 1), fc.nat(sizeMax - 1), (a, b) => {
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const frontier = new Frontier();
        for (const leaf of leaves.slice(0, first)) frontier.append(leaf.toString('hex'));
        const taken = Frontier.from(first, frontier.toArray());
        const copy = frontier.copy();
        for (const leaf of leaves.slice(first, second)) taken.append(leaf.toString('hex'));
        expect(taken.root()).toBe(rootOf(second));
        expect(copy.root()).toBe(rootOf(first));
        expect(copy.size).toBe(first);
      }),
    );
  });

  test('inclusion proofs are PATH(m, D[n]) and lead to the root', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: sizeMax }), fc.nat(), (size, seed) => {
        const index = seed % size;
        const proof = inclusionProof(index, size, subtree);
        expect(proof).toEqual(toHex(naiveInclusion(index, leaves.slice(0, size))));
        const leaf = leaves[index]!.toString('hex');
        expect(rootFromInclusion(index, size, leaf, proof)).toBe(rootOf(size));
      }),
    );
  });

  test('consistency proofs are PROOF(m, D[n]) and hold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: sizeMax }), fc.nat(), (size, seed) => {
        const first = 1 + (seed % size);
        const proof = consistencyProof(first, size, subtree);
        expect(proof).toEqual(toHex(naiveConsistency(first, leaves.slice(0, size))));
        expect(checkConsistency(first, rootOf(first), size, rootOf(size), proof)).toBe(true);
      }),
    );
  });
});

describe('what must not be believed', () => {
  test('no changed, shortened, lengthened or moved inclusion proof leads to the root', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: sizeMax }), fc.nat(), fc.nat(), (size, a, b) => {
        const index = a % size;
        const leaf = leaves[index]!.toString('hex');
        const proof = inclusionProof(index, size, subtree);
        const at = b % proof.length;
        const other = leaves[(index + 1) % sizeMax]!.toString('hex');
        const changed = proof.with(at, other === proof[at] ? emptyRoot : other);
        const root = rootOf(size);
        expect(rootFromInclusion(index, size, leaf, changed)).not.toBe(root);
        expect(rootFromInclusion(index, size, leaf, proof.slice(1))).not.toBe(root);
        expect(rootFromInclusion(index, size, leaf, [...proof, other])).not.toBe(root);
        expect(rootFromInclusion(index, size, other, proof)).not.toBe(root);
        expect(rootFromInclusion((index + 1) % size, size, leaf, proof)).not.toBe(root);
      }),
    );
  });

  test('no changed, shortened or lengthened consistency proof holds, nor one for other roots', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: sizeMax }), fc.nat(), fc.nat(), (size, a, b) => {
        const first = 1 + (a % (size - 1));
        const proof = consistencyProof(first, size, subtree);
        const [old, root] = [rootOf(first), rootOf(size)];
        const at = b % proof.length;
        const holds = (changed: readonly string[]): boolean =>
          checkConsistency(first, old, size, root, changed);
        expect(holds(proof.with(at, proof[at] === emptyRoot ? old : emptyRoot))).toBe(false);
        expect(holds(proof.slice(1))).toBe(false);
        expect(holds(proof.slice(0, -1))).toBe(false);
        expect(holds([...proof, emptyRoot])).toBe(false);
        expect(checkConsistency(first, emptyRoot, size, root, proof)).toBe(false);
        expect(checkConsistency(first, old, size, emptyRoot, proof)).toBe(false);
      }),
    );
  });

  test('an inner node passes for no leaf: a path too short for its place is refused', () => {
    for (const size of [2, 3, 4, 7, 8, 100, 256]) {
      const proof = inclusionProof(0, size, subtree);
      let node = leaves[0]!.toString('hex');
      proof.forEach((sibling, i) => {
        node = nodeHash(node, sibling);
        expect(rootFromInclusion(0, size, node, proof.slice(i + 1))).toBeUndefined();
      });
      expect(node).toBe(rootOf(size));
    }
  });

  test('the edges of consistency: equal sizes need equal roots, from nothing nothing is proven', () => {
    expect(consistencyProof(0, 5, subtree)).toEqual([]);
    expect(consistencyProof(5, 5, subtree)).toEqual([]);
    expect(checkConsistency(5, rootOf(5), 5, rootOf(5), [])).toBe(true);
    expect(checkConsistency(5, rootOf(5), 5, rootOf(6), [])).toBe(false);
    expect(checkConsistency(5, rootOf(5), 5, rootOf(5), [emptyRoot])).toBe(false);
    expect(checkConsistency(0, emptyRoot, 5, rootOf(5), [])).toBe(true);
    expect(checkConsistency(0, rootOf(1), 5, rootOf(5), [])).toBe(false);
    expect(checkConsistency(6, rootOf(6), 5, rootOf(5), [])).toBe(false);
    expect(checkConsistency(1, rootOf(1), 2, rootOf(2), [])).toBe(false);
  });

  test('places that are not in the tree are refused', () => {
    for (const [index, size] of [
      [5, 5],
      [-1, 5],
      [0, 0],
      [0.5, 5],
      [Number.NaN, 5],
      [0, Number.POSITIVE_INFINITY],
    ] as const) {
      expect(() => inclusionProof(index, size, subtree)).toThrow(RangeError);
      expect(rootFromInclusion(index, size, emptyRoot, [])).toBeUndefined();
    }
    expect(() => consistencyProof(6, 5, subtree)).toThrow(RangeError);
    expect(() => consistencyProof(-1, 5, subtree)).toThrow(RangeError);
    expect(() => Frontier.from(3, [emptyRoot])).toThrow(RangeError);
    expect(() => Frontier.from(1, [emptyRoot]).appendSubtree(emptyRoot, 1)).toThrow(RangeError);
  });
});

test('a leaf hashed in place is the leaf hash, and the borrowed byte is given back', () => {
  const buf = Buffer.from('?leaf 7?');
  expect(leafHashInPlace(buf, 1, 7)).toBe(leaves[7]!.toString('hex'));
  expect(buf.toString()).toBe('?leaf 7?');
});

test('every 256 leaves a subtree is told, in order of completion', () => {
  const told: [number, number, string][] = [];
  const frontier = new Frontier();
  for (let i = 0; i < 600; i++) {
    frontier.append(leafHash(Buffer.from(`leaf ${i}`)), (level, hash) => {
      told.push([level, i, hash]);
    });
  }
  expect(told.map(([level, i]) => [level, i])).toEqual([
    [1, 255],
    [1, 511],
  ]);
  expect(told[0]![2]).toBe(rootOf(256));
});
