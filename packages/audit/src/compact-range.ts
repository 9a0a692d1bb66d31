import { type Frontier, type Hash, nodeHash } from './tree.js';

/** A perfect subtree: 2^height leaves, the `index`-th such from the left. */
export interface Subtree {
  readonly height: number;
  readonly index: number;
  readonly hash: Hash;
}

/** Called when a subtree of 256^level leaves is complete: its level and index there. */
export type OnTileHash = (level: number, index: number, hash: Hash) => void;

/**
 * The perfect subtrees that cover a run of leaves that begins anywhere in a tree. Runs hashed apart are joined by
 * appending their subtrees to a frontier in order.
 */
export class CompactRange {
  readonly #stack: Subtree[] = [];
  readonly #onTileHash: OnTileHash;
  #next: number;

  constructor(start: number, onTileHash: OnTileHash) {
    this.#next = start;
    this.#onTileHash = onTileHash;
  }

  append(leaf: Hash): void {
    let height = 0;
    let index = this.#next;
    let hash = leaf;
    // A right child whose left sibling is here joins it; one at the run's left edge stays alone.
    while (index % 2 === 1) {
      const left = this.#stack.at(-1);
      if (left === undefined || left.height !== height || left.index !== index - 1) break;
      this.#stack.pop();
      hash = nodeHash(left.hash, hash);
      height++;
      index = (index - 1) / 2;
      if (height % 8 === 0) this.#onTileHash(height / 8, index, hash);
    }
    this.#stack.push({ height, index, hash });
    this.#next++;
  }

  subtrees(): readonly Subtree[] {
    return this.#stack;
  }
}

/** Appends a run's subtrees to the frontier of all before it. */
export function appendRange(
  frontier: Frontier,
  subtrees: readonly Subtree[],
  onTileHash: OnTileHash,
): void {
  for (const { height, hash } of subtrees) {
    frontier.appendSubtree(hash, height, (level, joined) => {
      const end = frontier.size + 2 ** height;
      onTileHash(level, end / 256 ** level - 1, joined);
    });
  }
}
