import type { TileWriter } from './tiles.js';
import type { Frontier, Hash } from './tree.js';

/** So many full tiles are kept for later, half a megabyte of them. */
const unwrittenMost = 64;

/**
 * The tree of a log that is written: the frontier, and the tiles on disk. Tiles are derived: when they cannot be written
 * the log goes on without them, and writes them later; when there are too many, the next opening rebuilds them.
 */
export class GrowingTree {
  readonly #frontier: Frontier;
  readonly #tiles: TileWriter;
  #lastLeaf: Hash;
  #isBehind = false;
  #isGivenUp = false;

  constructor(frontier: Frontier, tiles: TileWriter, lastLeaf: Hash) {
    this.#frontier = frontier;
    this.#tiles = tiles;
    this.#lastLeaf = lastLeaf;
  }

  get size(): number {
    return this.#frontier.size;
  }

  get lastLeaf(): Hash {
    return this.#lastLeaf;
  }

  root(): Hash {
    return this.#frontier.root();
  }

  edge(): readonly Hash[] {
    return this.#frontier.toArray();
  }

  append(leaves: readonly Hash[]): void {
    for (const leaf of leaves) {
      this.#frontier.append(leaf, (level, hash) =>
        this.#try(() => this.#tiles.append(level, hash)),
      );
      this.#try(() => this.#tiles.append(0, leaf));
    }
    this.#lastLeaf = leaves.at(-1) ?? this.#lastLeaf;
  }

  writePartialTiles(): void {
    this.#isBehind = false;
    this.#try(() => this.#tiles.writePartials());
  }

  /** Whether tiles could not be written that another try may write. */
  get isBehind(): boolean {
    return this.#isBehind && !this.#isGivenUp;
  }

  #try(step: () => void): void {
    if (this.#isGivenUp) return;
    try {
      step();
    } catch {
      // Records and roots do not depend on them.
      this.#isBehind = true;
      if (this.#tiles.unwritten > unwrittenMost) this.#isGivenUp = true;
    }
  }
}
