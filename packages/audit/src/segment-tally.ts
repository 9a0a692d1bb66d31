import { AuditError } from './errors.js';
import { LineFile } from './line-file.js';
import { Tally } from './tally.js';
import { readSnapshot, type Snapshot, writeSnapshot } from './tally-snapshot.js';
import { Frontier, type Hash, leafHashInPlace } from './tree.js';

/** What is known of the records that stood in the open segment when the log was opened. */
export interface Earlier {
  readonly path: string;
  readonly firstSeq: number;
  /** The tree before the segment's first record, largest subtree first. */
  readonly before: readonly Hash[];
  /** The tree behind the last of those records. */
  readonly size: number;
  readonly root: Hash;
  /** Bounds of what they add to the tally. */
  readonly tallyLines: number;
  readonly tallyBytes: number;
}

/** Closing a log does not wait for more than this to be counted again; the next seal does. */
const recountBytesMax = 16 * 1024 * 1024;

/**
 * The tally of the open segment. What was written before this opening is counted only when it is needed, so that opening
 * takes no longer for it: from the snapshot of the last close, else from the lines, which must lead to the known root.
 */
export class SegmentTally {
  readonly #keysFolder: string;
  readonly #origin: string;
  readonly #tally = new Tally();
  #earlier: Earlier | undefined;

  constructor(keys: { readonly folder: string; readonly origin: string }, earlier?: Earlier) {
    this.#keysFolder = keys.folder;
    this.#origin = keys.origin;
    this.#earlier = earlier;
  }

  /** Counts lines that are on disk. */
  addLines(bytes: Buffer): void {
    this.#tally.addLines(bytes);
  }

  /** Not fewer than there are. */
  get lineCount(): number {
    return this.#tally.lineCount + (this.#earlier?.tallyLines ?? 0);
  }

  get byteLength(): number {
    return this.#tally.byteLength + (this.#earlier?.tallyBytes ?? 0);
  }

  /** The whole tally. Throws `log_damaged` when the lines on disk are not those that were written. */
  settle(): Tally {
    if (this.#earlier !== undefined) {
      this.#tally.add(this.#recount(this.#earlier).part());
      this.#earlier = undefined;
    }
    return this.#tally;
  }

  /** Keeps the counts for the next opening, unless it would take long to have them. */
  keep(at: Omit<Snapshot, 'tally' | 'origin'>): void {
    if (this.#earlier !== undefined && at.offset > recountBytesMax && !this.#hasSnapshot()) return;
    const tally = this.settle();
    try {
      writeSnapshot(this.#keysFolder, { ...at, origin: this.#origin, tally });
    } catch {
      // Without it the lines are counted again.
    }
  }

  #hasSnapshot(): boolean {
    return this.#earlier !== undefined && this.#snapshot(this.#earlier) !== undefined;
  }

  #snapshot(earlier: Earlier): Snapshot | undefined {
    const snapshot = readSnapshot(this.#keysFolder);
    const fits =
      snapshot?.origin === this.#origin &&
      snapshot.segment === earlier.firstSeq &&
      snapshot.size <= earlier.size;
    return fits ? snapshot : undefined;
  }

  #recount(earlier: Earlier): Tally {
    const { firstSeq: size, before: frontier } = earlier;
    const start = { size, frontier, offset: 0, tally: new Tally() };
    for (const base of [this.#snapshot(earlier), start]) {
      if (base !== undefined && countFrom(base, earlier)) return base.tally;
    }
    throw new AuditError(
      'log_damaged',
      `${earlier.path} does not hold the records that were written to it; run gatebook audit verify`,
    );
  }
}

/** Counts the lines behind `base`; false when they do not lead to the root. */
function countFrom(base: Omit<Snapshot, 'origin' | 'segment'>, earlier: Earlier): boolean {
  const tree = Frontier.from(base.size, base.frontier);
  if (tree.size < earlier.size) {
    const lines = new LineFile(earlier.path, base.offset);
    try {
      while (tree.size < earlier.size && lines.next()) {
        tree.append(leafHashInPlace(lines.buf, lines.start, lines.end));
        base.tally.addLine(lines.buf, lines.start, lines.end);
      }
    } finally {
      lines.close();
    }
  }
  return tree.size === earlier.size && tree.root() === earlier.root;
}
