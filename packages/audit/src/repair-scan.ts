import { checkNote } from './checkpoint.js';
import { AuditError } from './errors.js';
import { readFolderCheckpoints } from './evidence.js';
import type { Head } from './head.js';
import type { Keys } from './keys.js';
import { LineFile } from './line-file.js';
import { type PrunedRange, rangeAround } from './pruned-ranges.js';
import { checkHeadRecord, readRanges } from './recovery.js';
import { findNewestRepaired, type RepairedRange } from './repaired.js';
import { listSegments, type SegmentName } from './segment.js';
import { openBytes, unlessDamaged } from './segment-bytes.js';
import { Tail } from './tail.js';
import { appendCover } from './tile-subtrees.js';
import { tileLeaves } from './tiles.js';
import { Frontier, type Hash, leafHashInPlace } from './tree.js';

/** A segment file that cannot stay as it is, and the bytes of it that are authentic. */
export interface Damaged {
  readonly segment: SegmentName;
  /** Lines from its beginning. */
  keptBytes: number;
  /** Lines behind the head, which begin a segment of their own. */
  tail?: { readonly firstSeq: number; readonly from: number; readonly to: number };
}

/** What of a log is as it was written, and what is not. */
export interface Scan {
  readonly damaged: readonly Damaged[];
  /** Checkpoint files, below the log folder, that are none of this log's. */
  readonly badCheckpoints: readonly string[];
  /** Everything below the head that no segment will hold but what was deleted by retention. */
  readonly ranges: readonly RepairedRange[];
  /** Ranges that no earlier repair names. */
  readonly news: readonly RepairedRange[];
  /** Roots before each of `ranges`, to be signed. */
  readonly bounds: ReadonlyMap<number, Hash>;
  readonly pruned: readonly PrunedRange[];
  readonly tail: Tail;
  /** Whether the leaves in the tiles lead to the signed root, so that every record can be judged by its own. */
  readonly byLeaf: boolean;
}

/** The sizes and roots of what the log's keys signed in the folder, and the files that none of them did. */
function sortCheckpoints(
  dir: string,
  keys: Keys,
): { roots: Map<number, Hash>; bad: string[]; newest: number } {
  const roots = new Map<number, Hash>();
  const bad: string[] = [];
  for (const { file, note, checkpoint } of readFolderCheckpoints(dir).entries) {
    const good =
      note !== undefined &&
      checkpoint?.origin === keys.origin &&
      checkNote(note, keys.signing.keysAt(checkpoint.size)) === 'signed';
    if (good) roots.set(checkpoint.size, checkpoint.root);
    else bad.push(file);
  }
  return { roots, bad, newest: Math.max(0, ...roots.keys()) };
}

/** Reads a whole log and finds what is not as the head knows it. Changes nothing. Throws `log_rolled_back` when the head is older than the log. */
export function scanDamage(dir: string, keys: Keys, head: Head, epochKey: Buffer): Scan {
  const { roots, bad, newest } = sortCheckpoints(dir, keys);
  if (newest > head.size || (roots.get(head.size) ?? head.root) !== head.root) {
    throw new AuditError(
      'log_rolled_back',
      `the head is of ${head.size} records, but a checkpoint of ${newest} was signed: the keys folder is an older copy`,
    );
  }
  const segments = listSegments(dir);
  const known: Known = {
    dir,
    head,
    roots,
    pruned: deletedRanges(dir, head),
    repaired: findNewestRepaired(segments)?.ranges ?? [],
  };
  const byLeaf = foldTiles(known, new Set()) !== undefined;
  const below = byLeaf ? walkByLeaf(known, segments) : walkByRoot(known, segments);
  const damaged = new Map(below.damaged.map((one) => [one.segment.name, one]));
  const tail = readTail(dir, head, epochKey, segments, damaged);
  const earlier = new Set(known.repaired.map((range) => JSON.stringify(range)));
  return {
    damaged: [...damaged.values()],
    badCheckpoints: bad,
    ranges: below.ranges,
    news: below.ranges.filter((range) => !earlier.has(JSON.stringify(range))),
    bounds: below.bounds,
    pruned: known.pruned,
    tail,
    byLeaf,
  };
}

interface Known {
  readonly dir: string;
  readonly head: Head;
  readonly roots: ReadonlyMap<number, Hash>;
  readonly pruned: readonly PrunedRange[];
  readonly repaired: readonly RepairedRange[];
}

interface Below {
  readonly damaged: Damaged[];
  readonly ranges: RepairedRange[];
  readonly bounds: ReadonlyMap<number, Hash>;
}

function deletedRanges(dir: string, head: Head): readonly PrunedRange[] {
  try {
    return readRanges(dir, head.state);
  } catch (error) {
    // The record that names them is damaged itself: what they held counts as lost.
    if (error instanceof AuditError) return [];
    throw error;
  }
}

/** The trees at the wanted sizes by the tiles' leaves; undefined when these do not lead to the head. Over an old repair the tree is known. */
function foldTiles(known: Known, wanted: ReadonlySet<number>): Map<number, Frontier> | undefined {
  const { dir, head, repaired } = known;
  const found = new Map<number, Frontier>();
  let frontier = new Frontier();
  const note = (): void => {
    if (wanted.has(frontier.size)) found.set(frontier.size, frontier.copy());
  };
  note();
  while (frontier.size < head.size) {
    const from = frontier.size;
    const range = repaired.find(({ firstSeq }) => firstSeq >= from);
    for (const leaf of tileLeaves(dir, from, range?.firstSeq ?? head.size)) {
      frontier.append(leaf);
      note();
    }
    if (frontier.size < (range?.firstSeq ?? head.size)) return undefined;
    if (range === undefined) break;
    frontier = Frontier.from(range.lastSeq + 1, range.frontier);
    note();
  }
  return frontier.size === head.size && frontier.root() === head.root ? found : undefined;
}

/** Every record up to the head is held against its own leaf. */
function walkByLeaf(known: Known, segments: readonly SegmentName[]): Below {
  const { dir, head } = known;
  const damaged: Damaged[] = [];
  const gaps: [number, number][] = [];
  let at = 0;
  segments.forEach((segment, i) => {
    if (segment.firstSeq >= head.size) return;
    if (segment.firstSeq < at) {
      damaged.push({ segment, keptBytes: 0 });
      return;
    }
    if (segment.firstSeq > at) gaps.push([at, segment.firstSeq]);
    at = segment.firstSeq;
    const end = Math.min(segments[i + 1]?.firstSeq ?? Number.POSITIVE_INFINITY, head.size);
    const lines = new LineFile(segment.path);
    let keptBytes = 0;
    try {
      for (const leaf of tileLeaves(dir, at, end)) {
        if (!hasNext(lines) || leafHashInPlace(lines.buf, lines.start, lines.end) !== leaf) break;
        keptBytes = lines.nextOffset;
        at++;
      }
    } finally {
      lines.close();
    }
    const isTail = at === end && end === head.size;
    if (!isTail && hasMore(segment, keptBytes)) damaged.push({ segment, keptBytes });
  });
  if (at < head.size) gaps.push([at, head.size]);
  return { damaged, ...rangesOf(known, gaps) };
}

/** Whether a file holds more than its authentic lines; one that holds nothing cannot stay either. */
function hasMore({ path }: SegmentName, keptBytes: number): boolean {
  const file = openBytes(path);
  try {
    return keptBytes === 0 || unlessDamaged(() => file.size(), Infinity) > keptBytes;
  } finally {
    file.close();
  }
}

/** Goes to the next line; where an archive is damaged there is none. */
function hasNext(lines: LineFile): boolean {
  return unlessDamaged(() => lines.next(), false);
}

/** The gaps without what was deleted, the trees behind them and the roots before them. */
function rangesOf(
  known: Known,
  gaps: readonly (readonly [number, number])[],
): { ranges: RepairedRange[]; bounds: Map<number, Hash> } {
  const spans: [number, number][] = [];
  for (const [from, to] of gaps) {
    let at = from;
    for (const range of known.pruned) {
      if (range.lastSeq < at || range.firstSeq >= to) continue;
      if (range.firstSeq > at) spans.push([at, range.firstSeq]);
      at = range.lastSeq + 1;
    }
    if (at < to) spans.push([at, to]);
  }
  const trees = foldTiles(known, new Set(spans.flat()))!;
  const bounds = new Map<number, Hash>();
  const ranges = spans.map(([from, to]) => {
    bounds.set(from, trees.get(from)!.root());
    return { firstSeq: from, lastSeq: to - 1, frontier: trees.get(to)!.toArray() };
  });
  return { ranges, bounds };
}

/** Without leaves only signed roots say how far the lines are good: what is behind the last that they lead to counts as lost up to the head. */
function walkByRoot(known: Known, segments: readonly SegmentName[]): Below {
  const { head, roots } = known;
  let frontier = new Frontier();
  let good = { size: 0, root: frontier.root(), name: '', bytes: 0 };
  const skipped: RepairedRange[] = [];
  for (const segment of segments) {
    if (segment.firstSeq >= head.size) break;
    const repaired = known.repaired.find(({ firstSeq }) => firstSeq === frontier.size);
    const pruned = rangeAround(known.pruned, frontier.size, segment.firstSeq);
    if (repaired !== undefined && repaired.lastSeq + 1 === segment.firstSeq) {
      frontier = Frontier.from(segment.firstSeq, repaired.frontier);
      skipped.push(repaired);
    } else if (pruned?.firstSeq === frontier.size && pruned.lastSeq + 1 === segment.firstSeq) {
      appendCover(frontier, segment.firstSeq, pruned.subtrees);
    } else if (segment.firstSeq !== frontier.size) break;
    const lines = new LineFile(segment.path);
    try {
      while (frontier.size < head.size && hasNext(lines)) {
        frontier.append(leafHashInPlace(lines.buf, lines.start, lines.end));
        const { size } = frontier;
        const signed = size === head.size ? head.root : roots.get(size);
        if (signed === undefined) continue;
        if (signed !== frontier.root()) break;
        good = { size, root: signed, name: segment.name, bytes: lines.nextOffset };
      }
    } finally {
      lines.close();
    }
  }
  const earlier = skipped.filter(({ lastSeq }) => lastSeq < good.size);
  if (good.size === head.size) return { damaged: [], ranges: earlier, bounds: new Map() };
  const damaged = segments
    .filter(
      ({ firstSeq, name }) => firstSeq < head.size && (firstSeq >= good.size || name === good.name),
    )
    .map((segment) => ({ segment, keptBytes: segment.name === good.name ? good.bytes : 0 }))
    .filter(({ segment, keptBytes }) => hasMore(segment, keptBytes));
  const lost = { firstSeq: good.size, lastSeq: head.size - 1, frontier: head.frontier };
  return { damaged, ranges: [...earlier, lost], bounds: new Map([[good.size, good.root]]) };
}

/** Reads what lies behind the head as far as its HMACs hold; what follows is damaged. */
function readTail(
  dir: string,
  head: Head,
  epochKey: Buffer,
  segments: readonly SegmentName[],
  damaged: Map<string, Damaged>,
): Tail {
  const tail = new Tail(head, typeOfHead(dir, head), epochKey);
  let broken = false;
  for (const segment of segments) {
    if (segment.firstSeq < head.segment) continue;
    // A segment below the head that is not the head's was judged before.
    if (segment.firstSeq > head.segment && segment.firstSeq < head.size) continue;
    const isHeads = segment.firstSeq === head.segment;
    const before = tail.seq;
    if (!broken && (isHeads || segment.firstSeq === tail.seq)) {
      try {
        tail.read(segment, segments.at(-1) === segment);
      } catch (error) {
        if (!(error instanceof AuditError)) throw error;
        broken = true;
      }
      const one = damaged.get(segment.name);
      if (one !== undefined && tail.seq > before) {
        const { end: to } = tail;
        one.tail = { firstSeq: before, from: isHeads ? head.offset : 0, to };
      }
      if (one === undefined && broken) damaged.set(segment.name, { segment, keptBytes: tail.end });
      continue;
    }
    broken = true;
    damaged.set(segment.name, { segment, keptBytes: 0 });
  }
  return tail;
}

function typeOfHead(dir: string, head: Head): string {
  try {
    return checkHeadRecord(dir, head).eventType;
  } catch {
    // Whatever it was, the head knows the epoch that follows it.
    return '';
  }
}
