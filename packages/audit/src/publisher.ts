import * as path from 'node:path';
import { signCheckpoint } from './checkpoint.js';
import { replaceFile, replaceFileDurably, syncFolder } from './durable.js';
import { AuditError } from './errors.js';
import type { Head } from './head.js';
import { type Keys, writeHead } from './keys.js';
import { sequenceName } from './segment.js';

/** What a checkpoint is made of: the tree as it is on disk, and where its last record ends. */
export type Tip = Omit<Head, 'origin' | 'checkpoint'>;

/** How durable a checkpoint must be before the writer goes on, and whether it is kept as a segment's. */
export type Lasting = 'published' | 'durable' | 'kept';

/** Signs checkpoints and publishes them, each one's head durable first. */
export class Publisher {
  readonly #dir: string;
  readonly #keys: Keys;
  #head: Head;
  /** Whether the folder's `checkpoint` is the head's. */
  #published: boolean;

  constructor(dir: string, keys: Keys, head: Head, published: boolean) {
    this.#dir = dir;
    this.#keys = keys;
    this.#head = head;
    this.#published = published;
  }

  get head(): Head {
    return this.#head;
  }

  /** Publishes a checkpoint of this tip; again, if it was interrupted before. `writeTiles` runs between head and checkpoint. */
  publish(tip: Tip, lasting: Lasting, writeTiles: () => void): void {
    if (
      tip.size < this.#head.size ||
      (tip.size === this.#head.size && tip.root !== this.#head.root)
    ) {
      throw new AuditError(
        'log_failed',
        `a checkpoint of ${tip.size} records would contradict the one of ${this.#head.size}; close the log and run gatebook audit verify`,
      );
    }
    if (tip.size > this.#head.size) {
      const { origin, signing } = this.#keys;
      const checkpoint = signCheckpoint(
        { origin, size: tip.size, root: tip.root },
        signing.signers,
      );
      const head = { ...tip, origin, checkpoint };
      writeHead(this.#keys, head);
      this.#head = head;
      this.#published = false;
    }
    if (!this.#published) {
      writeTiles();
      replaceFile(path.join(this.#dir, 'checkpoint'), this.#head.checkpoint);
      this.#published = true;
    }
    if (lasting !== 'published') syncFolder(this.#dir);
    if (lasting === 'kept') {
      const file = path.join(this.#dir, 'checkpoints', sequenceName(this.#head.size));
      replaceFileDurably(file, this.#head.checkpoint);
    }
  }
}
