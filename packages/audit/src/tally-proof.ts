import { namesIn } from './durable.js';
import { AuditError } from './errors.js';
import { listSources } from './kept.js';
import { lastLine } from './last-line.js';
import { type CheckedProof, checkProof, proveRecord } from './proof.js';
import { parseRecord } from './reader.js';
import { segmentsFolder, tallyPath } from './segment.js';
import { formatTallyLine, parseTallyLine, type TallyCount, tallyRoot } from './tally.js';
import { readTallyLines } from './tally-file.js';
import { type Dimension, dimensions } from './tally-scan.js';
import type { TlogPolicy } from './tlog-policy.js';
import { Frontier, type Hash, inclusionProof, leafHash, rootFromInclusion } from './tree.js';

/** Proofs of what a sealed segment holds, and of what it does not; docs/format.md §8.1. */

const header = 'gatebook/tally-proof@v1';
const proofBytesMax = 1024 * 1024;

/** What is asked of a tally: the records with this value, or, where it is null, those with none. */
export interface TallyQuestion {
  readonly dimension: Dimension;
  /** `true` and `false` for `decision`, else text. */
  readonly value: string | boolean | null;
}

export interface TallyEntry extends TallyQuestion {
  readonly count: number;
}

export interface CheckedTally extends TallyEntry {
  readonly origin: string;
  /** Of the signed tree that the seal is in. */
  readonly size: number;
  /** The segment: its first and its last seq, and the lowest and highest timestamp in it. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
}

/** First seqs of the segments beside which a tally lies. */
export function listTallies(dir: string): number[] {
  return namesIn(segmentsFolder(dir))
    .map((name) => /^([0-9]{20})\.tally$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** What a sealed segment's tally says; nothing is verified. Throws `not_found` when there is none. */
export function readTally(dir: string, segment: number): TallyEntry[] {
  return tallyLines(dir, segment).map((line) => {
    const count = parseTallyLine(line);
    if (count === undefined) throw damaged(tallyPath(dir, segment));
    return entryOf(count);
  });
}

function entryOf({ dimension, value, count }: TallyCount): TallyEntry {
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return { dimension, value: JSON.parse(text) as TallyEntry['value'], count };
}

function tallyLines(dir: string, segment: number): string[] {
  const lines = readTallyLines(dir, segment);
  if (lines !== undefined) return lines;
  const file = tallyPath(dir, segment);
  throw new AuditError('not_found', `${file} does not exist; a segment has one when it is sealed`);
}

function damaged(file: string): AuditError {
  return new AuditError('log_damaged', `${file} is damaged; run gatebook audit verify`);
}

/**
 * The proof of how many records of a sealed segment have a value: that value's line of the tally, or, where there is none,
 * its neighbours, and the proof of the seal. Throws `not_found` when the segment is not sealed or no checkpoint covers
 * its seal, `log_damaged` when the tally is not the seal's.
 */
export async function proveTally(options: {
  readonly dir: string;
  /** Its first seq. */
  readonly segment: number;
  readonly question: TallyQuestion;
}): Promise<string> {
  const { dir, segment, question } = options;
  const lines = tallyLines(dir, segment);
  const seal = findSeal(dir, segment);
  if (tallyRoot(lines) !== seal.root) throw damaged(tallyPath(dir, segment));
  const key = keyOf(question);
  const place = lines.findIndex((line) => line > key);
  const behind = place < 0 ? lines.length : place;
  const shown = lines[behind]?.startsWith(key)
    ? [behind]
    : [behind - 1, behind].filter((index) => index in lines);
  const leaves = lines.map((line) => leafHash(Buffer.from(line, 'latin1')));
  const parts = shown.map((index) => provenLine(lines[index]!, index, leaves));
  const sealProof = await proveRecord({ dir, seq: seal.seq });
  return `${header}\nask ${askText(question)}\n${parts.join('')}\n${sealProof}`;
}

function provenLine(line: string, index: number, leaves: readonly Hash[]): string {
  const proof = inclusionProof(index, leaves.length, (height, at) => {
    const tree = new Frontier();
    for (const leaf of leaves.slice(at * 2 ** height, (at + 1) * 2 ** height)) tree.append(leaf);
    return tree.root();
  });
  const hashes = proof.map((hash) => `${Buffer.from(hash, 'hex').toString('base64')}\n`);
  return `line ${index} ${Buffer.from(line, 'latin1').toString('base64')}\n${hashes.join('')}`;
}

/** The last record of a sealed segment, also where the segment was deleted. */
function findSeal(dir: string, segment: number): { readonly seq: number; readonly root: unknown } {
  const source = listSources(dir).find(({ firstSeq }) => firstSeq === segment);
  const line = source === undefined ? undefined : lastLine(source.path);
  const record = line === undefined ? undefined : parseRecord(line);
  const details = record?.details;
  if (record?.event_type !== 'log.sealed' || details?.['first_seq'] !== segment) {
    throw new AuditError('not_found', `the segment ${segment} of ${dir} has no seal`);
  }
  return { seq: record.seq, root: details['tally_root'] };
}

function askText({ dimension, value }: TallyQuestion): string {
  return JSON.stringify([dimension, value]);
}

/** What a line for this value begins with, as latin1; no line of another value begins so. */
function keyOf({ dimension, value }: TallyQuestion): string {
  const text = Buffer.from(JSON.stringify(value)).toString('latin1');
  return formatTallyLine({ dimension, value: text, count: 0 }).slice(0, -2);
}

/**
 * Checks a tally proof offline against verifier keys. `count` is 0 where it proves that there is no such record. Throws
 * `bad_proof` saying what does not hold, `bad_key` for a key that cannot be read.
 */
export function checkTallyProof(
  text: string,
  publicKeys: readonly string[],
  policy?: TlogPolicy,
): CheckedTally {
  if (text.length > proofBytesMax) throw bad(`it is larger than ${proofBytesMax} bytes`);
  const split = text.indexOf('\n\n');
  const [first, ask, ...rest] = text.slice(0, Math.max(split, 0)).split('\n');
  if (split < 0 || first !== header) throw bad(`it does not begin with ${header}`);
  const question = parseQuestion(ask);
  const seal = readSeal(checkProof(text.slice(split + 2), publicKeys, policy));
  const lines = provenLines(rest, seal);
  const { root: _root, lines: _lines, ...facts } = seal;
  return { ...facts, ...question, count: countIn(lines, keyOf(question), seal.lines) };
}

/** Whether a file says of itself that it is a tally proof. */
export function isTallyProof(text: string): boolean {
  return text.startsWith(`${header}\n`);
}

function bad(reason: string): AuditError {
  return new AuditError('bad_proof', `the proof does not hold: ${reason}`);
}

function parseQuestion(line: string | undefined): TallyQuestion {
  try {
    const [dimension, value] = JSON.parse(line?.slice('ask '.length) ?? '') as unknown[];
    const question = { dimension, value } as TallyQuestion;
    const known = dimensions.includes(question.dimension);
    const plain = value === null || typeof value === 'string' || typeof value === 'boolean';
    if (known && plain && line === `ask ${askText(question)}`) return question;
  } catch {
    // Said below, with what is no question either.
  }
  throw bad('its ask line is no question');
}

interface ProvenSeal extends Omit<CheckedTally, keyof TallyEntry> {
  readonly lines: number;
  readonly root: string;
}

function readSeal({ record, origin, size }: CheckedProof): ProvenSeal {
  const details = record.details ?? {};
  const { first_seq: firstSeq, tally_size: lines, tally_root: root } = details;
  const { first_timestamp: firstTimestamp, last_timestamp: lastTimestamp } = details;
  if (record.event_type !== 'log.sealed' || record.emitter !== 'log') {
    throw bad(`record ${record.seq} is no seal`);
  }
  if (
    typeof firstSeq !== 'number' ||
    typeof lines !== 'number' ||
    typeof root !== 'string' ||
    typeof firstTimestamp !== 'string' ||
    typeof lastTimestamp !== 'string'
  ) {
    throw bad('the seal names no tally');
  }
  const times = { firstTimestamp, lastTimestamp };
  return { origin, size, firstSeq, lastSeq: record.seq, ...times, lines, root };
}

interface ProvenLine {
  readonly index: number;
  readonly line: string;
}

/** The lines that the proof shows, each led to the seal's root. */
function provenLines(parts: readonly string[], seal: ProvenSeal): ProvenLine[] {
  const lines: { index: number; line: string; proof: Hash[] }[] = [];
  for (const part of parts) {
    const [, index, text] = /^line (0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/]+={0,2})$/.exec(part) ?? [];
    if (text !== undefined) {
      const line = Buffer.from(text, 'base64').toString('latin1');
      lines.push({ index: Number(index), line, proof: [] });
      continue;
    }
    const hash = Buffer.from(part, 'base64');
    if (lines.length === 0 || hash.length !== 32 || hash.toString('base64') !== part) {
      throw bad('it holds what is neither a line nor 32 bytes of base64');
    }
    lines.at(-1)!.proof.push(hash.toString('hex'));
  }
  for (const { index, line, proof } of lines) {
    const leaf = leafHash(Buffer.from(line, 'latin1'));
    if (rootFromInclusion(index, seal.lines, leaf, proof) !== seal.root) {
      throw bad(`line ${index} does not lead to the seal's tally_root`);
    }
  }
  return lines;
}

/** One line of this value gives its count; its neighbours, with nothing between them, give none. */
function countIn(shown: readonly ProvenLine[], key: string, size: number): number {
  const [one, two] = shown;
  if (one === undefined || shown.length > 2) throw bad('it shows neither one line nor two');
  if (two === undefined && one.line.startsWith(key)) {
    const count = parseTallyLine(one.line)?.count;
    if (count === undefined) throw bad('its line is no line of a tally');
    return count;
  }
  const before = two === undefined && one.line > key ? undefined : one;
  const behind = two ?? (before === undefined ? one : undefined);
  const closed = (behind?.index ?? size) === (before?.index ?? -1) + 1;
  const around =
    (before === undefined || before.line < key) &&
    (behind === undefined || (behind.line > key && !behind.line.startsWith(key)));
  if (!closed || !around) throw bad('its lines are not the neighbours of what is asked for');
  return 0;
}
