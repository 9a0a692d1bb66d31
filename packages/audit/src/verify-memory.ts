import * as fs from 'node:fs';
import type { Held } from './evidence.js';
import type { ChunkResult, ChunkTask } from './verify-chunk.js';
import type { VerifyReport } from './verify-report.js';

/** Chunks beyond this many are read anew at every look: 64 GiB of log. */
const chunksMax = 4_096;
/** So are those of which more than this many counts would have to be kept. */
const tallyCountsMax = 20_000;

interface Remembered {
  /** The file, and what was asked of it. */
  readonly mark: string;
  readonly result: ChunkResult;
}

/**
 * What a verifier that watches a log keeps between two looks: what it read from files that have not changed since, by their
 * inode, size and times, and the largest signed state it has seen, which counts as held evidence from then on. Who can set
 * a file's change time back, which takes the machine's clock or its disk, is only noticed by a look after `forget`.
 */
export class VerifyMemory {
  readonly #chunks = new Map<string, Remembered>();
  #seen: Held | undefined;

  /** Makes the next look read everything. What was seen stays evidence. */
  forget(): void {
    this.#chunks.clear();
  }

  /** @internal */
  get held(): readonly Held[] {
    return this.#seen === undefined ? [] : [this.#seen];
  }

  /** @internal Takes a verdict in; only what was found in order is evidence. */
  saw(report: VerifyReport): void {
    const { verdict, origin, size, root } = report;
    if (verdict !== 'ok' || origin === undefined || root === undefined || size === 0) return;
    const checkpoint = { origin, size, root };
    this.#seen = { name: 'the look before', note: undefined, checkpoint };
  }

  /** @internal To be asked before the file is read: what changes meanwhile is then read again. */
  markOf(task: ChunkTask): string | undefined {
    const stat = fs.statSync(task.path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const { ino, size, mtimeNs, ctimeNs } = stat;
    return [ino, size, mtimeNs, ctimeNs, task.epochMax, task.hmac === undefined].join(' ');
  }

  /** @internal */
  recall(task: ChunkTask, mark: string | undefined): ChunkResult | undefined {
    const found = this.#chunks.get(nameOf(task));
    if (found === undefined || found.mark !== mark) return undefined;
    const { result } = found;
    const known = new Set(result.parts.map(({ end }) => end));
    return cutsWithin(task, result).every((cut) => known.has(cut)) ? result : undefined;
  }

  /** @internal */
  remember(task: ChunkTask, mark: string | undefined, result: ChunkResult): void {
    const name = nameOf(task);
    this.#chunks.delete(name);
    const good =
      result.first !== undefined &&
      result.fault === undefined &&
      result.leafMismatch === undefined &&
      result.tileFault === undefined;
    if (!good || mark === undefined || this.#chunks.size >= chunksMax) return;
    if (result.tally.counts.length > tallyCountsMax) return;
    this.#chunks.set(name, { mark, result });
  }
}

function nameOf({ path, from, to }: ChunkTask): string {
  return `${path} ${from} ${to}`;
}

/** The sizes within the chunk at which its tree must be known. */
function cutsWithin(task: ChunkTask, { first, count }: ChunkResult): number[] {
  const begin = first?.seq ?? 0;
  return task.cuts.filter((cut) => cut > begin && cut < begin + count);
}
