import type { Opening } from './acknowledgement.js';
import { AuditError } from './errors.js';

/**
 * How content that does not stand in a body reaches the writer: in lines of its own right before the body, in the same batch. A
 * body begins with `"`, such a line with `{`: `{"ref":…,"member":…,"salt":…,"part":…}`, salt and part in base64; the parts of one
 * content follow each other. They are never written to the log.
 */

/** Content of one event that is handed over; what is more is committed to and not kept. */
export const keptContentBytesMax = 1024 * 1024;
/** Of all lines of one event: base64 takes a third more, and each part some 200 bytes. */
export const contentLinesBytesMax = 2 * keptContentBytesMax;
const partBytes = 48 * 1024;
const brace = 0x7b;
const newline = 10;

/** The lines for what can be kept of these openings, each with its newline; empty when there is nothing. */
export function encodeContentLines(openings: readonly Opening[]): string {
  let left = keptContentBytesMax;
  let text = '';
  for (const { ref, member, salt, content } of openings) {
    const bytes = Buffer.from(content, 'utf8');
    if (bytes.length > left) continue;
    left -= bytes.length;
    const start = { ref, member, salt: Buffer.from(salt).toString('base64') };
    for (let at = 0; at < bytes.length || at === 0; at += partBytes) {
      const part = bytes.subarray(at, at + partBytes).toString('base64');
      text += `${JSON.stringify({ ...start, part })}\n`;
    }
  }
  return text;
}

/** Where the body of the entry at `at` begins, and where its newline stands. */
export function entryAt(
  batch: Uint8Array,
  at: number,
): { readonly body: number; readonly end: number } {
  let body = at;
  while (batch[body] === brace) body = batch.indexOf(newline, body) + 1;
  return { body, end: batch.indexOf(newline, body) };
}

export function isContentLine(line: Uint8Array): boolean {
  return line[0] === brace;
}

const refPattern = /^cnt_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const memberPattern = /^(action|result)\.[a-z]{1,20}$/;

/** Reads such lines. Throws `protocol_mismatch` where they are not of the form. */
export function parseContentLines(lines: Buffer): Opening[] {
  const openings: { ref: string; member: string; salt: Buffer; parts: Buffer[] }[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf(newline, at);
    const { ref, member, salt, part } = parseLine(
      lines.toString('utf8', at, end < 0 ? lines.length : end),
    );
    const last = openings.at(-1);
    if (last?.ref === ref && last.member === member) last.parts.push(part);
    else openings.push({ ref, member, salt, parts: [part] });
    at = end < 0 ? lines.length : end + 1;
  }
  return openings.map(({ ref, member, salt, parts }) => ({
    ...{ ref, member, salt },
    content: Buffer.concat(parts).toString('utf8'),
  }));
}

function parseLine(text: string): { ref: string; member: string; salt: Buffer; part: Buffer } {
  const bad = new AuditError('protocol_mismatch', 'what was received is not content of an event');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad;
  }
  if (typeof value !== 'object' || value === null) throw bad;
  const { ref, member, salt, part } = value as Record<string, unknown>;
  if (typeof ref !== 'string' || !refPattern.test(ref)) throw bad;
  if (typeof member !== 'string' || !memberPattern.test(member)) throw bad;
  if (typeof salt !== 'string' || typeof part !== 'string') throw bad;
  const saltBytes = Buffer.from(salt, 'base64');
  if (saltBytes.length !== 32) throw bad;
  return { ref, member, salt: saltBytes, part: Buffer.from(part, 'base64') };
}
