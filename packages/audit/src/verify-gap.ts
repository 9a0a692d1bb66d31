import type { EpochKeys } from './epoch-keys.js';
import { listKept } from './kept.js';
import { type PrunedRange, rangeAround } from './pruned-ranges.js';
import { tileLeaves } from './tiles.js';
import type { Frontier, Hash } from './tree.js';
import { type KeptFault, type KeptSegment, type KeptStart, readKept } from './verify-kept.js';

/** Records that are not in any segment: deleted by the log's own word, where a range and kept lines say so, else missing. */
export interface GapRun {
  readonly from: number;
  readonly to: number;
  /** Undefined: missing. */
  readonly range: PrunedRange | undefined;
  readonly segments: readonly KeptSegment[];
}

export interface Gap {
  readonly runs: readonly GapRun[];
  /** What ended the reading behind those runs, and in which file. */
  readonly fault: (KeptFault & { readonly file: string }) | undefined;
}

/** Reads what was kept of the records [start.seq, to). */
export function readGap(
  dir: string,
  ranges: readonly PrunedRange[],
  start: KeptStart,
  to: number,
  keys: EpochKeys | undefined,
): Gap {
  const runs: GapRun[] = [];
  const files = listKept(dir).filter(
    ({ firstSeq }) => start.seq <= firstSeq && firstSeq < to && rangeOf(ranges, firstSeq),
  );
  let at: KeptStart = start;
  for (const file of files) {
    // Another file has reached beyond where this one begins.
    if (file.firstSeq < at.seq) continue;
    if (file.firstSeq > at.seq) {
      runs.push({ from: at.seq, to: file.firstSeq, range: undefined, segments: [] });
      at = { seq: file.firstSeq, prevHash: undefined, epoch: undefined };
    }
    const read = readKept(dir, file, at, keys);
    if ('fault' in read) return { runs, fault: { ...read.fault, file: `kept/${file.name}` } };
    const { kept } = read;
    const end = kept.lastSeq + 1;
    const range = rangeAround(ranges, at.seq, end);
    if (range === undefined || end > to) {
      const reason = 'it is of more records than were deleted';
      return { runs, fault: { seq: at.seq, offset: 0, reason, file: `kept/${file.name}` } };
    }
    const last = runs.at(-1);
    if (last?.range === range && last.to === at.seq) {
      runs[runs.length - 1] = { ...last, to: end, segments: [...last.segments, kept] };
    } else runs.push({ from: at.seq, to: end, range, segments: [kept] });
    at = { seq: end, prevHash: kept.hash, epoch: kept.epoch };
  }
  if (at.seq < to) runs.push({ from: at.seq, to, range: undefined, segments: [] });
  return { runs, fault: undefined };
}

function rangeOf(ranges: readonly PrunedRange[], seq: number): boolean {
  return rangeAround(ranges, seq, seq + 1) !== undefined;
}

/** The tree grown over deleted records. */
export interface Grown {
  /** Undefined where neither tiles nor recorded subtrees lead over the run. */
  readonly frontier: Frontier | undefined;
  /** Roots at the sizes asked for, behind the first leaf. */
  readonly roots: ReadonlyMap<number, Hash>;
  /** The first leaf that the tiles do not have as they must; undefined when all is right. */
  readonly tileFault: number | undefined;
  /** A kept line whose leaf is not the tree's. */
  readonly lineFault: (KeptFault & { readonly file: string }) | undefined;
}

/** Goes over a run by the leaves in the tiles, which must lead to the recorded subtrees where the run is a whole range. */
export function growOver(
  dir: string,
  before: Frontier,
  run: GapRun,
  cuts: ReadonlySet<number>,
): Grown {
  const { from, to, range } = run;
  const frontier = before.copy();
  const roots = new Map<number, Hash>();
  const kept = new Map(run.segments.flatMap((segment) => [...segment.leaves]));
  let differs: number | undefined;
  for (const leaf of tileLeaves(dir, from, to)) {
    const own = kept.get(frontier.size);
    if (own !== undefined && own.leaf !== leaf) differs ??= frontier.size;
    frontier.append(leaf);
    if (cuts.has(frontier.size)) roots.set(frontier.size, frontier.root());
  }
  const reached = frontier.size;
  const recorded = range === undefined ? undefined : recordedTree(before, run, range);
  if (reached < to) {
    return { frontier: recorded, roots: new Map(), tileFault: reached, lineFault: undefined };
  }
  if (recorded !== undefined && recorded.root() !== frontier.root()) {
    return {
      frontier: recorded,
      roots: new Map(),
      tileFault: differs ?? from,
      lineFault: undefined,
    };
  }
  if (differs === undefined) return { frontier, roots, tileFault: undefined, lineFault: undefined };
  const segment = run.segments.find(({ leaves }) => leaves.has(differs))!;
  const file = `kept/${String(segment.firstSeq).padStart(20, '0')}.jsonl`;
  const reason = 'its leaf hash is not the one in the tree';
  const { offset } = segment.leaves.get(differs)!;
  return {
    frontier,
    roots,
    tileFault: undefined,
    lineFault: { seq: differs, offset, reason, file },
  };
}

/** The tree behind a run by the recorded subtrees, where it is a whole range. */
function recordedTree(before: Frontier, run: GapRun, range: PrunedRange): Frontier | undefined {
  if (range.firstSeq !== run.from || range.lastSeq + 1 !== run.to) return undefined;
  const tree = before.copy();
  for (const hash of range.subtrees) tree.appendSubtree(hash, heightAt(tree.size, run.to));
  return tree;
}

/** Height of the largest perfect subtree that may stand at `at` and ends at `to` at the latest. */
function heightAt(at: number, to: number): number {
  let height = 0;
  while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= to) height++;
  return height;
}
