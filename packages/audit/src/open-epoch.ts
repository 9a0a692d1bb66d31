import { RecordHasher } from './chain.js';
import { eraseEpochKey, type Keys, storeNextEpochKey } from './keys.js';

/** The epoch that records are written in, and its key. */
export class OpenEpoch {
  readonly #keys: Keys;
  #number: number;
  #key: Buffer;
  #hasher: RecordHasher;
  /** When its first record was written, by the monotonic clock. */
  #startMs: number | undefined;

  constructor(keys: Keys, number: number, key: Buffer) {
    this.#keys = keys;
    this.#number = number;
    this.#key = key;
    this.#hasher = new RecordHasher(key);
  }

  get number(): number {
    return this.#number;
  }

  /** Hashes records under its key. */
  get hasher(): RecordHasher {
    return this.#hasher;
  }

  get startMs(): number | undefined {
    return this.#startMs;
  }

  noteRecord(nowMs: number): void {
    this.#startMs ??= nowMs;
  }

  /**
   * Moves on: the next key is durable before `between` runs, and only then is this one erased. May be repeated from any
   * step that failed.
   */
  advance(between: () => void): void {
    const next = storeNextEpochKey(this.#keys, this.#number, this.#key);
    between();
    eraseEpochKey(this.#keys, this.#number);
    this.#number++;
    this.#key = next;
    this.#hasher = new RecordHasher(next);
    this.#startMs = undefined;
  }
}
