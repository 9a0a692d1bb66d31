import { createHash, randomBytes } from 'node:crypto';
import type { Opening } from './acknowledgement.js';
import { newId } from './id.js';
import { cutEncoded } from './json-text.js';

/** A text member that a commitment may stand for, and where its JSON stands in the body (UTF-16 units). */
export interface ContentMember {
  /** Path in the record: `action.arguments`. */
  readonly name: string;
  readonly content: string;
  readonly at: number;
  readonly length: number;
}

/** Bytes a commitment takes besides its preview. */
const commitmentBytes =
  '{"preview":"","sha256":"","bytes":,"ref":""}'.length + 64 + 16 + 'cnt_'.length + 36;

/**
 * Makes a body fit into `bytesMax`: shares the bytes left for these members' JSON among them, small ones first, and puts
 * commitments with previews (docs/format.md §2.1) in place of those that do not fit. Returns what opens them.
 */
export function commitContent(
  text: string,
  members: readonly ContentMember[],
  bytesMax: number,
): { readonly text: string; readonly openings: Opening[] } {
  const openings: Opening[] = [];
  const standIns = new Map<ContentMember, string>();
  const bySize = members
    .map((member) => ({ member, bytes: jsonBytes(text, member) }))
    .sort((a, b) => a.bytes - b.bytes);
  let left = bytesMax - Buffer.byteLength(text) + bySize.reduce((sum, { bytes }) => sum + bytes, 0);
  bySize.forEach(({ member, bytes }, i) => {
    const share = Math.floor(left / (bySize.length - i));
    if (bytes <= share) {
      left -= bytes;
      return;
    }
    const { standIn, opening } = commit(member, Math.max(0, share - commitmentBytes));
    standIns.set(member, standIn);
    left -= Buffer.byteLength(standIn);
    openings.push(opening);
  });
  return { text: withStandIns(text, members, standIns), openings };
}

function jsonBytes(text: string, { at, length }: ContentMember): number {
  return Buffer.byteLength(text.slice(at, at + length));
}

function withStandIns(
  text: string,
  members: readonly ContentMember[],
  standIns: ReadonlyMap<ContentMember, string>,
): string {
  let cut = '';
  let from = 0;
  for (const member of members) {
    const standIn = standIns.get(member);
    if (standIn === undefined) continue;
    cut += text.slice(from, member.at) + standIn;
    from = member.at + member.length;
  }
  return cut + text.slice(from);
}

/** The commitment that stands for `content`, without a preview: nothing of the content is in it. */
export function commitmentTo(
  ref: string,
  salt: Uint8Array,
  content: string,
): { readonly sha256: string; readonly bytes: number; readonly ref: string } {
  return { sha256: commitmentHash(salt, content), bytes: Buffer.byteLength(content), ref };
}

/** Hex SHA-256 of salt ‖ content. */
export function commitmentHash(salt: Uint8Array, content: string): string {
  return createHash('sha256').update(salt).update(content, 'utf8').digest('hex');
}

function commit(
  { name, content }: ContentMember,
  previewBytes: number,
): { standIn: string; opening: Opening } {
  const salt = randomBytes(32);
  const ref = newId('cnt_');
  const preview = JSON.stringify(cutEncoded(content, previewBytes));
  const { sha256, bytes } = commitmentTo(ref, salt, content);
  // Put together by hand: an object would ask a toJSON that somebody may have given all objects.
  const standIn = `{"preview":${preview},"sha256":"${sha256}","bytes":${bytes},"ref":"${ref}"}`;
  return { standIn, opening: { ref, member: name, salt, content } };
}
