import * as path from 'node:path';
import {
  type Checkpoint,
  checkNote,
  type Note,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
} from './checkpoint.js';
import { cosignedSizes, readCosigned } from './cosigned.js';
import { readRegular } from './durable.js';
import { AuditError, reasonOf } from './errors.js';
import { LineFile } from './line-file.js';
import { findLine, parseRecord, readLines } from './reader.js';
import { lineBytesMax } from './record.js';
import { listSegments } from './segment.js';
import type { LogRecord } from './stored-record.js';
import { foldSubtree, MissingHash, tileSubtrees } from './tile-subtrees.js';
import { tileWidth } from './tiles.js';
import { quorumTime, type TlogPolicy } from './tlog-policy.js';
import {
  checkConsistency,
  consistencyProof,
  Frontier,
  type Hash,
  inclusionProof,
  leafHash,
  leafHashInPlace,
  rootFromInclusion,
  type SubtreeHash,
} from './tree.js';

/** Inclusion proofs as C2SP tlog-proof files, with the exact line as `extra`; docs/format.md §8. */

const header = 'c2sp.org/tlog-proof@v1';
/** A proof is at most a line, 64 hashes and a note. */
const proofBytesMax = 1024 * 1024;

interface SignedTree {
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

function readSignedTree(dir: string): SignedTree {
  const bytes = readRegular(path.join(dir, 'checkpoint'), noteBytesMax);
  if (bytes === undefined) throw new AuditError('not_found', `${dir} holds no checkpoint yet`);
  return { note: bytes.toString('utf8'), checkpoint: parseCheckpointText(parseNote(bytes).text) };
}

/**
 * The proof that the record `seq` is in the log, from the newest cosigned checkpoint that covers it, else from the
 * folder's newest. Reads a few tiles; where they do
 * not give the signed root the tree is computed from the lines. Throws `not_found` when the checkpoint does not
 * cover the record yet, `log_damaged` when the lines do not give its root.
 */
export async function proveRecord(options: {
  readonly dir: string;
  readonly seq: number;
}): Promise<string> {
  const { dir, seq } = options;
  const { note, checkpoint } = readSignedTree(dir);
  if (!Number.isSafeInteger(seq) || seq < 0 || seq >= checkpoint.size) {
    throw new AuditError(
      'not_found',
      `the newest checkpoint covers ${checkpoint.size} records, not record ${seq}`,
    );
  }
  const stored = findLine(dir, seq);
  if (stored === undefined) throw new AuditError('not_found', `record ${seq} is not in ${dir}`);
  const leaf = leafHash(stored.line);
  const proof = proveCosigned(dir, seq, leaf) ?? {
    note,
    hashes: proveLeaf(dir, seq, leaf, checkpoint),
  };
  const hashes = proof.hashes
    .map((hash) => `${Buffer.from(hash, 'hex').toString('base64')}\n`)
    .join('');
  return `${header}\nextra ${stored.line.toString('base64')}\nindex ${seq}\n${hashes}\n${proof.note}`;
}

/** The newest cosigned checkpoint that covers a record and is of this log's tree: better evidence than the newest. */
function proveCosigned(dir: string, seq: number, leaf: Hash): SignedProof | undefined {
  const size = cosignedSizes(dir).at(-1);
  const signed = size === undefined || size <= seq ? undefined : readCosigned(dir, size);
  if (signed === undefined) return undefined;
  try {
    return { note: signed.note, hashes: proveLeaf(dir, seq, leaf, signed.checkpoint) };
  } catch (error) {
    // Whoever put a strange one there has not kept us from proving the record by the writer's own.
    if (error instanceof AuditError) return undefined;
    throw error;
  }
}

interface SignedProof {
  readonly note: string;
  readonly hashes: readonly Hash[];
}

function proveLeaf(dir: string, seq: number, leaf: Hash, checkpoint: Checkpoint): Hash[] {
  const leads = (proof: readonly Hash[]): boolean =>
    rootFromInclusion(seq, checkpoint.size, leaf, proof) === checkpoint.root;
  try {
    const proof = inclusionProof(seq, checkpoint.size, tileSubtrees(dir));
    if (leads(proof)) return proof;
  } catch (error) {
    if (!(error instanceof MissingHash)) throw error;
  }
  const proof = inclusionProof(seq, checkpoint.size, lineSubtrees(dir, checkpoint.size));
  if (leads(proof)) return proof;
  throw new AuditError(
    'log_damaged',
    `record ${seq} does not lead to the root of the newest checkpoint; run gatebook audit verify`,
  );
}

/**
 * The proof that the tree of `first` records is the beginning of the one of the newest checkpoint, RFC 6962 §2.1.2, with
 * both roots. Throws as `proveRecord` does.
 */
export async function proveConsistency(options: {
  readonly dir: string;
  readonly first: Checkpoint;
}): Promise<{ readonly proof: readonly Hash[]; readonly checkpoint: Checkpoint }> {
  const { dir, first } = options;
  const { checkpoint } = readSignedTree(dir);
  if (first.size > checkpoint.size) {
    throw new AuditError(
      'not_found',
      `the newest checkpoint covers ${checkpoint.size} records, not ${first.size}`,
    );
  }
  const leads = (proof: readonly Hash[]): boolean =>
    checkConsistency(first.size, first.root, checkpoint.size, checkpoint.root, proof);
  try {
    const proof = consistencyProof(first.size, checkpoint.size, tileSubtrees(dir));
    if (leads(proof)) return { proof, checkpoint };
  } catch (error) {
    if (!(error instanceof MissingHash)) throw error;
  }
  const proof = consistencyProof(first.size, checkpoint.size, lineSubtrees(dir, checkpoint.size));
  if (leads(proof)) return { proof, checkpoint };
  throw new AuditError(
    'log_damaged',
    `the tree of ${first.size} records is not the beginning of this log`,
  );
}

/** Perfect subtrees from the lines themselves: reads the log up to `size` once, and keeps one hash for each 256 leaves. */
export function lineSubtrees(dir: string, size: number): SubtreeHash {
  const blocks: Hash[] = [];
  const leaves = new Map<number, Hash[]>();
  let block: Hash[] = [];
  let seq = 0;
  for (const segment of listSegments(dir)) {
    const lines = new LineFile(segment.path);
    try {
      while (seq < size && lines.next()) {
        block.push(leafHashInPlace(lines.buf, lines.start, lines.end));
        seq++;
        if (block.length < tileWidth) continue;
        blocks.push(rootOf(block));
        block = [];
      }
    } finally {
      lines.close();
    }
  }
  const leavesOf = (index: number): Hash[] => {
    const known = leaves.get(index);
    if (known !== undefined) return known;
    const read = index === blocks.length ? block : readLeaves(dir, index * tileWidth);
    leaves.set(index, read);
    return read;
  };
  const at = (hashes: readonly Hash[] | undefined, place: number): Hash => {
    const hash = hashes?.[place];
    if (hash === undefined)
      throw new AuditError('log_damaged', `the log holds ${seq} records, ${size} were signed`);
    return hash;
  };
  return (height, index) => {
    if (height >= 8) return foldSubtree(height - 8, index, (place) => at(blocks, place));
    return foldSubtree(height, index, (place) =>
      at(leavesOf(Math.floor(place / tileWidth)), place % tileWidth),
    );
  };
}

function rootOf(hashes: readonly Hash[]): Hash {
  const frontier = new Frontier();
  for (const hash of hashes) frontier.append(hash);
  return frontier.root();
}

function readLeaves(dir: string, fromSeq: number): Hash[] {
  const hashes: Hash[] = [];
  for (let seq = fromSeq; seq < fromSeq + tileWidth; seq++) {
    const stored = findLine(dir, seq);
    if (stored === undefined) break;
    hashes.push(leafHash(stored.line));
  }
  return hashes;
}

/** The seq of an event, by reading through the log; undefined when it is not there. */
export async function findEvent(dir: string, eventId: string): Promise<number | undefined> {
  const wanted = Buffer.from(`"event_id":${JSON.stringify(eventId)}`);
  for await (const { seq, line } of readLines(dir)) {
    // The id may also stand inside another record's text, so the record is asked before it is believed.
    if (line.includes(wanted) && parseRecord(line).event_id === eventId) return seq;
  }
  return undefined;
}

export interface CheckedProof {
  readonly origin: string;
  /** Of the signed tree that the record is in. */
  readonly size: number;
  readonly index: number;
  readonly record: LogRecord;
  /** The exact line. */
  readonly line: string;
  /** Where a policy was brought that asks for cosignatures: as of when its quorum had seen the tree. */
  readonly witnessedMs?: number;
}

/**
 * Checks a tlog-proof file offline against verifier keys and, where one is given, a policy. Throws `bad_proof` saying what does not hold, `bad_key` for a
 * key that cannot be read.
 */
export function checkProof(
  text: string,
  publicKeys: readonly string[],
  policy?: TlogPolicy,
): CheckedProof {
  const keys = publicKeys.map(parseVerifierKey);
  const bad = (reason: string): AuditError =>
    new AuditError('bad_proof', `the proof does not hold: ${reason}`);
  if (text.length > proofBytesMax) throw bad(`it is larger than ${proofBytesMax} bytes`);
  const split = text.indexOf('\n\n');
  const [first, extra, indexLine, ...hashLines] = text.slice(0, Math.max(split, 0)).split('\n');
  if (split < 0 || first !== header) throw bad(`it does not begin with ${header}`);
  const line = Buffer.from(/^extra ([A-Za-z0-9+/]+={0,2})$/.exec(extra ?? '')?.[1] ?? '', 'base64');
  if (line.length === 0 || line.length > lineBytesMax) throw bad('its extra line holds no record');
  const indexText = /^index (0|[1-9][0-9]*)$/.exec(indexLine ?? '')?.[1];
  const index = Number(indexText);
  if (indexText === undefined || !Number.isSafeInteger(index)) throw bad('it has no index');
  const hashes = hashLines.map((hash) => Buffer.from(hash, 'base64'));
  if (hashes.some((hash, i) => hash.length !== 32 || hash.toString('base64') !== hashLines[i])) {
    throw bad('one of its hashes is not 32 bytes of base64');
  }
  const { checkpoint, note } = readSigned(text.slice(split + 2), keys, bad);
  const seconds = policy === undefined ? undefined : quorumTime(policy, note);
  if (seconds === Number.NEGATIVE_INFINITY) {
    throw bad('its checkpoint does not carry the cosignatures that the policy asks for');
  }
  const root = rootFromInclusion(
    index,
    checkpoint.size,
    leafHash(line),
    hashes.map((hash) => hash.toString('hex')),
  );
  if (root !== checkpoint.root) throw bad('the record does not lead to the signed root');
  const record = parseRecord(line);
  if (record.seq !== index)
    throw bad(`the record says seq ${record.seq}, the proof index ${index}`);
  return {
    origin: checkpoint.origin,
    size: checkpoint.size,
    index,
    record,
    line: line.toString('utf8'),
    ...(seconds === undefined || seconds === Number.POSITIVE_INFINITY
      ? {}
      : { witnessedMs: seconds * 1000 }),
  };
}

function readSigned(
  noteText: string,
  keys: readonly ReturnType<typeof parseVerifierKey>[],
  bad: (reason: string) => AuditError,
): { readonly checkpoint: Checkpoint; readonly note: Note } {
  let note: Note;
  let checkpoint: Checkpoint;
  try {
    note = parseNote(Buffer.from(noteText));
    checkpoint = parseCheckpointText(note.text);
  } catch (error) {
    throw bad(reasonOf(error));
  }
  const own = keys.filter((key) => key.name === checkpoint.origin);
  if (own.length === 0)
    throw bad(`its checkpoint is of ${checkpoint.origin}, and none of the keys is`);
  if (checkNote(note, own) !== 'signed') throw bad('its checkpoint is not signed by the key');
  return { checkpoint, note };
}
