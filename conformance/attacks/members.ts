import { createHash } from 'node:crypto';
import { constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

/** The members of archives as docs/format.md §1.1 gives their bytes. */

/** A part of a member, by where it begins in it and where it ends. */
export interface Part {
  readonly name: string;
  from(member: Buffer): number;
  to(member: Buffer): number;
}

const headerBytes = 52;
const fixed = (name: string, from: number, to: number): Part => ({
  name,
  from: () => from,
  to: () => to,
});

export const parts: readonly Part[] = [
  fixed('the magic', 0, 2),
  fixed('the method', 2, 3),
  fixed('the flags', 3, 4),
  fixed('the time', 4, 8),
  fixed('the extra flags', 8, 9),
  fixed('the system', 9, 10),
  fixed('the length of the extra field', 10, 12),
  fixed('the name of the subfield', 12, 14),
  fixed('the length of the subfield', 14, 16),
  fixed('the length of what is compressed', 16, 20),
  fixed('the hash', 20, headerBytes),
  { name: 'what is compressed', from: () => headerBytes, to: (member) => member.length - 8 },
  {
    name: 'the checksum',
    from: (member) => member.length - 8,
    to: (member) => member.length - 4,
  },
  { name: 'the length', from: (member) => member.length - 4, to: (member) => member.length },
];

/** The members of an untouched archive. */
export function splitMembers(archive: Buffer): Buffer[] {
  const members: Buffer[] = [];
  for (let at = 0; at < archive.length; ) {
    const length = headerBytes + archive.readUInt32LE(at + 16) + 8;
    members.push(archive.subarray(at, at + length));
    at += length;
  }
  return members;
}

export function linesOf(member: Buffer): Buffer {
  return inflateRawSync(member.subarray(headerBytes, -8));
}

/** A member with these lines, in good form. */
export function member(lines: Buffer, level: number = constants.Z_DEFAULT_COMPRESSION): Buffer {
  return around(deflateRawSync(lines, { level }), lines);
}

/** A member whose header and trailer fit what is given. */
export function around(deflated: Buffer, lines: Buffer): Buffer {
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32LE(deflated.length, 0);
  numbers.writeUInt32LE(crc32(lines), 4);
  numbers.writeUInt32LE(lines.length, 8);
  return Buffer.concat([
    Buffer.from('1f8b08040000000000ff280047422400', 'hex'),
    numbers.subarray(0, 4),
    createHash('sha256').update(deflated).digest(),
    deflated,
    numbers.subarray(4),
  ]);
}

/** Lines as an archive in good form: up to each multiple of 256 of their seqs a member. */
export function archive(lines: readonly Buffer[], firstSeq: number, level?: number): Buffer {
  const members: Buffer[] = [];
  let held: Buffer[] = [];
  lines.forEach((line, i) => {
    held.push(line, Buffer.of(10));
    if ((firstSeq + i + 1) % 256 !== 0 && i + 1 < lines.length) return;
    members.push(member(Buffer.concat(held), level));
    held = [];
  });
  return Buffer.concat(members);
}
