import { hasherRoomBytes, type RecordHasher } from './chain.js';
import { timestampOf } from './line-check.js';
import { lineBytesMax } from './record.js';
import { type Hash, leafHashInPlace } from './tree.js';

/** What one write and one sync cover at most, besides the line that crosses the bound. */
export const groupBytesMax = 4 * 1024 * 1024;

/**
 * The lines that the next write and sync will make durable together. Each body is framed by seq, epoch and the two
 * hashes here, in the buffer that is written, and never copied again.
 */
export class Group {
  // The bytes in front are for the first line's hashes to borrow.
  readonly #buf = Buffer.allocUnsafe(hasherRoomBytes + groupBytesMax + lineBytesMax + 1);
  #fill = hasherRoomBytes;
  #lastAt = hasherRoomBytes;
  #leaves: Hash[] = [];
  #hash: string;

  constructor(prevHash: string) {
    this.#hash = prevHash;
  }

  /** Empties the group; the next line follows the record with this hash. */
  restart(prevHash: string): void {
    this.#fill = hasherRoomBytes;
    this.#leaves = [];
    this.#hash = prevHash;
  }

  get count(): number {
    return this.#leaves.length;
  }

  get bytes(): Buffer {
    return this.#buf.subarray(hasherRoomBytes, this.#fill);
  }

  get byteLength(): number {
    return this.#fill - hasherRoomBytes;
  }

  get leaves(): readonly Hash[] {
    return this.#leaves;
  }

  /** The `hash` of the last line. */
  get hash(): string {
    return this.#hash;
  }

  get lastTimestamp(): string {
    return timestampOf(this.#buf, this.#lastAt);
  }

  /** Adds the line of record `seq` around the body `source[from..to)`. */
  add(
    source: Buffer,
    from: number,
    to: number,
    seq: number,
    epoch: number,
    hasher: RecordHasher,
  ): void {
    const buf = this.#buf;
    const start = this.#fill;
    let at = start + buf.write(`{"seq":${seq},`, start, 'latin1');
    at += source.copy(buf, at, from, to);
    at += buf.write(`,"epoch":${epoch},"prev_hash":"${this.#hash}"`, at, 'latin1');
    const hash = hasher.hash(buf, start, at);
    at += buf.write(`,"hash":"${hash}"}\n`, at, 'latin1');
    this.#leaves.push(leafHashInPlace(buf, start, at - 1));
    this.#hash = hash;
    this.#lastAt = start;
    this.#fill = at;
  }
}
