/** A whole line, or a piece of one that is longer than the bound. */
export interface LinePart {
  /** The original bytes, with the newline where `end` is true. */
  readonly bytes: Buffer;
  readonly start: boolean;
  readonly end: boolean;
}

const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines. A line of up to `bytesMax` bytes (without its newline) comes whole, as one part
 * that is both start and end; of a longer one the pieces come as they arrive, so that memory stays bounded.
 */
export class LineSplitter {
  readonly #bytesMax: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Whether the first piece of an overlong line was handed out already. */
  #streaming = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): LinePart[] {
    const parts: LinePart[] = [];
    let from = 0;
    while (from < chunk.length) {
      const at = chunk.indexOf(newline, from);
      if (at < 0) {
        this.#hold(chunk.subarray(from), parts);
        break;
      }
      this.#finish(chunk.subarray(from, at + 1), parts);
      from = at + 1;
    }
    return parts;
  }

  /** What stood behind the last newline when the stream ended: the unfinished last line, or undefined. */
  rest(): LinePart | undefined {
    const start = !this.#streaming;
    if (start && this.#heldBytes === 0) return undefined;
    return { bytes: this.#take(), start, end: false };
  }

  #hold(piece: Buffer, parts: LinePart[]): void {
    if (this.#streaming) {
      parts.push({ bytes: piece, start: false, end: false });
      return;
    }
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes <= this.#bytesMax) return;
    parts.push({ bytes: this.#take(), start: true, end: false });
    this.#streaming = true;
  }

  #finish(piece: Buffer, parts: LinePart[]): void {
    if (this.#streaming) {
      parts.push({ bytes: piece, start: false, end: true });
      this.#streaming = false;
      return;
    }
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    const whole = this.#heldBytes - 1 <= this.#bytesMax;
    const bytes = this.#take();
    if (whole) {
      parts.push({ bytes, start: true, end: true });
      return;
    }
    // The newline came in the very piece that crossed the bound: two parts, so that a whole one never exceeds it.
    parts.push({ bytes: bytes.subarray(0, -1), start: true, end: false });
    parts.push({ bytes: bytes.subarray(-1), start: false, end: true });
  }

  #take(): Buffer {
    const bytes = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return bytes;
  }
}
