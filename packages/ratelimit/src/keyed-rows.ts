import { KeyTable } from './key-table.js';
import { KeyWords } from './key-words.js';

/** Rows looked at for each new key, so that what is forgotten keeps up with what comes. */
const sweptPerInsert = 4;
/** Rows looked at when there is no room, before a new key is refused. */
const sweptWhenFull = 256;

const whole = [0];

/**
 * Keys and the number of the row that each has in some columns. A row whose key says nothing any more is given to another: a few
 * rows are looked at for every new key, so there is no timer, no scan of all, and no key that is still limiting is lost.
 */
export class KeyedRows {
  readonly #words = new KeyWords();
  readonly #table = new KeyTable(whole);
  /** Keys that are too long for the table. */
  readonly #long = new Map<string, number>();
  readonly #longOf = new Map<number, string>();
  readonly #isIdle: (row: number) => boolean;
  /** The row that is looked at next. */
  #sweep = 0;

  /** How many keys it has at most. */
  most: number;

  /** At most `most` keys; `isIdle` tells a row that is as good as none. */
  constructor(most: number, isIdle: (row: number) => boolean) {
    this.most = most;
    this.#isIdle = isIdle;
  }

  get size(): number {
    return this.#table.size;
  }

  /** The row of a key, -1 without one. */
  find(key: string): number {
    return this.#words.read(0, key) ? this.#table.find(this.#words) : (this.#long.get(key) ?? -1);
  }

  /** Whether `add` would find room; makes some if it can. */
  hasRoom(): boolean {
    if (this.size < this.most) return true;
    this.#forget(sweptWhenFull);
    return this.size < this.most;
  }

  /** A row for a key that has none. */
  add(key: string): number {
    this.#forget(sweptPerInsert);
    if (this.#words.read(0, key)) return this.#table.add(this.#words);
    const row = this.#table.addUnlisted();
    this.#long.set(key, row);
    this.#longOf.set(row, key);
    return row;
  }

  remove(key: string): void {
    const row = this.find(key);
    if (row !== -1) this.#removeRow(row);
  }

  *entries(): IterableIterator<readonly [key: string, row: number]> {
    for (let row = 0; row < this.#table.made; row++) {
      if (this.#table.isUsed(row)) yield [this.#keyOf(row), row];
    }
  }

  #keyOf(row: number): string {
    return this.#longOf.get(row) ?? this.#table.membersOf(row)[0]!;
  }

  #removeRow(row: number): void {
    if (this.#longOf.size > 0) {
      const key = this.#longOf.get(row);
      if (key !== undefined) {
        this.#longOf.delete(row);
        this.#long.delete(key);
      }
    }
    this.#table.remove(row);
  }

  /** Looks at the next few rows, and begins anew at the end. */
  #forget(most: number): void {
    for (let left = Math.min(most, this.#table.made); left > 0; left--) {
      if (this.#sweep >= this.#table.made) this.#sweep = 0;
      const row = this.#sweep++;
      if (this.#table.isUsed(row) && this.#isIdle(row)) this.#removeRow(row);
    }
  }
}
