import * as fs from 'node:fs';
import { firstPrevHash } from './chain.js';
import { parseVerifierKey } from './checkpoint.js';
import { appendRange } from './compact-range.js';
import { keyRecordTypes, keysMax } from './key-history.js';
import type { SegmentName } from './segment.js';
import { Tally } from './tally.js';
import { readTile, readTileForms, tileEntry, tilePath, tileWidth } from './tiles.js';
import { Frontier, type Hash } from './tree.js';
import { type ChunkResult, epochJumpMax, type Fault, type LogFact } from './verify-chunk.js';
import type { Finding } from './verify-report.js';
import { checkTally } from './verify-tally.js';

/** What reading all lines gave, before anything signed is looked at (docs/format.md §9.1). */
export interface Reading {
  /** Records up to the end or the first fault, gaps counted. */
  readonly reach: number;
  readonly fault: Finding | undefined;
  /** Whether the fault may be a hole that a power loss left, if no checkpoint covers it. */
  readonly hole: boolean;
  /** The first line whose leaf differs from the tile's, as a candidate for the cause of a fault. */
  readonly leafMismatch: Finding | undefined;
  readonly tileFault: Finding | undefined;
  /** The first seal, or file beside a segment, that does not tally. */
  readonly tallyFault: Finding | undefined;
  readonly missing: readonly (readonly [number, number])[];
  /** Roots at the sizes asked for, as far as no leaf is missing. */
  readonly roots: ReadonlyMap<number, Hash>;
  /** Roots for which missing leaves were taken from tiles. */
  readonly filledRoots: ReadonlyMap<number, Hash>;
  readonly required: number;
  readonly facts: readonly LogFact[];
  readonly epochs: number;
  readonly unfinishedBytes: number;
}

/** Joins the chunks of a log in order. */
export class Joiner {
  readonly #dir: string;
  readonly #cuts: ReadonlySet<number>;
  readonly #frontier = new Frontier();
  readonly #roots = new Map<number, Hash>();
  readonly #filledRoots = new Map<number, Hash>();
  readonly #missing: [number, number][] = [];
  readonly #facts: LogFact[] = [];
  #treeKnown = true;
  #seq = 0;
  #prevHash: string | undefined = firstPrevHash;
  #epoch: number | undefined = 0;
  #lastType = '';
  #required = 0;
  #endsWithEpoch = false;
  #fault: Finding | undefined;
  #hole = false;
  #leafMismatch: Finding | undefined;
  #tileFault: Finding | undefined;
  #tally = new Tally();
  #tallyFault: Finding | undefined;
  #unfinishedBytes = 0;
  #keyFacts = 0;

  constructor(dir: string, cuts: readonly number[]) {
    this.#dir = dir;
    this.#cuts = new Set(cuts);
    this.#rootAt(0);
  }

  get faulty(): boolean {
    return this.#fault !== undefined;
  }

  /** Takes the next chunk; `startsSegment` when its first line is the first of the file. */
  add(
    segment: SegmentName,
    startsSegment: boolean,
    isLast: boolean,
    from: number,
    chunk: ChunkResult,
  ): void {
    if (this.#fault !== undefined) return;
    if (startsSegment) this.#tally = new Tally();
    const begin = this.#checkBegin(segment, startsSegment, isLast, from, chunk);
    if (begin !== undefined) {
      this.#fault = this.#finding(segment, begin);
      this.#hole = isLast && begin.holey === true;
      return;
    }
    this.#take(segment, isLast, chunk);
    if (this.#fault === undefined) this.#checkRest(segment, isLast, chunk);
  }

  #checkBegin(
    segment: SegmentName,
    startsSegment: boolean,
    isLast: boolean,
    from: number,
    chunk: ChunkResult,
  ): Fault | undefined {
    const { first } = chunk;
    const fault = (seq: number, reason: string): Fault => ({ seq, offset: from, reason });
    if (first === undefined) {
      if (chunk.fault)
        return {
          ...chunk.fault,
          seq: startsSegment ? Math.min(this.#seq, segment.firstSeq) : this.#seq,
        };
      if (startsSegment && !isLast) return fault(this.#seq, 'the segment holds no record');
      return undefined;
    }
    if (startsSegment) {
      if (first.seq !== segment.firstSeq) {
        return fault(
          Math.min(this.#seq, segment.firstSeq),
          `the file is named for ${segment.firstSeq}, its first record has seq ${first.seq}`,
        );
      }
      if (segment.firstSeq < this.#seq)
        return fault(segment.firstSeq, 'these records stand in an earlier segment already');
      const unsealed = this.#seq > 0 && this.#lastType !== 'log.sealed';
      if (unsealed && (segment.firstSeq > this.#seq || first.type !== 'log.recovered')) {
        return fault(
          this.#seq,
          'the segment before was cut off or split: it does not end with its seal',
        );
      }
      if (segment.firstSeq > this.#seq) {
        const epochs = first.epoch - (this.#epoch ?? 0);
        if (epochs < 0 || epochs > Math.min(segment.firstSeq - this.#seq, epochJumpMax)) {
          return fault(
            segment.firstSeq,
            `its epoch ${first.epoch} cannot follow the missing range`,
          );
        }
        this.#skip(segment.firstSeq);
      }
    } else if (first.seq !== this.#seq) {
      return fault(this.#seq, `its seq is ${first.seq}, expected ${this.#seq}`);
    } else if (this.#lastType === 'log.sealed') {
      return fault(this.#seq, 'it stands behind the seal of its segment');
    }
    if (this.#prevHash !== undefined && first.prevHash !== this.#prevHash) {
      return fault(this.#seq, 'its prev_hash is not the hash of the record before');
    }
    if (this.#epoch !== undefined && first.epoch !== this.#epoch) {
      return fault(this.#seq, `its epoch is ${first.epoch}, expected ${this.#epoch}`);
    }
    if (this.#seq === 0) return this.#checkFirst(chunk, from);
    return undefined;
  }

  #checkFirst(chunk: ChunkResult, from: number): Fault | undefined {
    const opened = chunk.facts.find((fact) => fact.seq === 0);
    if (opened?.type !== 'log.opened')
      return { seq: 0, offset: from, reason: 'the first record is not log.opened' };
    if (opened.details['format'] !== 1)
      return { seq: 0, offset: from, reason: 'the format is not 1' };
    const { origin, public_key: publicKey } = opened.details;
    if (
      typeof origin !== 'string' ||
      typeof publicKey !== 'string' ||
      keyName(publicKey) !== origin
    ) {
      return {
        seq: 0,
        offset: from,
        reason: 'public_key is not a verifier key named for the origin',
      };
    }
    return undefined;
  }

  /** A whole range is not there: what follows is taken as it comes, the tree from tiles if they have it. */
  #skip(to: number): void {
    this.#missing.push([this.#seq, to]);
    this.#prevHash = undefined;
    this.#epoch = undefined;
    this.#endsWithEpoch = false;
    if (this.#treeKnown) this.#treeKnown = this.#fill(to);
    this.#seq = to;
  }

  #fill(to: number): boolean {
    let tile: { index: number; bytes: Buffer } | undefined;
    for (let seq = this.#frontier.size; seq < to; seq++) {
      const index = Math.floor(seq / tileWidth);
      if (tile?.index !== index) tile = { index, bytes: readTile(this.#dir, 0, index) };
      const leaf = tileEntry(tile.bytes, seq % tileWidth);
      if (leaf === undefined) return false;
      this.#frontier.append(leaf);
      this.#rootAt(seq + 1, true);
    }
    return true;
  }

  #take(segment: SegmentName, isLast: boolean, chunk: ChunkResult): void {
    if (chunk.first !== undefined) {
      if (this.#endsWithEpoch) this.#required = this.#seq;
      this.#required = Math.max(this.#required, chunk.required);
      for (const part of chunk.parts) this.#addTree(part);
      this.#seq += chunk.count;
      this.#prevHash = chunk.lastHash;
      this.#lastType = chunk.lastType;
      this.#epoch = chunk.nextEpoch;
      this.#endsWithEpoch = chunk.endsWithEpoch;
      for (const fact of chunk.facts) this.#keepFact(fact);
    }
    this.#tally.add(chunk.tally);
    if (chunk.seal !== undefined)
      this.#tallyFault ??= checkTally(this.#dir, segment, chunk.seal, this.#tally);
    if (chunk.leafMismatch) this.#leafMismatch ??= this.#finding(segment, chunk.leafMismatch);
    if (chunk.tileFault && this.#missing.length === 0) {
      const { level, index, place } = chunk.tileFault;
      this.#noteTile(level, index * tileWidth + place);
    }
    if (chunk.fault) {
      this.#fault = this.#finding(segment, { ...chunk.fault, seq: this.#seq });
      this.#hole = isLast && chunk.fault.holey === true;
    }
  }

  /** The first and the newest opening, each recovery that set bytes aside, and what is said of keys; the rest would grow with the log. */
  #keepFact(fact: LogFact): void {
    if (keyRecordTypes.has(fact.type)) {
      // One more than any history holds is enough to see that there are too many.
      if (++this.#keyFacts > 2 * keysMax) return;
    } else if (fact.type === 'log.opened') {
      const earlier = this.#facts.findIndex((kept) => kept.type === 'log.opened' && kept.seq > 0);
      if (earlier >= 0) this.#facts.splice(earlier, 1);
    } else if (fact.details['torn_file'] === undefined) return;
    this.#facts.push(fact);
  }

  #addTree(part: ChunkResult['parts'][number]): void {
    if (!this.#treeKnown) return;
    appendRange(this.#frontier, part.subtrees, (level, index, hash) => {
      const forms = readTileForms(this.#dir, level, Math.floor(index / tileWidth));
      const differs = forms.some((bytes) => {
        const stored = tileEntry(bytes, index % tileWidth);
        return stored !== undefined && stored !== hash;
      });
      if (differs && this.#missing.length === 0) this.#noteTile(level, index);
    });
    this.#rootAt(part.end);
  }

  #rootAt(size: number, filled = this.#missing.length > 0): void {
    if (!this.#cuts.has(size)) return;
    (filled ? this.#filledRoots : this.#roots).set(size, this.#frontier.root());
  }

  #noteTile(level: number, entry: number): void {
    const index = Math.floor(entry / tileWidth);
    this.#tileFault ??= tileFinding(this.#dir, level, index, entry % tileWidth);
  }

  #checkRest(segment: SegmentName, isLast: boolean, chunk: ChunkResult): void {
    if (chunk.rest.bytes === 0) return;
    if (isLast && !chunk.rest.holdsRecord) {
      this.#unfinishedBytes = chunk.rest.bytes;
      return;
    }
    const size = fs.statSync(segment.path).size;
    this.#fault = this.#finding(segment, {
      seq: this.#seq,
      offset: size - chunk.rest.bytes,
      reason: 'the line does not end with a newline',
    });
  }

  #finding(segment: SegmentName, fault: Fault): Finding {
    return {
      kind: 'record',
      reason: fault.reason,
      segment: segment.name,
      seq: fault.seq,
      offset: fault.offset,
    };
  }

  reading(): Reading {
    return {
      reach: this.#seq,
      fault: this.#fault,
      hole: this.#hole,
      leafMismatch: this.#leafMismatch,
      tileFault: this.#tileFault,
      tallyFault: this.#tallyFault,
      missing: this.#missing,
      roots: this.#roots,
      filledRoots: this.#filledRoots,
      required: this.#required,
      facts: this.#facts,
      epochs: this.#epoch === undefined ? 0 : this.#epoch + (this.#endsWithEpoch ? 0 : 1),
      unfinishedBytes: this.#unfinishedBytes,
    };
  }
}

function keyName(text: string): string | undefined {
  try {
    return parseVerifierKey(text).name;
  } catch {
    // Whatever is wrong with it, it is not the key of this log.
    return undefined;
  }
}

/** A finding that names a tile's file and the byte of the wrong hash. */
export function tileFinding(dir: string, level: number, index: number, place: number): Finding {
  const full = tilePath(level, index);
  return {
    kind: 'tile',
    reason: 'the tile holds another hash than the records give',
    file: fs.existsSync(`${dir}/${full}`) ? full : `${full}.p`,
    offset: place * 32,
  };
}
