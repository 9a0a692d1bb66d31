import * as crypto from 'node:crypto';

/** What `prev_hash` is at seq 0. */
export const firstPrevHash = '0'.repeat(64);

/** `,"hash":"` + 64 hex + `"}`: the end of every line, which the HMAC does not cover. */
export const hashMemberBytes = 75;

/** Bytes in front of a record's that a hasher borrows while it works. */
export const hasherRoomBytes = 64;

/**
 * The keyed hash of records: HMAC-SHA256 as RFC 2104 §2 puts it together, under one epoch's key (docs/format.md §4). `createHmac`
 * gives the same and takes twice the time, most of it for the objects it makes; two one-shot hashes make none.
 */
export class RecordHasher {
  readonly #innerPad = Buffer.alloc(hasherRoomBytes, 0x36);
  /** The outer pad, and behind it the inner hash. */
  readonly #outer = Buffer.alloc(hasherRoomBytes + 32, 0x5c);
  readonly #borrowed = Buffer.alloc(hasherRoomBytes);

  /** `key` has at most 64 bytes, SHA-256's block; longer ones RFC 2104 hashes first, and no key here is. */
  constructor(key: Uint8Array) {
    if (key.length > hasherRoomBytes) throw new RangeError('a key of more than 64 bytes');
    for (let i = 0; i < key.length; i++) {
      this.#innerPad[i]! ^= key[i]!;
      this.#outer[i]! ^= key[i]!;
    }
  }

  /**
   * Hex HMAC of `buf[start..end)`, the stored bytes of a line before `,"hash":"`. Without a copy: the 64 bytes before `start`,
   * which must be there, hold the inner pad for as long as the hash takes.
   */
  hash(buf: Buffer, start: number, end: number): string {
    const from = start - hasherRoomBytes;
    buf.copy(this.#borrowed, 0, from, start);
    this.#innerPad.copy(buf, from);
    const inner = crypto.hash('sha256', buf.subarray(from, end), 'hex');
    this.#borrowed.copy(buf, from);
    this.#outer.write(inner, hasherRoomBytes, 32, 'hex');
    return crypto.hash('sha256', this.#outer, 'hex');
  }
}

const epochEnds: ReadonlySet<string> = new Set(['log.epoch', 'log.sealed', 'log.closed']);

/** Whether the record after one of this type is in the next epoch. */
export function endsEpoch(eventType: string): boolean {
  return epochEnds.has(eventType);
}
