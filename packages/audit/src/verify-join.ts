import * as fs from 'node:fs';
import { firstPrevHash } from './chain.js';
import { parseVerifierKey } from './checkpoint.js';
import { appendRange } from './compact-range.js';
import { isThere } from './durable.js';
import { EpochKeys } from './epoch-keys.js';
import { keyRecordTypes, keysMax } from './key-history.js';
import type { NewestPruned } from './newest-own.js';
import type { PrunedRange } from './pruned-ranges.js';
import type { NewestRepaired, RepairedRange } from './repaired.js';
import { type Denied, type PrunedRun, RetentionJudge } from './retention-judge.js';
import { type SegmentName, sequenceName } from './segment.js';
import { Tally } from './tally.js';
import { readTileForms, tileEntry, tileLeaves, tilePath, tileWidth } from './tiles.js';
import { Frontier, type Hash } from './tree.js';
import { type ChunkResult, epochJumpMax, type Fault, type LogFact } from './verify-chunk.js';
import { type GapRun, growOver, readGap } from './verify-gap.js';
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
  /** Ranges that are not there and that the newest `log.pruned` names, with what was recorded of their deletion. */
  readonly pruned: PrunedReading;
  readonly repaired: RepairedReading;
  /** Roots at the sizes asked for, as far as no leaf is missing. */
  readonly roots: ReadonlyMap<number, Hash>;
  /** Roots for which missing leaves were taken from tiles. */
  readonly filledRoots: ReadonlyMap<number, Hash>;
  readonly required: number;
  readonly facts: readonly LogFact[];
  readonly epochs: number;
  readonly unfinishedBytes: number;
}

/** What is gone by the log's own word; whether that was allowed. */
export interface PrunedReading {
  readonly gaps: readonly (readonly [number, number])[];
  readonly denied: readonly Denied[];
  readonly runs: readonly PrunedRun[];
  /** Of the record that names them; undefined when reading did not come to the one that was looked for. */
  readonly seq: number | undefined;
}

/** Damage that the log records itself. */
export interface RepairedReading {
  /** Ranges that no segment holds, each with the root before it, where that is known. */
  readonly gaps: readonly { readonly range: readonly [number, number]; readonly before?: Hash }[];
  /** Of the record that names them. */
  readonly seq: number | undefined;
}

export interface JoinerOptions {
  readonly dir: string;
  readonly cuts: readonly number[];
  readonly newestPruned: NewestPruned | undefined;
  readonly newestRepaired: NewestRepaired | undefined;
  readonly minRetentionDays: number | undefined;
  readonly hmac: { readonly origin: string; readonly key: Uint8Array } | undefined;
}

/** Joins the chunks of a log in order. */
export class Joiner {
  readonly #dir: string;
  readonly #cuts: ReadonlySet<number>;
  #frontier = new Frontier();
  readonly #roots = new Map<number, Hash>();
  readonly #filledRoots = new Map<number, Hash>();
  readonly #missing: [number, number][] = [];
  readonly #newestPruned: NewestPruned | undefined;
  readonly #gaps: [number, number][] = [];
  readonly #newestRepaired: NewestRepaired | undefined;
  readonly #repairs: { range: [number, number]; before?: Hash }[] = [];
  readonly #judge: RetentionJudge;
  readonly #epochKeys: EpochKeys | undefined;
  /** Of all lines in the files before this one, and of those read of this one. */
  #bytesBefore = 0;
  #bytesHere = 0;
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

  constructor(options: JoinerOptions) {
    const { dir, hmac } = options;
    this.#dir = dir;
    this.#cuts = new Set(options.cuts);
    this.#newestPruned = options.newestPruned;
    this.#newestRepaired = options.newestRepaired;
    this.#judge = new RetentionJudge(dir, options.minRetentionDays);
    this.#epochKeys = hmac === undefined ? undefined : new EpochKeys(hmac.key, hmac.origin);
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
    if (startsSegment) {
      this.#tally = new Tally();
      this.#bytesBefore += this.#bytesHere;
      this.#bytesHere = 0;
    }
    const begin = this.#checkBegin(segment, startsSegment, isLast, from, chunk);
    if (this.#fault !== undefined) return;
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
      if (unsealed && !this.#mayFollow(segment.firstSeq, first.type)) {
        return fault(
          this.#seq,
          'the segment before was cut off or split: it does not end with its seal',
        );
      }
      if (segment.firstSeq > this.#seq) {
        const [seq, epoch] = [this.#seq, this.#epoch ?? 0];
        this.#skipGap(segment.firstSeq);
        if (this.#fault !== undefined) return undefined;
        const epochs = first.epoch - epoch;
        const epochsMax = Math.min(segment.firstSeq - seq, epochJumpMax);
        if (this.#epoch === undefined && (epochs < 0 || epochs > epochsMax)) {
          return fault(
            segment.firstSeq,
            `its epoch ${first.epoch} cannot follow the missing range`,
          );
        }
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
    return checkOpened(
      chunk.facts.find((fact) => fact.seq === 0),
      from,
    );
  }

  /** Behind a segment without its seal: a failed write and a repair are told of, and a repair names what is lost. */
  #mayFollow(firstSeq: number, type: string): boolean {
    if (firstSeq > this.#seq) return this.#repairAt(this.#seq, firstSeq) !== undefined;
    return type === 'log.recovered' || type === 'log.repaired';
  }

  #repairAt(from: number, to: number): RepairedRange | undefined {
    const ranges = this.#newestRepaired?.ranges ?? [];
    return ranges.find((range) => range.firstSeq === from && range.lastSeq < to);
  }

  /** Goes over records that no segment holds: those that a repair names, and others. */
  #skipGap(to: number): void {
    while (this.#fault === undefined && this.#seq < to) {
      const repair = this.#repairAt(this.#seq, to);
      if (repair !== undefined) this.#skipRepaired(repair);
      else {
        const next = this.#newestRepaired?.ranges.find(
          ({ firstSeq, lastSeq }) => firstSeq > this.#seq && lastSeq < to,
        );
        this.#skipOthers(next?.firstSeq ?? to);
      }
    }
  }

  /** The repair says what tree there was behind what is lost; the signed roots that follow say whether that is so. */
  #skipRepaired({ firstSeq, lastSeq, frontier }: RepairedRange): void {
    const known = this.#treeKnown && this.#missing.length === 0;
    const before = known ? { before: this.#frontier.root() } : {};
    this.#repairs.push({ range: [firstSeq, lastSeq + 1], ...before });
    this.#seq = lastSeq + 1;
    this.#frontier = Frontier.from(this.#seq, frontier);
    this.#treeKnown = true;
    this.#prevHash = undefined;
    this.#epoch = undefined;
    this.#endsWithEpoch = false;
    this.#rootAt(this.#seq);
  }

  /** Those the log says it deleted, and those that are missing. */
  #skipOthers(to: number): void {
    const ranges = this.#newestPruned?.pruned.ranges ?? [];
    const start = { seq: this.#seq, prevHash: this.#prevHash, epoch: this.#epoch };
    const gap = readGap(this.#dir, ranges, start, to, this.#epochKeys);
    for (const run of gap.runs) {
      if (run.range === undefined) this.#skip(run.to);
      else this.#takePruned(run, run.range);
      if (this.#fault !== undefined) return;
    }
    if (gap.fault !== undefined) this.#fault = { kind: 'record', ...gap.fault };
  }

  #takePruned(run: GapRun, range: PrunedRange): void {
    for (const segment of run.segments) {
      for (const fact of segment.facts) {
        const wrong = fact.seq === 0 ? checkOpened(fact, 0) : undefined;
        if (wrong)
          this.#fault = { kind: 'record', ...wrong, file: `kept/${sequenceName(0)}.jsonl` };
        this.#judge.feed(fact, this.#bytesWithin(segment.bytes));
        this.#keepFact(fact);
      }
      this.#bytesBefore += segment.bytes;
      if (segment.tallyFault === undefined) continue;
      const file = `segments/${sequenceName(segment.firstSeq)}.tally`;
      this.#tallyFault ??= { kind: 'tally', reason: segment.tallyFault, file };
    }
    this.#growOver(run);
    this.#gaps.push([run.from, run.to]);
    const last = run.segments.at(-1)!;
    this.#seq = run.to;
    [this.#prevHash, this.#epoch] = [last.hash, last.epoch];
    [this.#lastType, this.#endsWithEpoch] = ['log.sealed', true];
    const agrees = range.hash === last.hash && range.epoch === last.epoch;
    if (run.to === range.lastSeq + 1 && !agrees) {
      const reason = 'log.pruned names another hash or epoch for the end of what was deleted';
      this.#fault ??= { kind: 'record', reason, seq: range.lastSeq };
    }
  }

  #bytesUpTo(offset: number): readonly [number, number] | undefined {
    const bytes = this.#bytesBefore + offset;
    return this.#bytesKnown() ? [bytes, bytes] : undefined;
  }

  /** Where a kept line stood in its segment is not known any more. */
  #bytesWithin(bytes: number): readonly [number, number] | undefined {
    return this.#bytesKnown() ? [this.#bytesBefore, this.#bytesBefore + bytes] : undefined;
  }

  #bytesKnown(): boolean {
    return this.#missing.length === 0 && this.#repairs.length === 0;
  }

  #growOver(run: GapRun): void {
    if (!this.#treeKnown) return;
    const { frontier, roots, tileFault, lineFault } = growOver(
      this.#dir,
      this.#frontier,
      run,
      this.#cuts,
    );
    if (tileFault !== undefined) {
      const index = Math.floor(tileFault / tileWidth);
      const reason = 'it does not hold the hashes of deleted records, of which it is the only copy';
      this.#tileFault ??= {
        kind: 'tile',
        reason,
        file: tilePath(0, index),
        offset: (tileFault % tileWidth) * 32,
      };
    }
    if (lineFault !== undefined) this.#fault ??= { kind: 'record', ...lineFault };
    this.#treeKnown = frontier !== undefined;
    if (frontier !== undefined) this.#frontier = frontier;
    for (const [size, root] of roots) this.#noteRoot(size, root);
    if (frontier !== undefined) this.#rootAt(run.to);
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
    for (const leaf of tileLeaves(this.#dir, this.#frontier.size, to)) {
      this.#frontier.append(leaf);
      this.#rootAt(this.#frontier.size, true);
    }
    return this.#frontier.size === to;
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
      for (const fact of chunk.facts) {
        this.#judge.feed(fact, this.#bytesUpTo(fact.offset));
        this.#keepFact(fact);
      }
      this.#bytesHere = chunk.end;
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

  /**
   * The first and the newest opening, each recovery or repair that set bytes aside, and what is said of keys; the rest would
   * grow with the log.
   */
  #keepFact(fact: LogFact): void {
    if (keyRecordTypes.has(fact.type)) {
      // One more than any history holds is enough to see that there are too many.
      if (++this.#keyFacts > 2 * keysMax) return;
    } else if (fact.type === 'log.opened') {
      const earlier = this.#facts.findIndex((kept) => kept.type === 'log.opened' && kept.seq > 0);
      if (earlier >= 0) this.#facts.splice(earlier, 1);
    } else if (fact.type !== 'log.repaired') {
      if (fact.type !== 'log.recovered' || fact.details['torn_file'] === undefined) return;
    }
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
    if (this.#cuts.has(size)) this.#noteRoot(size, this.#frontier.root(), filled);
  }

  #noteRoot(size: number, root: Hash, filled = this.#missing.length > 0): void {
    (filled ? this.#filledRoots : this.#roots).set(size, root);
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
      repaired: { gaps: this.#repairs, seq: this.#newestRepaired?.seq },
      pruned: {
        gaps: this.#gaps,
        denied: this.#judge.denied,
        runs: this.#judge.runs,
        seq:
          this.#judge.newest?.leaf === this.#newestPruned?.leaf
            ? this.#newestPruned?.seq
            : undefined,
      },
      roots: this.#roots,
      filledRoots: this.#filledRoots,
      required: this.#required,
      facts: this.#facts,
      epochs: this.#epoch === undefined ? 0 : this.#epoch + (this.#endsWithEpoch ? 0 : 1),
      unfinishedBytes: this.#unfinishedBytes,
    };
  }
}

/** What the record at seq 0 must say. */
function checkOpened(opened: LogFact | undefined, offset: number): Fault | undefined {
  const fault = (reason: string): Fault => ({ seq: 0, offset, reason });
  if (opened?.type !== 'log.opened') return fault('the first record is not log.opened');
  const { format, origin, public_key: publicKey } = opened.details;
  if (format !== 1) return fault('the format is not 1');
  const named =
    typeof origin === 'string' && typeof publicKey === 'string' && keyName(publicKey) === origin;
  return named ? undefined : fault('public_key is not a verifier key named for the origin');
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
    file: isThere(`${dir}/${full}`) ? full : `${full}.p`,
    offset: place * 32,
  };
}
