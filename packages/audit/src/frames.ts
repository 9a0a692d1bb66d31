import { isUtf8 } from 'node:buffer';
import { AuditError } from './errors.js';

/**
 * How messages cross the socket: four bytes of length (big-endian, of what follows), one byte of kind, then the payload.
 * A frame is bounded; what claims to be longer is not read.
 */

export const frameBytesMax = 256 * 1024;
const headerBytes = 5;
/** Of the number in front of a text. */
const idBytes = 4;

/** The bytes before the payload. */
export function frameHeader(kind: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(payloadBytes + 1, 0);
  header[4] = kind;
  return header;
}

export function jsonFrame(kind: number, value: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  return Buffer.concat([frameHeader(kind, payload.length), payload]);
}

/** A text with a number in front of it, which is the client's own. */
export function textFrame(kind: number, id: number, text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(headerBytes + idBytes + bytes);
  frame.writeUInt32BE(1 + idBytes + bytes, 0);
  frame[4] = kind;
  frame.writeUInt32BE(id, headerBytes);
  frame.write(text, headerBytes + idBytes);
  return frame;
}

/** Throws `protocol_mismatch` where the payload is none, or its text has more than `bytesMax`. */
export function parseText(payload: Buffer, bytesMax: number): { id: number; text: string } {
  const bytes = payload.subarray(idBytes);
  const good = payload.length >= idBytes && bytes.length <= bytesMax && isUtf8(bytes);
  if (!good) throw alien();
  return { id: payload.readUInt32BE(0), text: bytes.toString('utf8') };
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  readonly #take: (kind: number, payload: Buffer) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** So many bytes make the next step possible: a header, or a whole frame. */
  #wanted = headerBytes;

  constructor(take: (kind: number, payload: Buffer) => void) {
    this.#take = take;
  }

  /** Throws `protocol_mismatch` when what comes is no frame; nothing may be read from this stream any more then. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // However small the chunks are, they are joined twice a frame at most.
    while (this.#bytes >= this.#wanted) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const whole = wholeFrame(bytes);
      if (bytes.length < whole) {
        this.#wanted = whole;
        return;
      }
      this.#wanted = headerBytes;
      this.#chunks = [bytes.subarray(whole)];
      this.#bytes -= whole;
      this.#take(bytes[4]!, bytes.subarray(headerBytes, whole));
    }
  }
}

function wholeFrame(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0);
  if (length >= 1 && length <= frameBytesMax) return 4 + length;
  throw alien();
}

function alien(): AuditError {
  return new AuditError('protocol_mismatch', 'what was received is not of this protocol');
}
