import { advanceState, type BookState } from './book-state.js';
import { endsEpoch, hashMemberBytes, RecordHasher } from './chain.js';
import { AuditError } from './errors.js';
import type { Head } from './head.js';
import { keyRecordTypes } from './key-history.js';
import { checkLine, type LineFacts, timestampOf } from './line-check.js';
import { LineFile } from './line-file.js';
import { parseRecord } from './reader.js';
import type { SegmentName } from './segment.js';
import { isArchive } from './segment-bytes.js';
import type { KeyRecord } from './signing-keys.js';
import { leafHashInPlace } from './tree.js';

/**
 * What lies behind the head: records that a checkpoint does not cover yet, each checked by its HMAC before it is signed, and
 * at the very end, after a crash, a torn write.
 */
export class Tail {
  readonly #hasher: RecordHasher;
  readonly #epoch: number;
  readonly #head: Head;
  readonly leaves: string[] = [];
  segment: SegmentName | undefined;
  seq: number;
  prevHash: string;
  lastType: string;
  lastTimestamp: string;
  /** Byte behind the last good record, in `segment`. */
  end = 0;
  /** When the first record of `segment` was written; empty when it holds none. */
  began: string;
  /** Of all lines of the log up to the last good record. */
  bytes: number;
  state: BookState;
  torn: { readonly path: string; readonly at: number } | undefined;
  /** The last record, when it is about keys. */
  keyRecord: KeyRecord | undefined;

  constructor(head: Head, lastType: string, key: Buffer) {
    this.#head = head;
    this.#epoch = head.epoch;
    this.#hasher = new RecordHasher(key);
    this.seq = head.size;
    this.prevHash = head.hash;
    this.lastType = lastType;
    this.lastTimestamp = head.timestamp;
    this.began = head.began;
    this.bytes = head.bytes;
    this.state = head.state;
  }

  read(segment: SegmentName, isLast: boolean): void {
    const isHeads = segment.firstSeq === this.#head.segment && this.#head.size > 0;
    if (!isHeads && segment.firstSeq !== this.seq) {
      throw this.#damaged(
        `${segment.path} begins at ${segment.firstSeq}, but ${this.seq} comes next`,
      );
    }
    this.segment = segment;
    if (!isHeads) this.began = '';
    this.end = isHeads ? this.#head.offset : 0;
    if (isArchive(segment.path))
      throw this.#damaged(`${segment.path} is an archive, which the log never makes of its end`);
    const lines = new LineFile(segment.path, this.end);
    try {
      while (lines.next()) {
        const wrong = this.#check(lines);
        if (wrong === undefined) {
          this.end = lines.nextOffset;
          continue;
        }
        if (isLast && lines.buf.subarray(lines.start, lines.end).includes(0)) {
          this.torn = { path: segment.path, at: lines.offset };
          return;
        }
        throw this.#damaged(
          `record ${this.seq} at byte ${lines.offset} of ${segment.path}: ${wrong}`,
        );
      }
      if (lines.rest().length === 0) return;
      if (!isLast) throw this.#damaged(`${segment.path} does not end with a newline`);
      this.torn = { path: segment.path, at: lines.nextOffset };
    } finally {
      lines.close();
    }
  }

  #check(lines: LineFile): string | undefined {
    const { buf, start, end } = lines;
    const facts: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
    const wrong = checkLine(buf, start, end, facts);
    if (wrong !== undefined) return wrong;
    if (facts.seq !== this.seq) return `its seq is ${facts.seq}`;
    if (facts.prevHash !== this.prevHash) return 'its prev_hash is not the hash before it';
    // An epoch's end is covered by the head before its successor is written, so behind the head there is one epoch.
    if (facts.epoch !== this.#epoch || (this.seq > this.#head.size && endsEpoch(this.lastType))) {
      return `its epoch ${facts.epoch} does not follow`;
    }
    if (facts.hash !== this.#hasher.hash(buf, start, end - hashMemberBytes)) {
      return 'its hash is not the HMAC of its bytes';
    }
    // Its checkpoint is durable before another record is written.
    if (this.keyRecord !== undefined)
      return 'it follows a record about keys that no checkpoint covers';
    const leaf = leafHashInPlace(buf, start, end);
    this.leaves.push(leaf);
    this.bytes += end - start + 1;
    if (facts.eventType.startsWith('log.')) {
      const { details = {} } = parseRecord(buf.subarray(start, end));
      const record = { type: facts.eventType, seq: this.seq, leaf, details };
      this.state = advanceState(this.state, record);
      if (keyRecordTypes.has(record.type)) this.keyRecord = record;
    }
    this.seq++;
    this.prevHash = facts.hash;
    this.lastType = facts.eventType;
    this.lastTimestamp = timestampOf(buf, start);
    // A segment that the head does not know of begins with one of the log's own records, whose time is the writer's.
    if (this.began === '') this.began = this.lastTimestamp;
    return undefined;
  }

  #damaged(reason: string): AuditError {
    return new AuditError(
      'log_damaged',
      `the end of the log, behind its last checkpoint, was changed: ${reason}. Run gatebook audit verify`,
    );
  }
}
