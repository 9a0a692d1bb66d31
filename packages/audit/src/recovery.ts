import * as path from 'node:path';
import type { BookState } from './book-state.js';
import { checkNote, noteBytesMax, parseCheckpointText, parseNote } from './checkpoint.js';
import { readRegular } from './durable.js';
import { AuditError, reasonOf, systemCode } from './errors.js';
import type { JsonObject } from './event.js';
import type { Head } from './head.js';
import { keyRecordTypes } from './key-history.js';
import {
  eraseEpochKey,
  type Keys,
  readEpochKey,
  readHead,
  storedEpochs,
  storeNextEpochKey,
} from './keys.js';
import { checkLine, type LineFacts } from './line-check.js';
import { LineFile } from './line-file.js';
import type { Resumed } from './open-segment.js';
import { type PrunedRange, parsePruned, rangeAround } from './pruned-ranges.js';
import { findLine, parseRecord } from './reader.js';
import { findNewestRepaired, type RepairedRange } from './repaired.js';
import { listSegments, type SegmentName, segmentPath } from './segment.js';
import { type LineBytes, openBytes, readBytes } from './segment-bytes.js';
import { Tail } from './tail.js';
import { TileWriter, tileLeaves } from './tiles.js';
import { setAside, type TornBytes, unrecordedTorn } from './torn.js';
import { Frontier, type Hash, leafHash, leafHashInPlace } from './tree.js';

/** Where a log stands when it is opened, everything up to here checked. */
export interface Standing {
  readonly head: Head;
  readonly seq: number;
  readonly prevHash: string;
  /** Epoch of the last record's successor, unless `moving`. */
  readonly epoch: number;
  readonly epochKey: Buffer;
  readonly frontier: Frontier;
  readonly tiles: TileWriter;
  /** The segment to go on in; undefined when a new one must be made. */
  readonly segment: Resumed | undefined;
  /** Type of the last record; empty in a new log. */
  readonly lastType: string;
  readonly lastTimestamp: string;
  readonly lastLeaf: string;
  readonly recordsAfterHead: number;
  /** Of all lines of the log. */
  readonly bytes: number;
  readonly state: BookState;
  /** Of the newest `log.pruned`. */
  readonly ranges: readonly PrunedRange[];
  readonly torn: readonly TornBytes[];
  /** Whether the folder's published checkpoint is the head's. */
  readonly published: boolean;
  /** Of the `log.repaired` record to begin with. */
  readonly repair?: JsonObject;
}

/**
 * Finds where a log stands. The records up to the head are known by the head; those behind it are checked by HMAC, for
 * they will be signed. A torn end is set aside. Refuses (`log_rolled_back`, `log_damaged`) when the folder holds less
 * than the head says, something else, or what the key does not authenticate.
 */
export function findStanding(dir: string, keys: Keys): Standing {
  const head = readHead(keys);
  if (head.origin !== keys.origin) {
    throw new AuditError(
      'wrong_log',
      `the head in ${keys.folder} is of ${head.origin}, the keys are of ${keys.origin}`,
    );
  }
  const published = checkPublished(dir, keys, head);
  const segments = listSegments(dir);
  const last = head.size === 0 ? undefined : checkHeadRecord(dir, head);
  const epochKey = settleEpochKey(keys, head);
  const tail = new Tail(head, last?.eventType ?? '', epochKey);
  for (const segment of segments) {
    if (segment.firstSeq >= head.segment) tail.read(segment, segments.at(-1) === segment);
  }
  resumeKeys(keys, head, tail);
  keys.signing.wipeLeftovers();
  const unclean =
    tail.seq > head.size || tail.torn !== undefined || last?.eventType !== 'log.closed';
  const frontier = Frontier.from(head.size, head.frontier);
  const ranges = readRanges(dir, tail.state);
  const repaired = findNewestRepaired(segments)?.ranges ?? [];
  const tiles = openTiles(dir, head, frontier, unclean, { segments, ranges, repaired });
  let before = head.before;
  for (const leaf of tail.leaves) {
    if (frontier.size === tail.segment?.firstSeq) before = frontier.toArray();
    frontier.append(leaf, (level, hash) => tiles.append(level, hash));
    tiles.append(0, leaf);
  }
  if (frontier.size === tail.segment?.firstSeq) before = frontier.toArray();
  if (tail.torn !== undefined) setAside(dir, tail.torn, tail.seq);
  return {
    head,
    seq: tail.seq,
    prevHash: tail.prevHash,
    epoch: head.epoch,
    epochKey,
    frontier,
    tiles,
    segment:
      tail.segment === undefined
        ? undefined
        : {
            firstSeq: tail.segment.firstSeq,
            bytes: tail.torn?.at ?? tail.end,
            began: tail.began,
            before,
            size: frontier.size,
            root: frontier.root(),
            ...(tail.segment.firstSeq === head.segment
              ? { tallyLines: head.tallyLines, tallyBytes: head.tallyBytes }
              : { tallyLines: 0, tallyBytes: 0 }),
          },
    lastType: tail.lastType,
    lastTimestamp: tail.lastTimestamp,
    lastLeaf: tail.leaves.at(-1) ?? head.leaf,
    recordsAfterHead: tail.seq - head.size,
    bytes: tail.bytes,
    state: tail.state,
    ranges,
    torn: unrecordedTorn(dir, tail.seq),
    published,
  };
}

/** The published checkpoint must be ours and not ahead of the head; says whether it is the head's own. */
function checkPublished(dir: string, keys: Keys, head: Head): boolean {
  const file = path.join(dir, 'checkpoint');
  const bytes = readRegular(file, noteBytesMax);
  if (bytes === undefined) return false;
  const damaged = (reason: string): AuditError =>
    new AuditError(
      'log_damaged',
      `${file} ${reason}; run gatebook audit verify, and restore the log or the file`,
    );
  let checkpoint: ReturnType<typeof parseCheckpointText>;
  try {
    const note = parseNote(bytes);
    if (checkNote(note, keys.signing.publicKeys) !== 'signed')
      throw damaged('is not signed by the key of this log');
    checkpoint = parseCheckpointText(note.text);
  } catch (error) {
    if (error instanceof AuditError && error.code === 'log_damaged') throw error;
    throw damaged(`is ${reasonOf(error)}`);
  }
  if (checkpoint.origin !== keys.origin)
    throw damaged(`is of ${checkpoint.origin}, not of ${keys.origin}`);
  if (checkpoint.size > head.size) {
    throw new AuditError(
      'log_rolled_back',
      `the head in ${keys.folder} is of ${head.size} records, but a checkpoint of ${checkpoint.size} was signed: the keys folder is an older copy`,
    );
  }
  if (checkpoint.size === head.size && checkpoint.root !== head.root) {
    throw damaged(`has another root at ${head.size} records than the head`);
  }
  return checkpoint.size === head.size;
}

/** The record before the head must be where the head says, with the leaf it says. */
export function checkHeadRecord(dir: string, head: Head): LineFacts {
  const file = segmentPath(dir, head.segment);
  const rolledBack = (reason: string): AuditError =>
    new AuditError(
      'log_rolled_back',
      `the head is of ${head.size} records, but ${reason}; records were cut off or an older copy was put in place. Run gatebook audit verify`,
    );
  let bytes: LineBytes;
  try {
    bytes = openBytes(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw rolledBack(`${file} is missing`);
    throw error;
  }
  try {
    const from = Math.max(0, head.offset - 65_537);
    const window = Buffer.alloc(1 + head.offset - from);
    const got = readBytes(bytes, window.subarray(1), from);
    if (got < head.offset - from) throw rolledBack(`${file} is shorter than ${head.offset} bytes`);
    const end = window.length - 1;
    const start = window.subarray(1, end).lastIndexOf(10) + 2;
    const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
    if (window[end] !== 10 || leafHashInPlace(window, start, end) !== head.leaf) {
      throw new AuditError(
        'log_damaged',
        `record ${head.size - 1} in ${file} is not the one the head is of; run gatebook audit verify`,
      );
    }
    checkLine(window, start, end, facts);
    return facts;
  } finally {
    bytes.close();
  }
}

/** How far a change of the signing key has come, by the head and the last record. Throws `log_damaged` where somebody else began it. */
export function resumeKeys(keys: Keys, head: Head, tail: Tail): void {
  const { keyRecord, lastType } = tail;
  const covered = keyRecord === undefined && keyRecordTypes.has(lastType);
  keys.signing.resume(head, covered, covered ? { type: lastType, details: {} } : keyRecord);
}

/** Finishes a key move that was interrupted, and returns the key of the head's epoch. */
export function settleEpochKey(keys: Keys, head: Head): Buffer {
  const stored = storedEpochs(keys.folder);
  const newest = stored.at(-1);
  if (newest === undefined) {
    throw new AuditError(
      'keys_missing',
      `there is no epoch key in ${keys.folder}; restore it from a backup`,
    );
  }
  if (newest > head.epoch) {
    throw new AuditError(
      'log_rolled_back',
      `the key of epoch ${newest} was already made, but the head is of epoch ${head.epoch}: an older copy was put in place`,
    );
  }
  if (newest === head.epoch - 1) {
    storeNextEpochKey(keys, newest, readEpochKey(keys, newest));
  } else if (newest !== head.epoch) {
    throw new AuditError(
      'keys_missing',
      `the key of epoch ${head.epoch} is missing in ${keys.folder} (found ${newest}); restore it from a backup`,
    );
  }
  for (const epoch of storedEpochs(keys.folder)) {
    if (epoch < head.epoch) eraseEpochKey(keys, epoch);
  }
  return readEpochKey(keys, head.epoch);
}

/** The ranges that the newest `log.pruned` names. It is believed for its leaf, which the head remembers. */
export function readRanges(dir: string, { pruned }: BookState): readonly PrunedRange[] {
  if (pruned === null) return [];
  const stored = findLine(dir, pruned.seq);
  const parsed = stored === undefined ? undefined : parsePruned(parseRecord(stored.line).details);
  if (stored === undefined || leafHash(stored.line) !== pruned.leaf || parsed === undefined) {
    throw new AuditError(
      'log_damaged',
      `record ${pruned.seq}, which says what was deleted, is not the one that was written; run gatebook audit verify`,
    );
  }
  return parsed.ranges;
}

/** What there is to rebuild tiles from. */
interface Lines {
  readonly segments: readonly SegmentName[];
  readonly ranges: readonly PrunedRange[];
  readonly repaired: readonly RepairedRange[];
}

/** The tiles of the head's tree, from disk when they are whole, else rebuilt from the lines. */
function openTiles(
  dir: string,
  head: Head,
  frontier: Frontier,
  unclean: boolean,
  lines: Lines,
): TileWriter {
  const tiles = new TileWriter(dir);
  if (tiles.resume(frontier) && (!unclean || tiles.complete(head.size))) return tiles;
  return rebuildTiles(dir, head, lines);
}

/** The tiles of the head's tree from what there is; where nothing is left but a tree's edge they stay unfilled. */
export function rebuildTiles(dir: string, head: Head, lines: Lines): TileWriter {
  const tiles = new TileWriter(dir);
  let rebuilt = new Frontier();
  const append = (leaf: Hash): void => {
    rebuilt.append(leaf, (level, hash) => tiles.append(level, hash));
    tiles.append(0, leaf);
  };
  const goTo = (to: number): void => {
    while (rebuilt.size < to) {
      const from = rebuilt.size;
      const repaired = lines.repaired.find((range) => range.firstSeq === from);
      const end = repaired === undefined ? to : repaired.lastSeq + 1;
      if (repaired !== undefined && !leavesLeadTo(dir, rebuilt, repaired)) {
        rebuilt = Frontier.from(end, repaired.frontier);
        tiles.adopt(end);
        continue;
      }
      // Of deleted records the tiles are the only copy; they were synced before the lines went.
      for (const leaf of tileLeaves(dir, from, end)) {
        const deleted = rangeAround(lines.ranges, rebuilt.size, rebuilt.size + 1) !== undefined;
        if (repaired === undefined && !deleted) break;
        append(leaf);
      }
      if (rebuilt.size === from) return;
    }
  };
  for (const segment of lines.segments) {
    goTo(Math.min(segment.firstSeq, head.size));
    const file = new LineFile(segment.path);
    try {
      while (rebuilt.size < head.size && file.next()) {
        append(leafHashInPlace(file.buf, file.start, file.end));
      }
    } finally {
      file.close();
    }
  }
  goTo(head.size);
  if (rebuilt.size !== head.size || rebuilt.root() !== head.root) {
    const gone = lines.ranges.length === 0 ? '' : ', or the tiles of deleted records are gone';
    throw new AuditError(
      'log_damaged',
      `the ${head.size} records up to the head do not give its root${gone}; run gatebook audit verify`,
    );
  }
  return tiles;
}

/** Whether the tiles' leaves of records that are lost lead to the tree that is known behind them. */
function leavesLeadTo(dir: string, before: Frontier, range: RepairedRange): boolean {
  const frontier = before.copy();
  for (const leaf of tileLeaves(dir, range.firstSeq, range.lastSeq + 1)) frontier.append(leaf);
  return frontier.toArray().join() === range.frontier.join();
}
