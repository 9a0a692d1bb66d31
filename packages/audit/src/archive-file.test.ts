import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ArchiveFault, ArchiveFile } from './archive-file.js';
import { encodeMember } from './archive-format.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gatebook-archive-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const firstSeq = 250;
const lines = Array.from(
  { length: 300 },
  (_, i) => `{"seq":${firstSeq + i},"x":"${'ab'.repeat(i % 40)}"}\n`,
);
const parts = [lines.slice(0, 6), lines.slice(6, 262), lines.slice(262)];
const members = parts.map((part) => encodeMember(Buffer.from(part.join(''))));
const plain = Buffer.from(lines.join(''));
const whole = Buffer.concat(members);

function fileOf(bytes: Buffer): string {
  const file = path.join(folder, 'segment.jsonl.gz');
  fs.writeFileSync(file, bytes);
  return file;
}

/** Everything that can be read, and the fault that ended it. */
function readWhole(bytes: Buffer): { read: Buffer; fault: ArchiveFault | undefined } {
  const archive = new ArchiveFile(fileOf(bytes), firstSeq);
  const into = Buffer.alloc(plain.length + 1);
  let at = 0;
  try {
    for (let got = -1; got !== 0; at += got) got = archive.read(into, at, into.length - at, at);
    return { read: into.subarray(0, at), fault: undefined };
  } catch (error) {
    if (!(error instanceof ArchiveFault)) throw error;
    return { read: into.subarray(0, at), fault: error };
  } finally {
    archive.close();
  }
}

test('an archive reads as the segment it was made of, and zcat reads it too', () => {
  expect(readWhole(whole)).toEqual({ read: plain, fault: undefined });
  expect(execFileSync('zcat', [fileOf(whole)])).toEqual(plain);
});

test('any place can be read by itself', () => {
  const archive = new ArchiveFile(fileOf(whole), firstSeq);
  const into = Buffer.alloc(40);
  for (const at of [plain.length - 40, 3000, 0, 700]) {
    const got = archive.read(into, 0, 40, at);
    expect(into.subarray(0, got)).toEqual(plain.subarray(at, at + got));
  }
  expect(archive.size()).toBe(plain.length);
  archive.close();
});

test('a flipped bit in any byte is a fault at the member it is in, or at its lines', () => {
  let at = 0;
  members.forEach((member, i) => {
    const offset = Buffer.byteLength(parts.slice(0, i).flat().join(''));
    for (let byte = 0; byte < member.length; byte++) {
      const changed = Buffer.from(whole);
      changed[at + byte]! ^= 1 << (byte % 8);
      expect(readWhole(changed).fault?.offset, `byte ${at + byte}`).toBe(offset);
    }
    at += member.length;
  });
});

/** The first member with bytes behind its deflate stream, of which length and hash know. */
function padded(): Buffer {
  const [member] = members as [Buffer];
  const deflated = Buffer.concat([member.subarray(52, -8), Buffer.from('xyz')]);
  const header = Buffer.from(member.subarray(0, 52));
  header.writeUInt32LE(deflated.length, 16);
  createHash('sha256').update(deflated).digest().copy(header, 20);
  return Buffer.concat([header, deflated, member.subarray(-8)]);
}

const bomb = encodeMember(Buffer.alloc(32 * 1024 * 1024, 10));
test.each([
  ['cut off', whole.subarray(0, -1)],
  ['garbage behind it', Buffer.concat([whole, Buffer.from('x')])],
  ['an empty member behind it', Buffer.concat([whole, encodeMember(Buffer.alloc(0))])],
  [
    'a member split',
    Buffer.concat([members[0]!, ...parts[1]!.map((line) => encodeMember(Buffer.from(line)))]),
  ],
  ['two members swapped', Buffer.concat([members[1]!, members[0]!, members[2]!])],
  ['bytes behind the compressed ones', Buffer.concat([padded(), ...members.slice(1)])],
  ['a bomb', bomb],
])('%s is a fault', (_, bytes) => {
  expect(readWhole(bytes).fault).toBeInstanceOf(ArchiveFault);
});
