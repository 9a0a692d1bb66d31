import { ArchiveFault } from './archive-file.js';
import { endsEpoch, hashMemberBytes } from './chain.js';
import { CompactRange, type Subtree } from './compact-range.js';
import { EpochKeys } from './epoch-keys.js';
import { keyRecordTypes } from './key-history.js';
import { checkLine, type LineFacts, timestampOf } from './line-check.js';
import { LineFile } from './line-file.js';

import { Tally, type TallyPart } from './tally.js';
import { readTileForms, tileWidth, zeroHash } from './tiles.js';
import { type Hash, leafHashInPlace } from './tree.js';

/** A run of lines of one segment, checked on its own; `verify.ts` joins the results in order. */
export interface ChunkTask {
  readonly dir: string;
  readonly path: string;
  /** What the file is named for. */
  readonly firstSeq: number;
  /** Byte where a line begins, and where the chunk ends (a line's beginning, or the end of the file). */
  readonly from: number;
  readonly to: number;
  readonly endsSegment: boolean;
  /** Sizes at which a root will be wanted. */
  readonly cuts: readonly number[];
  /** A higher epoch is not believed. */
  readonly epochMax: number;
  /** Initial HMAC key for the auditor's level. */
  readonly hmac: { readonly origin: string; readonly key: Uint8Array } | undefined;
}

export interface Fault {
  readonly seq: number;
  /** Whether the line holds a zero byte, as a write does that a power loss interrupted. */
  readonly holey?: boolean;
  readonly offset: number;
  readonly reason: string;
}

export interface TileFault {
  readonly level: number;
  readonly index: number;
  readonly place: number;
}

/** What one of the log's own records says, where it matters to a verifier. */
export interface LogFact {
  readonly seq: number;
  readonly type: string;
  readonly timestamp: string;
  /** Byte offset of its line in its file. */
  readonly offset: number;
  /** Of its line, newline included. */
  readonly bytes: number;
  readonly leaf: Hash;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A seal, whose tally is held against that of all chunks of its segment. */
export interface Seal {
  readonly seq: number;
  readonly offset: number;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface ChunkResult {
  /** What the first line claims; undefined when the chunk holds no good line. */
  readonly first:
    | {
        readonly seq: number;
        readonly epoch: number;
        readonly prevHash: string;
        readonly type: string;
      }
    | undefined;
  readonly count: number;
  readonly lastHash: string;
  readonly lastType: string;
  /** Epoch expected after the last record. */
  readonly nextEpoch: number;
  /** Subtrees of the leaves, split at the cuts. */
  readonly parts: readonly { readonly end: number; readonly subtrees: readonly Subtree[] }[];
  /** `hmac` marks one that only the auditor's key shows. */
  readonly fault: Fault | undefined;
  /** The first line whose leaf is not the tile's. */
  readonly leafMismatch: Fault | undefined;
  readonly tileFault: TileFault | undefined;
  /** Largest seq + 1 of a record that ends an epoch and has a successor in this chunk. */
  readonly required: number;
  readonly endsWithEpoch: boolean;
  readonly facts: readonly LogFact[];
  /** Of all lines but a seal. */
  readonly tally: TallyPart;
  readonly seal: Seal | undefined;
  /** Byte behind the last good line. */
  readonly end: number;
  /** Bytes behind the last newline of the segment, and whether they hold more than a whole line. */
  readonly rest: { readonly bytes: number; readonly holdsRecord: boolean };
}

/** Epochs that a gap may hide: half a year of them. An invented number must not keep a verifier busy. */
export const epochJumpMax = 2 ** 18;

/** Keeps epoch keys between chunks; one for each thread. */
export class ChunkVerifier {
  #keys: EpochKeys | undefined;

  verify(task: ChunkTask): ChunkResult {
    if (task.hmac !== undefined) this.#keys ??= new EpochKeys(task.hmac.key, task.hmac.origin);
    const lines = new LineFile(task.path, task.from, task.to);
    try {
      return this.#verifyLines(lines, task);
    } finally {
      lines.close();
    }
  }

  #verifyLines(lines: LineFile, task: ChunkTask): ChunkResult {
    const run = new Run(task);
    try {
      while (lines.next()) {
        const wrong = run.check(lines) ?? this.#checkHash(lines, run.line, task.epochMax);
        if (wrong !== undefined) {
          const holey = lines.buf.subarray(lines.start, lines.end).includes(0);
          return run.result({ seq: run.seq, offset: lines.offset, reason: wrong, holey }, noRest);
        }
        run.take(lines);
      }
    } catch (error) {
      if (!(error instanceof ArchiveFault)) throw error;
      const { offset, reason } = error;
      return run.result({ seq: run.seq, offset, reason }, noRest);
    }
    return run.result(undefined, task.endsSegment ? inspectRest(lines.rest()) : noRest);
  }

  #checkHash(lines: LineFile, facts: LineFacts, epochMax: number): string | undefined {
    if (this.#keys === undefined) return undefined;
    if (facts.epoch > epochMax) return `its epoch ${facts.epoch} is beyond what can be derived`;
    const hasher = this.#keys.at(facts.epoch);
    return hasher.hash(lines.buf, lines.start, lines.end - hashMemberBytes) === facts.hash
      ? undefined
      : 'hash is not the HMAC of the record under its epoch key';
  }
}

const noRest = { bytes: 0, holdsRecord: false };

const wholeEnd = /,"epoch":[0-9]+,"prev_hash":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}[\s\S]/;

/** An unfinished write is the beginning of a line; a line with something behind it is a record whose newline was changed. */
function inspectRest(rest: Buffer): ChunkResult['rest'] {
  const text = rest.toString('latin1');
  return { bytes: rest.length, holdsRecord: wholeEnd.test(text) };
}

/** The state of one chunk while its lines pass. */
class Run {
  readonly line: LineFacts = { seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' };
  readonly #task: ChunkTask;
  readonly #facts: LogFact[] = [];
  readonly #tally = new Tally();
  #seal: Seal | undefined;
  #end = 0;
  readonly #parts: { end: number; subtrees: readonly Subtree[] }[] = [];
  #first: ChunkResult['first'];
  #count = 0;
  seq = -1;
  #lastHash = '';
  #lastType = '';
  #nextEpoch = -1;
  #required = 0;
  #endsWithEpoch = false;
  #range: CompactRange | undefined;
  #nextCut = Number.POSITIVE_INFINITY;
  #leafMismatch: Fault | undefined;
  #tileFault: TileFault | undefined;
  /** By level: the tile looked at last, each form of it as hex. */
  readonly #tiles: { index: number; forms: string[] }[] = [];

  constructor(task: ChunkTask) {
    this.#task = task;
  }

  check(lines: LineFile): string | undefined {
    const { line } = this;
    const wrong = checkLine(lines.buf, lines.start, lines.end, line);
    if (wrong !== undefined) return wrong;
    // No epoch is empty; an invented one must not have its key derived.
    if (line.epoch > line.seq) return `its epoch is ${line.epoch}, higher than its seq`;
    if (this.#first === undefined) {
      this.seq = line.seq;
      return line.eventType === 'log.sealed' ? this.#checkSeal(lines) : undefined;
    }
    if (line.seq !== this.seq) return `its seq is ${line.seq}, expected ${this.seq}`;
    if (line.prevHash !== this.#lastHash)
      return 'its prev_hash is not the hash of the record before';
    if (line.epoch !== this.#nextEpoch)
      return `its epoch is ${line.epoch}, expected ${this.#nextEpoch}`;
    if (this.#lastType === 'log.sealed') return 'it stands behind the seal of its segment';
    return line.eventType === 'log.sealed' ? this.#checkSeal(lines) : undefined;
  }

  /** A seal counts the segment it ends. */
  #checkSeal(lines: LineFile): string | undefined {
    const { firstSeq } = this.#task;
    const { seq } = this.line;
    const { first_seq, last_seq, records, bytes } = detailsOf(lines);
    const counts =
      first_seq === firstSeq &&
      last_seq === seq &&
      records === seq + 1 - firstSeq &&
      bytes === lines.offset;
    return counts ? undefined : 'the seal does not count its own segment';
  }

  take(lines: LineFile): void {
    const { line } = this;
    if (this.#first === undefined) {
      this.#first = {
        seq: line.seq,
        epoch: line.epoch,
        prevHash: line.prevHash,
        type: line.eventType,
      };
      this.#begin(line.seq);
    } else if (this.#endsWithEpoch) {
      this.#required = line.seq;
    }
    if (line.seq === this.#nextCut) this.#begin(line.seq);
    const leaf = leafHashInPlace(lines.buf, lines.start, lines.end);
    this.#range!.append(leaf);
    this.#compareLeaf(leaf, lines.offset);
    if (factTypes.has(line.eventType)) this.#facts.push(factOf(lines, line, leaf));
    this.#end = lines.nextOffset;
    if (line.eventType === 'log.sealed') {
      this.#seal = { seq: line.seq, offset: lines.offset, details: detailsOf(lines) };
    } else this.#tally.addLine(lines.buf, lines.start, lines.end);
    this.#count++;
    this.seq = line.seq + 1;
    this.#lastHash = line.hash;
    this.#lastType = line.eventType;
    this.#endsWithEpoch = endsEpoch(line.eventType);
    this.#nextEpoch = line.epoch + (this.#endsWithEpoch ? 1 : 0);
  }

  #begin(seq: number): void {
    if (this.#range !== undefined) this.#parts.push({ end: seq, subtrees: this.#range.subtrees() });
    this.#range = new CompactRange(seq, (level, index, hash) =>
      this.#compareTile(level, index, hash),
    );
    this.#nextCut = this.#task.cuts.find((cut) => cut > seq) ?? Number.POSITIVE_INFINITY;
  }

  #compareLeaf(leaf: Hash, offset: number): void {
    const { seq } = this.line;
    if (!this.#differs(0, seq, leaf)) return;
    const reason = 'its leaf hash is not the one in the tree';
    this.#leafMismatch ??= { seq, offset, reason };
  }

  #compareTile(level: number, index: number, hash: Hash): void {
    if (!this.#differs(level, index, hash)) return;
    this.#tileFault ??= {
      level,
      index: Math.floor(index / tileWidth),
      place: index % tileWidth,
    };
  }

  /** Whether a tile on disk, in any of its forms, holds another hash at this place. */
  #differs(level: number, index: number, hash: Hash): boolean {
    const tileIndex = Math.floor(index / tileWidth);
    let tile = this.#tiles[level];
    if (tile === undefined || tile.index !== tileIndex) {
      const forms = readTileForms(this.#task.dir, level, tileIndex);
      tile = { index: tileIndex, forms: forms.map((bytes) => bytes.toString('hex')) };
      this.#tiles[level] = tile;
    }
    const at = (index % tileWidth) * 64;
    for (const form of tile.forms) {
      if (form.startsWith(hash, at)) continue;
      // An entry that is not there, or was never filled, contradicts nothing.
      if (at + 64 <= form.length && !form.startsWith(zeroHash, at)) return true;
    }
    return false;
  }

  result(fault: Fault | undefined, rest: ChunkResult['rest']): ChunkResult {
    if (this.#range !== undefined)
      this.#parts.push({ end: this.seq, subtrees: this.#range.subtrees() });
    return {
      first: this.#first,
      count: this.#count,
      lastHash: this.#lastHash,
      lastType: this.#lastType,
      nextEpoch: this.#nextEpoch,
      parts: this.#parts,
      fault,
      leafMismatch: this.#leafMismatch,
      tileFault: this.#tileFault,
      required: this.#required,
      endsWithEpoch: this.#endsWithEpoch,
      facts: this.#facts,
      tally: this.#tally.part(),
      seal: this.#seal,
      end: this.#end,
      rest,
    };
  }
}

const factTypes: ReadonlySet<string> = new Set([
  'log.opened',
  'log.recovered',
  'log.repaired',
  'log.sealed',
  'log.pruned',
  'log.clock_jump',
  'log.clock_confirmed',
  ...keyRecordTypes,
]);

/** The current line as a fact. */
export function factOf(lines: LineFile, line: LineFacts, leaf: Hash): LogFact {
  return {
    seq: line.seq,
    type: line.eventType,
    timestamp: timestampOf(lines.buf, lines.start),
    offset: lines.offset,
    bytes: lines.end - lines.start + 1,
    leaf,
    details: detailsOf(lines),
  };
}

function detailsOf(lines: LineFile): LogFact['details'] {
  const text = lines.buf.toString('utf8', lines.start, lines.end);
  return (JSON.parse(text) as { details?: LogFact['details'] }).details ?? {};
}
