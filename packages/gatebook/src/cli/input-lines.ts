import { Buffer } from 'node:buffer';

/** A line without its newline, or the fact that it was longer than the bound. */
export interface InputLine {
  /** Counted from 1. */
  readonly number: number;
  readonly bytes: Buffer | undefined;
}

/** Cuts chunks into lines; holds at most one line's bytes, and of a line beyond the bound none. */
export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  #tooLong = false;
  #number = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of a line whose end has not come yet. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  *push(chunk: Buffer): Generator<InputLine> {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      if (end === -1) break;
      this.#hold(chunk.subarray(from, end));
      yield this.#take();
      from = end + 1;
    }
    this.#hold(chunk.subarray(from));
  }

  /** The last line, when the input ended without a newline. */
  *end(): Generator<InputLine> {
    if (this.#bytes > 0) yield this.#take();
  }

  #hold(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#bytesMax) {
      this.#tooLong = true;
      this.#parts = [];
    } else {
      this.#parts.push(part);
    }
  }

  #take(): InputLine {
    this.#number++;
    const bytes = this.#tooLong ? undefined : this.#joined();
    this.#parts = [];
    this.#bytes = 0;
    this.#tooLong = false;
    return { number: this.#number, bytes };
  }

  #joined(): Buffer {
    const [first] = this.#parts;
    return this.#parts.length === 1 && first ? first : Buffer.concat(this.#parts);
  }
}
