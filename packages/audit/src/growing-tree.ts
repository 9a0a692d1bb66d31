import type { TileWriter } from './tiles.js';
import type { Frontier, Hash } from './tree.js';

/**
 * The tree of a log that is written: the frontier, and the tiles on disk. Tiles are derived: when they cannot be written
 * the log goes on without them, and the next opening rebuilds them.
 */
export class GrowingTree {
  readonly #frontier: Frontier;
  readonly #tiles: TileWriter;
  #lastLeaf: Hash;
  #tilesUsable = true;

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
    this.#try(() => this.#tiles.writePartials());
  }

  #try(step: () => void): void {
    if (!this.#tilesUsable) return;
    try {
      step();
    } catch {
      // Their absence is found and mended at the next opening; records and roots do not depend on them.
      this.#tilesUsable = false;
    }
  }
}
