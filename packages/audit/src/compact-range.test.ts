import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendRange, CompactRange } from './compact-range.js';
import { naiveLeaves, naiveRoot } from './testing/naive-tree.js';
import { Frontier } from './tree.js';

const leaves = naiveLeaves(1_100).map((leaf) => leaf.toString('hex'));

interface Told {
  readonly level: number;
  readonly index: number;
  readonly hash: string;
}

/** Hashes the leaves run by run, cut at the given places, and joins the runs. */
function joined(size: number, cuts: readonly number[]): { frontier: Frontier; told: Told[] } {
  const told: Told[] = [];
  const tell = (level: number, index: number, hash: string): void => {
    told.push({ level, index, hash });
  };
  const edges = [...new Set([0, ...cuts.filter((cut) => cut < size), size])].sort((a, b) => a - b);
  const runs = edges.slice(1).map((end, i) => {
    const range = new CompactRange(edges[i]!, tell);
    for (const leaf of leaves.slice(edges[i], end)) range.append(leaf);
    return range;
  });
  const frontier = new Frontier();
  for (const range of runs) appendRange(frontier, range.subtrees(), tell);
  return { frontier, told };
}

test('runs cut anywhere join into the tree of the whole', () => {
  const whole = Array.from({ length: leaves.length + 1 }, () => '');
  const frontier = new Frontier();
  whole[0] = frontier.root();
  leaves.forEach((leaf, i) => {
    frontier.append(leaf);
    whole[i + 1] = frontier.root();
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 400 }),
      fc.array(fc.nat(400), { maxLength: 12 }),
      (size, cuts) => {
        const result = joined(size, cuts);
        expect(result.frontier.size).toBe(size);
        expect(result.frontier.root()).toBe(whole[size]);
      },
    ),
  );
});

test('each hash that a tile of a higher level holds is told once, with its place, wherever the cuts are', () => {
  const wanted = [0, 1, 2, 3].map((index) => ({
    level: 1,
    index,
    hash: naiveRoot(
      leaves.slice(index * 256, (index + 1) * 256).map((leaf) => Buffer.from(leaf, 'hex')),
    ).toString('hex'),
  }));
  fc.assert(
    fc.property(fc.array(fc.nat(leaves.length), { maxLength: 10 }), (cuts) => {
      const { told } = joined(leaves.length, cuts);
      expect(told.sort((a, b) => a.index - b.index)).toEqual(wanted);
    }),
    { numRuns: 30 },
  );
});

test('a run holds no more subtrees than twice its height', () => {
  const range = new CompactRange(3, () => {});
  for (const leaf of leaves.slice(3, 1_003)) range.append(leaf);
  expect(range.subtrees().length).toBeLessThanOrEqual(20);
});
