import { hasherRoomBytes } from './chain.js';
import { lineBytesMax } from './record.js';
import { type LineBytes, openBytes } from './segment-bytes.js';

const chunkBytes = 1024 * 1024;
const front = hasherRoomBytes;

/**
 * Reads the lines of a file, plain or archived, one after the other in constant memory. The current line is `buf[start..end)`, without its
 * newline; there is always room before `start` for a hasher to borrow (`hasherRoomBytes`). A line longer than a record may
 * be comes in one piece of more than `lineBytesMax` bytes with `overlong` set. A damaged archive throws an `ArchiveFault` once all
 * lines before the damage were given.
 */
export class LineFile {
  readonly buf = Buffer.allocUnsafe(front + chunkBytes);
  readonly #bytes: LineBytes;
  start = front;
  end = front;
  /** Where the current line begins in the file. */
  offset: number;
  overlong = false;
  #filled = front;
  #next = front;
  #nextOffset: number;
  readonly #limit: number;

  /** Reads from byte `offset`, which must begin a line, up to the last line that begins before `limit`. */
  constructor(file: string, offset = 0, limit = Number.POSITIVE_INFINITY) {
    this.#bytes = openBytes(file);
    this.offset = offset;
    this.#nextOffset = offset;
    this.#limit = limit;
  }

  /** Goes to the next complete line; false at the end of the file or limit. */
  next(): boolean {
    if (this.#nextOffset >= this.#limit) return false;
    for (;;) {
      const newline =
        this.#next < this.#filled ? this.buf.subarray(0, this.#filled).indexOf(10, this.#next) : -1;
      if (newline >= 0) {
        this.#take(newline);
        this.#next = newline + 1;
        this.#nextOffset++;
        return true;
      }
      if (this.#filled - this.#next > lineBytesMax) {
        this.overlong = true;
        this.#take(this.#filled);
        this.#next = this.#filled;
        return true;
      }
      if (!this.#fill()) return false;
    }
  }

  #take(end: number): void {
    this.start = this.#next;
    this.end = end;
    this.offset = this.#nextOffset;
    this.#nextOffset += end - this.#next;
  }

  #fill(): boolean {
    this.buf.copyWithin(front, this.#next, this.#filled);
    this.#filled = front + this.#filled - this.#next;
    this.#next = front;
    const room = this.buf.length - this.#filled;
    const position = this.#nextOffset + this.#filled - front;
    const got = this.#bytes.read(this.buf, this.#filled, room, position);
    this.#filled += got;
    return got > 0;
  }

  /** After `next` said false: the bytes behind the last newline, which are no line yet. */
  rest(): Buffer {
    return this.buf.subarray(this.#next, this.#filled);
  }

  /** Where the next line begins in the file. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  close(): void {
    this.#bytes.close();
  }
}
