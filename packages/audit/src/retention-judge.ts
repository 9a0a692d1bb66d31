import { aheadOf } from './book-state.js';
import { joinSpans, type PrunedRange, parsePruned } from './pruned-ranges.js';
import { tallyOf } from './pruner.js';
import { type PruneReason, permits, type Terms, termsOf } from './retention.js';
import { ownTime } from './timestamp.js';
import type { Hash } from './tree.js';
import type { LogFact } from './verify-chunk.js';

/** Records that were deleted by the log itself, as one of its records says. */
export interface PrunedRun {
  /** First seq, and the seq behind the last. */
  readonly range: readonly [number, number];
  readonly reason: PruneReason;
  /** Of the record. */
  readonly time: string;
}

/** A deletion that the book did not allow when it was recorded. */
export interface Denied {
  readonly range: readonly [number, number];
  readonly why: string;
}

type Bounds = readonly [number, number];

interface Sealed {
  readonly lastSeq: number;
  readonly sealedMs: number;
  readonly bytes: number;
  readonly tallyRoot: unknown;
}

const dayMs = 86_400_000;

/** Judges each deletion by the policy that was in force in the book; fed with the log's own records in their order. */
export class RetentionJudge {
  readonly #dir: string;
  readonly #minDays: number | undefined;
  readonly #seals = new Map<number, Sealed>();
  #terms: Terms | undefined;
  #aheadMs = 0;
  #ranges: readonly PrunedRange[] = [];
  #newest: { readonly seq: number; readonly leaf: Hash } | undefined;
  readonly runs: PrunedRun[] = [];
  readonly denied: Denied[] = [];

  /** `minDays`: what the verifier asks for, whatever the book allows. */
  constructor(dir: string, minDays: number | undefined) {
    this.#dir = dir;
    this.#minDays = minDays;
  }

  /** The newest `log.pruned` so far. */
  get newest(): { readonly seq: number; readonly leaf: Hash } | undefined {
    return this.#newest;
  }

  /**
   * Takes the next record; `before` says between which bounds the bytes of all lines before it are: exactly, or of a kept line as
   * far as its segment reaches; undefined where lines are missing.
   */
  feed(fact: LogFact, before: Bounds | undefined): void {
    const { type, details } = fact;
    if (type === 'log.opened') this.#terms = termsOf(details['retention']);
    else if (type === 'log.clock_jump') this.#aheadMs += aheadOf(details['jump_ms']);
    else if (type === 'log.clock_confirmed') this.#aheadMs = 0;
    else if (type === 'log.sealed') {
      this.#seals.set(Number(details['first_seq']), {
        lastSeq: fact.seq,
        sealedMs: ownTime(fact.timestamp),
        bytes: Number(details['bytes']) + fact.bytes,
        tallyRoot: details['tally_root'],
      });
    } else if (type === 'log.pruned') this.#judge(fact, before);
  }

  #judge(fact: LogFact, bounds: Bounds | undefined): void {
    const pruned = parsePruned(fact.details);
    if (pruned === undefined) return;
    this.#newest = { seq: fact.seq, leaf: fact.leaf };
    const before = this.#ranges;
    this.#ranges = pruned.ranges;
    const wanted = joinSpans([...before, ...pruned.removed]);
    const counts =
      (bounds === undefined || (bounds[0] <= pruned.bytes && pruned.bytes <= bounds[1])) &&
      sameSpans(wanted, pruned.ranges);
    let bytes = pruned.bytes - before.reduce((sum, range) => sum + range.bytes, 0);
    let records =
      fact.seq - before.reduce((sum, range) => sum + range.lastSeq + 1 - range.firstSeq, 0);
    for (const { firstSeq, lastSeq, reason } of pruned.removed) {
      const range = [firstSeq, lastSeq + 1] as const;
      const seal = this.#seals.get(firstSeq);
      const nowMs = ownTime(fact.timestamp);
      const moment = { nowMs, aheadMs: this.#aheadMs, bytes, records };
      const why = counts
        ? this.#objection(firstSeq, lastSeq, reason, seal, moment)
        : 'the record of the deletion does not count what it deletes';
      if (why === undefined) this.#addRun({ range, reason, time: fact.timestamp });
      else this.denied.push({ range, why });
      bytes -= seal?.bytes ?? 0;
      records -= lastSeq + 1 - firstSeq;
    }
  }

  #objection(
    firstSeq: number,
    lastSeq: number,
    reason: PruneReason,
    seal: Sealed | undefined,
    moment: Parameters<typeof permits>[3],
  ): string | undefined {
    if (seal?.lastSeq !== lastSeq) return 'they were no sealed segment';
    const { sealedMs, bytes, tallyRoot } = seal;
    if (this.#terms === undefined) return 'the policy in the book keeps everything';
    const asks = this.#terms.hold.length > 0 || Object.keys(this.#terms.typeDays).length > 0;
    const has = asks ? tallyOf(this.#dir, firstSeq, tallyRoot) : undefined;
    const sealed = { firstSeq, lastSeq, sealedMs, bytes, has };
    if (!permits(this.#terms, reason, sealed, moment))
      return 'the policy in the book did not allow it';
    if (this.#minDays === undefined) return undefined;
    return moment.nowMs - sealedMs >= this.#minDays * dayMs
      ? undefined
      : `they were kept for less than the ${this.#minDays} days asked for`;
  }

  /** Neighbours that went for the same reason are one run, of the later time. */
  #addRun(run: PrunedRun): void {
    const last = this.runs.at(-1);
    if (last?.reason !== run.reason || last.range[1] !== run.range[0]) this.runs.push(run);
    else this.runs[this.runs.length - 1] = { ...run, range: [last.range[0], run.range[1]] };
  }
}

function sameSpans(
  a: readonly { firstSeq: number; lastSeq: number }[],
  b: readonly { firstSeq: number; lastSeq: number }[],
): boolean {
  return (
    a.length === b.length &&
    a.every(({ firstSeq, lastSeq }, i) => firstSeq === b[i]!.firstSeq && lastSeq === b[i]!.lastSeq)
  );
}
