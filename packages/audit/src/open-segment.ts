import { linkActive } from './active-link.js';
import { replaceFileDurably } from './durable.js';
import type { JsonObject } from './event.js';
import type { HeadPlace } from './head.js';
import type { Keys } from './keys.js';
import type { WriterOptions } from './options.js';
import { type Rotate, type SealReason, samePeriod } from './rotation.js';
import { tallyPath } from './segment.js';
import { SegmentFile } from './segment-file.js';
import { type Earlier, SegmentTally } from './segment-tally.js';
import { tallyBytes, tallyRoot } from './tally.js';
import { formatTime } from './timestamp.js';
import type { Hash } from './tree.js';

/** A segment whose tally has this many lines or bytes is sealed: what is counted must fit into memory. */
const tallyLinesWanted = 500_000;
const tallyBytesWanted = 64 * 1024 * 1024;

/** A segment that an earlier opening left to go on in. */
export interface Resumed extends Omit<Earlier, 'path'> {
  /** Of whole records. */
  readonly bytes: number;
  /** When its first record was written; empty when it holds none. */
  readonly began: string;
}

/** The segment that is being written: its file, what is counted of it, and since when. */
export class OpenSegment {
  readonly file: SegmentFile;
  readonly tally: SegmentTally;
  /** The tree before its first record, largest subtree first. */
  readonly before: readonly Hash[];
  /** When its first record was written, by the writer's clock; empty before. */
  began: string;
  readonly #dir: string;

  private constructor(
    dir: string,
    file: SegmentFile,
    tally: SegmentTally,
    before: readonly Hash[],
    began: string,
  ) {
    this.#dir = dir;
    this.file = file;
    this.tally = tally;
    this.before = before;
    this.began = began;
    linkActive(dir, file.firstSeq);
  }

  static create(dir: string, firstSeq: number, keys: Keys, before: readonly Hash[]): OpenSegment {
    return new OpenSegment(
      dir,
      SegmentFile.create(dir, firstSeq),
      new SegmentTally(keys),
      before,
      '',
    );
  }

  static resume(dir: string, keys: Keys, resumed: Resumed): OpenSegment {
    const file = SegmentFile.resume(dir, resumed.firstSeq, resumed.bytes);
    const earlier = resumed.bytes === 0 ? undefined : { ...resumed, path: file.path };
    const tally = new SegmentTally(keys, earlier);
    return new OpenSegment(dir, file, tally, resumed.before, resumed.began);
  }

  get firstSeq(): number {
    return this.file.firstSeq;
  }

  get bytes(): number {
    return this.file.bytes;
  }

  /** Why the segment should be sealed before the next record, if it should. One without records never. */
  sealReason(options: WriterOptions, nowMs: number): SealReason | undefined {
    if (this.bytes === 0) return undefined;
    if (this.bytes >= options.segmentBytesMax) return 'size';
    if (this.tally.lineCount >= tallyLinesWanted || this.tally.byteLength >= tallyBytesWanted)
      return 'tally';
    return this.periodEnded(options.rotate, nowMs) ? options.rotate : undefined;
  }

  /** Whether the hour, day or week in which its first record was written is over. */
  periodEnded(rotate: Rotate, nowMs: number): boolean {
    return this.began !== '' && !samePeriod(rotate, Date.parse(this.began), nowMs);
  }

  /** What the head remembers of it. */
  get place(): HeadPlace {
    const { firstSeq: segment, bytes: offset, before, began, tally } = this;
    const [tallyLines, tallyBytes] = [tally.lineCount, tally.byteLength];
    return { segment, offset, before, began, tallyLines, tallyBytes };
  }

  noteRecord(nowMs: number): void {
    if (this.began === '') this.began = formatTime(nowMs);
  }

  /** Makes the tally's file durable, and gives what the seal, record `seq`, says of this segment. */
  writeTally(seq: number): JsonObject {
    const tally = this.tally.settle();
    const lines = tally.lines();
    replaceFileDurably(tallyPath(this.#dir, this.firstSeq), tallyBytes(lines));
    return {
      first_seq: this.firstSeq,
      last_seq: seq,
      records: seq + 1 - this.firstSeq,
      bytes: this.bytes,
      first_timestamp: tally.first,
      last_timestamp: tally.last,
      tally_size: lines.length,
      tally_root: tallyRoot(lines),
    };
  }

  close(): void {
    this.file.close();
  }
}
