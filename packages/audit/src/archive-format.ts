import { createHash } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { lineBytesMax } from './record.js';

/**
 * The bytes of an archived segment: gzip members (RFC 1952), each of the whole lines whose seqs have the same quotient by 256, so that a
 * member is one entry bundle of tlog-tiles. A header has one form only. Its extra field holds the length and the SHA-256 of
 * what is compressed: a changed bit in there may well inflate to the same lines, and must show all the same.
 */

export const memberLines = 256;
/** A record and its newline, 256 times. */
export const memberBytesMax = memberLines * (lineBytesMax + 1);
/** What does not compress grows by a few bytes for each stored block. */
const deflatedBytesMax = memberBytesMax + 65_536;

/** Deflate with an extra field; no time, name, comment or system; 40 bytes of extra, which are the subfield GB of 36. */
const headerStart = Buffer.from('1f8b08040000000000ff280047422400', 'hex');
export const memberHeaderBytes = headerStart.length + 36;
export const memberTrailerBytes = 8;

/** What a member's header and trailer claim of it. */
export interface MemberHeader {
  readonly deflated: number;
  readonly sha256: Buffer;
}

/** One member. `lines`: whole lines with their newlines, at most 256. */
export function encodeMember(lines: Buffer): Buffer {
  const deflated = deflateRawSync(lines);
  const header = Buffer.alloc(memberHeaderBytes);
  headerStart.copy(header);
  header.writeUInt32LE(deflated.length, headerStart.length);
  createHash('sha256')
    .update(deflated)
    .digest()
    .copy(header, headerStart.length + 4);
  const trailer = Buffer.alloc(memberTrailerBytes);
  trailer.writeUInt32LE(crc32(lines), 0);
  trailer.writeUInt32LE(lines.length, 4);
  return Buffer.concat([header, deflated, trailer]);
}

/** Reads a header; a text says why it is none. */
export function parseHeader(bytes: Buffer): MemberHeader | string {
  if (bytes.length < memberHeaderBytes) return 'a member of the archive is cut off';
  if (!bytes.subarray(0, headerStart.length).equals(headerStart))
    return 'what stands here in the archive is no member of the one allowed form';
  const deflated = bytes.readUInt32LE(headerStart.length);
  if (deflated > deflatedBytesMax) return 'a member of the archive is longer than 256 lines can be';
  return { deflated, sha256: bytes.subarray(headerStart.length + 4, memberHeaderBytes) };
}

/** The length that a member's trailer claims; a text where no lines can have it, so that nothing is inflated beyond the bound. */
export function parseLength(trailer: Buffer): number | string {
  const length = trailer.readUInt32LE(4);
  if (length === 0) return 'a member of the archive is empty';
  return length > memberBytesMax ? 'a member of the archive inflates to too much' : length;
}

/** The lines of a member; a text says what is wrong with it. */
export function decodeMember(
  header: MemberHeader,
  deflated: Buffer,
  trailer: Buffer,
): Buffer | string {
  if (!createHash('sha256').update(deflated).digest().equals(header.sha256))
    return 'the compressed bytes of a member are not those that were written';
  const length = parseLength(trailer);
  if (typeof length === 'string') return length;
  const lines = inflate(deflated, length);
  if (lines?.length !== length || crc32(lines) !== trailer.readUInt32LE(0))
    return 'a member of the archive does not inflate to what its trailer says';
  return lines;
}

function inflate(deflated: Buffer, length: number): Buffer | undefined {
  try {
    const options = { maxOutputLength: length, info: true };
    // With `info` the engine comes along, which says how much of the input it used; the type does not know of that.
    const { buffer, engine } = inflateRawSync(deflated, options) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    return engine.bytesWritten === deflated.length ? buffer : undefined;
  } catch {
    // It is no deflate data, or more of it than the bound allows.
    return undefined;
  }
}

/** How many newlines there are. */
export function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(10); at >= 0; at = lines.indexOf(10, at + 1)) count++;
  return count;
}
