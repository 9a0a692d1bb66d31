import * as fs from 'node:fs';
import {
  countLines,
  decodeMember,
  memberHeaderBytes,
  memberLines,
  memberTrailerBytes,
  parseHeader,
  parseLength,
} from './archive-format.js';
import { readAll } from './durable.js';
import { AuditError } from './errors.js';

/** What is wrong with an archive, and at which byte of the uncompressed segment it shows. */
export class ArchiveFault extends AuditError {
  readonly offset: number;
  readonly reason: string;

  constructor(file: string, offset: number, reason: string) {
    super(
      'log_damaged',
      `${file}, byte ${offset} of its lines: ${reason}; run gatebook audit verify`,
    );
    this.offset = offset;
    this.reason = reason;
  }
}

interface Member {
  /** Where it begins in the file, and its first line in the uncompressed segment. */
  readonly at: number;
  readonly offset: number;
  readonly bytes: number;
  readonly lines: number;
}

/**
 * An archived segment, read like the plain file it was made of: places are bytes of the uncompressed segment. Goes from header to
 * header to find a member and inflates only that one; holds one member in memory, at most 16 MiB. Whatever is not as
 * `encodeMember` writes it throws an `ArchiveFault` once it is reached, and everything before it can be read.
 */
export class ArchiveFile {
  readonly #file: string;
  readonly #firstSeq: number;
  readonly #fd: number;
  readonly #fileBytes: number;
  readonly #members: Member[] = [];
  #held: { readonly member: Member; readonly lines: Buffer } | undefined;

  /** `firstSeq` is what the segment is named for: it says how many lines the first member has. */
  constructor(file: string, firstSeq: number) {
    this.#file = file;
    this.#firstSeq = firstSeq;
    this.#fd = fs.openSync(file, 'r');
    this.#fileBytes = fs.fstatSync(this.#fd).size;
  }

  /** Fills a part of `into` from `position` on, up to the end of a member; 0 at the end. */
  read(into: Buffer, start: number, room: number, position: number): number {
    const member = this.#memberAt(position);
    if (member === undefined) return 0;
    const lines = this.#linesOf(member);
    const from = position - member.offset;
    return lines.copy(into, start, from, Math.min(lines.length, from + room));
  }

  /** Where the member begins that has the line of this seq, if any has; undefined where the archive ends before. */
  seek(seq: number): number | undefined {
    const index = Math.floor(seq / memberLines) - Math.floor(this.#firstSeq / memberLines);
    while (this.#members.length <= index) if (this.#next() === undefined) return undefined;
    return this.#members[index]?.offset;
  }

  /** Bytes of the uncompressed segment, as the members claim. */
  size(): number {
    while (this.#next() !== undefined);
    return this.#end().offset;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #memberAt(position: number): Member | undefined {
    const known = this.#members.findLast(({ offset }) => offset <= position);
    if (known !== undefined && position < known.offset + known.lines) return known;
    for (;;) {
      const member = this.#next();
      if (member === undefined || position < member.offset + member.lines) return member;
    }
  }

  #end(): { readonly at: number; readonly offset: number } {
    const last = this.#members.at(-1);
    if (last === undefined) return { at: 0, offset: 0 };
    return { at: last.at + last.bytes, offset: last.offset + last.lines };
  }

  /** Reads the header and trailer behind the last known member; undefined at the end of the file. */
  #next(): Member | undefined {
    const { at, offset } = this.#end();
    if (at === this.#fileBytes) return undefined;
    const fault = (reason: string): ArchiveFault => new ArchiveFault(this.#file, offset, reason);
    const header = parseHeader(this.#bytes(at, memberHeaderBytes));
    if (typeof header === 'string') throw fault(header);
    const bytes = memberHeaderBytes + header.deflated + memberTrailerBytes;
    const trailer = this.#bytes(at + bytes - memberTrailerBytes, memberTrailerBytes);
    if (trailer.length < memberTrailerBytes) throw fault('a member of the archive is cut off');
    const lines = parseLength(trailer);
    if (typeof lines === 'string') throw fault(lines);
    const member = { at, offset, bytes, lines };
    this.#members.push(member);
    return member;
  }

  #linesOf(member: Member): Buffer {
    if (this.#held?.member === member) return this.#held.lines;
    const bytes = this.#bytes(member.at, member.bytes);
    const wrong = (reason: string): ArchiveFault =>
      new ArchiveFault(this.#file, member.offset, reason);
    const header = parseHeader(bytes);
    if (typeof header === 'string') throw wrong(header);
    const end = bytes.length - memberTrailerBytes;
    const lines = decodeMember(header, bytes.subarray(memberHeaderBytes, end), bytes.subarray(end));
    if (typeof lines === 'string') throw wrong(lines);
    this.#checkCount(member, lines, wrong);
    this.#held = { member, lines };
    return lines;
  }

  /** Only the last member may have fewer lines than reach up to the next multiple of 256. */
  #checkCount(member: Member, lines: Buffer, wrong: (reason: string) => ArchiveFault): void {
    const whole = member.offset === 0 ? memberLines - (this.#firstSeq % memberLines) : memberLines;
    const isLast = member.at + member.bytes === this.#fileBytes;
    const count = countLines(lines);
    if (lines.at(-1) !== 10 || count > whole || (count < whole && !isLast))
      throw wrong('a member of the archive holds other lines than up to a multiple of 256');
  }

  #bytes(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.#fileBytes - at)));
    return bytes.subarray(0, readAll(this.#fd, bytes, at));
  }
}
