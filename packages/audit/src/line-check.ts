import { isUtf8 } from 'node:buffer';
import { hashMemberBytes } from './chain.js';
import { sections } from './fields.js';
import { type JsonKind, scanJson } from './json-scan.js';
import { readPlainLine } from './plain-line.js';
import { lineBytesMax } from './record.js';

/** What a line says of itself, once its form was found right (docs/format.md §2). */
export interface LineFacts {
  seq: number;
  epoch: number;
  eventType: string;
  prevHash: string;
  hash: string;
}

const front = ['seq', 'timestamp', 'event_id', 'event_type', 'emitter'];
const back = ['epoch', 'prev_hash', 'hash'];
const order = [...front, ...sections.map(({ stored }) => stored), ...back];
const kinds: readonly JsonKind[] = order.map((name) => {
  if (name === 'seq' || name === 'epoch') return 'number';
  const kind = sections.find(({ stored }) => stored === name)?.kind;
  return kind === 'fields' || kind === 'details' ? 'object' : 'string';
});
const nameBytes = order.map((name) => Buffer.from(name));
const requiredCount = front.length + back.length;
const required = order.map((name) => front.includes(name) || back.includes(name));

const seqPrefix = Buffer.from('{"seq":');
const epochPrefix = Buffer.from(',"epoch":');
const prevPrefix = Buffer.from(',"prev_hash":"');
const hashPrefix = Buffer.from(',"hash":"');

/**
 * Checks the form of the line `buf[start..end)`, everything that needs no key and no other line, and fills `facts`.
 * Returns undefined, or what is wrong.
 */
export function checkLine(
  buf: Buffer,
  start: number,
  end: number,
  facts: LineFacts,
): string | undefined {
  const length = end - start;
  if (length > lineBytesMax) return `the line is longer than ${lineBytesMax} bytes`;
  if (length < 2 * hashMemberBytes) return 'the line is too short for a record';
  if (!isUtf8(buf.subarray(start, end))) return 'the line is not UTF-8';
  if (readPlainLine(buf.toString('latin1', start, end), facts)) return undefined;
  return checkScanned(buf, start, end, facts);
}

/** The same by the strict scan, for a line of any form. */
export function checkScanned(
  buf: Buffer,
  start: number,
  end: number,
  facts: LineFacts,
): string | undefined {
  return checkEnds(buf, start, end, facts) ?? checkMembers(buf, start, end, facts);
}

/** The parts at fixed places: `{"seq":N,` in front and epoch, prev_hash and hash behind. */
function checkEnds(buf: Buffer, start: number, end: number, facts: LineFacts): string | undefined {
  if (!hasBytes(buf, start, seqPrefix)) return 'the line does not begin with {"seq":';
  const seq = decimal(buf, start + seqPrefix.length, 0x2c);
  if (seq < 0) return 'seq is not a plain decimal number';
  const hashAt = end - hashMemberBytes;
  if (!hasBytes(buf, hashAt, hashPrefix) || buf[end - 1] !== 0x7d || buf[end - 2] !== 0x22) {
    return 'the line does not end with its hash member';
  }
  const prevAt = hashAt - 65 - prevPrefix.length;
  if (prevAt < start || !hasBytes(buf, prevAt, prevPrefix) || buf[hashAt - 1] !== 0x22) {
    return 'prev_hash does not stand before hash';
  }
  if (!isHex(buf, hashAt + hashPrefix.length) || !isHex(buf, prevAt + prevPrefix.length)) {
    return 'hash or prev_hash is not 64 lower-case hex digits';
  }
  let epochAt = prevAt - 1;
  while (epochAt > start && buf[epochAt]! >= 0x30 && buf[epochAt]! <= 0x39) epochAt--;
  const epoch = decimal(buf, epochAt + 1, 0x2c);
  if (epoch < 0 || !hasBytes(buf, epochAt + 1 - epochPrefix.length, epochPrefix)) {
    return 'epoch does not stand before prev_hash as a plain decimal number';
  }
  facts.seq = seq;
  facts.epoch = epoch;
  facts.hash = buf.toString('latin1', end - 66, end - 2);
  facts.prevHash = buf.toString('latin1', hashAt - 65, hashAt - 1);
  return undefined;
}

function checkMembers(
  buf: Buffer,
  start: number,
  end: number,
  facts: LineFacts,
): string | undefined {
  let place = 0;
  let seen = 0;
  let wrong: string | undefined;
  const fault = scanJson(buf, start, end, (keyStart, keyEnd, valueStart, valueEnd, kind) => {
    while (place < order.length && !sameName(buf, keyStart, keyEnd, nameBytes[place]!)) place++;
    if (place === order.length) {
      wrong ??= `member "${buf.toString('utf8', keyStart, Math.min(keyEnd, keyStart + 80))}" is unknown or out of order`;
      return;
    }
    if (kinds[place] !== kind) wrong ??= `${order[place]} is a JSON ${kind}`;
    if (required[place]) seen++;
    if (place >= 1 && place <= 3 && buf.subarray(valueStart, valueEnd).includes(0x5c)) {
      wrong ??= `${order[place]} holds an escape`;
    }
    if (place === 3) facts.eventType = buf.toString('utf8', valueStart + 1, valueEnd - 1);
    place++;
  });
  if (fault) return fault.doubled ? fault.reason : `not one JSON object: ${fault.reason}`;
  if (wrong !== undefined) return wrong;
  return seen === requiredCount ? undefined : 'a required member is missing';
}

function sameName(buf: Buffer, start: number, end: number, name: Buffer): boolean {
  return end - start === name.length && hasBytes(buf, start, name);
}

function hasBytes(buf: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (buf[at + i] !== bytes[i]) return false;
  return true;
}

function isHex(buf: Buffer, at: number): boolean {
  for (let i = at; i < at + 64; i++) {
    const c = buf[i]!;
    if (!((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66))) return false;
  }
  return true;
}

/** The decimal number at `at` that ends before `stop`, or -1: no digits, a leading zero, another end, beyond 2^53-1. */
function decimal(buf: Buffer, at: number, stop: number): number {
  let value = 0;
  let i = at;
  for (; i < at + 16; i++) {
    const c = buf[i]!;
    if (!(c >= 0x30 && c <= 0x39)) break;
    value = value * 10 + (c - 0x30);
  }
  if (i === at || buf[i] !== stop || (buf[at] === 0x30 && i > at + 1)) return -1;
  return Number.isSafeInteger(value) ? value : -1;
}

/** The timestamp of the line that begins at `start` of a buffer of good lines. */
export function timestampOf(buf: Buffer, start: number): string {
  const at = buf.indexOf('"timestamp":"', start, 'latin1') + 13;
  return buf.toString('latin1', at, at + 24);
}
