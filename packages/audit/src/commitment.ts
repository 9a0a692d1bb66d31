import { createHash, randomBytes } from 'node:crypto';
import type { Opening } from './acknowledgement.js';
import type { Commitment } from './event.js';
import { uuidv7 } from './event-id.js';
import { cutEncoded } from './json-text.js';

/** A text member that a commitment may stand for, and where it stands in the record being built. */
export interface ContentMember {
  /** Path in the record: `action.arguments`. */
  readonly name: string;
  readonly section: Record<string, unknown>;
  readonly stored: string;
  readonly content: string;
}

/** Bytes a commitment takes besides its preview. */
const commitmentBytes =
  '{"preview":"","sha256":"","bytes":,"ref":""}'.length + 64 + 16 + 'cnt_'.length + 36;

/**
 * Makes a record fit: shares `room`, the bytes left for these members' JSON, among them, small ones first, and puts commitments
 * with previews (docs/format.md §2.1) in place of those that do not fit. Returns what opens them.
 */
export function commitContent(members: readonly ContentMember[], room: number): Opening[] {
  const openings: Opening[] = [];
  const bySize = members
    .map((member) => ({ member, bytes: encodedBytes(member.content) }))
    .sort((a, b) => a.bytes - b.bytes);
  let left = room;
  bySize.forEach(({ member, bytes }, i) => {
    const share = Math.floor(left / (bySize.length - i));
    if (bytes <= share) {
      left -= bytes;
      return;
    }
    const { commitment, opening } = commit(member, Math.max(0, share - commitmentBytes));
    member.section[member.stored] = commitment;
    left -= Buffer.byteLength(JSON.stringify(commitment));
    openings.push(opening);
  });
  return openings;
}

/** Bytes of a text's JSON form. */
export function encodedBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

function commit(
  member: ContentMember,
  previewBytes: number,
): { commitment: Commitment; opening: Opening } {
  const { name, content } = member;
  const salt = randomBytes(32);
  const ref = `cnt_${uuidv7()}`;
  const commitment = {
    preview: cutEncoded(content, previewBytes),
    sha256: createHash('sha256').update(salt).update(content, 'utf8').digest('hex'),
    bytes: Buffer.byteLength(content),
    ref,
  };
  return { commitment, opening: { ref, member: name, salt, content } };
}
