import { KeyTable } from './key-table.js';
import { bitsOf, type KeyWords, placesOf } from './key-words.js';
import { keyMaker, type LimitRequest, type Scope } from './request.js';

/** Rows looked at for each new key, so that what is forgotten keeps up with what comes. */
const sweptPerInsert = 4;
/** Rows looked at when there is no room, before a new key is refused: few, so that a flood of new keys costs little. */
const sweptWhenFull = 32;

/**
 * Keys and the number of the row that each has in some columns. A row whose key says nothing any more is given to another: a few
 * rows are looked at for every new key, so there is no timer, no scan of all, and no key that is still limiting is lost.
 */
export class KeyedRows {
  readonly #scope: Scope;
  readonly #stringOf: (request: LimitRequest) => string;
  /** Of the members in the scope. */
  readonly #bits: number;
  readonly #table: KeyTable;
  /** Keys that are too long for the table. */
  readonly #long = new Map<string, number>();
  readonly #longOf = new Map<number, string>();
  readonly #isIdle: (row: number) => boolean;
  /** The row that is looked at next. */
  #sweep = 0;

  /** How many keys it has at most. */
  most: number;

  /** At most `most` keys; `isIdle` tells a row that is as good as none. */
  constructor(scope: Scope, most: number, isIdle: (row: number) => boolean) {
    const places = placesOf(scope);
    this.#scope = scope;
    this.#stringOf = keyMaker(scope);
    this.#bits = bitsOf(places);
    this.#table = new KeyTable(places);
    this.most = most;
    this.#isIdle = isIdle;
  }

  get size(): number {
    return this.#table.size;
  }

  /** The row of a key, -1 without one. */
  find(key: KeyWords): number {
    if ((key.long & this.#bits) === 0) return this.#table.find(key);
    return this.#long.get(this.#stringOf(key.request)) ?? -1;
  }

  /** Whether `add` would find room; makes some if it can. */
  hasRoom(): boolean {
    if (this.size < this.most) return true;
    this.#forget(sweptWhenFull);
    return this.size < this.most;
  }

  /** A row for a key that has none. */
  add(key: KeyWords): number {
    this.#forget(sweptPerInsert);
    if ((key.long & this.#bits) === 0) return this.#table.add(key);
    const row = this.#table.addUnlisted();
    const text = this.#stringOf(key.request);
    this.#long.set(text, row);
    this.#longOf.set(row, text);
    return row;
  }

  remove(row: number): void {
    if (this.#longOf.size > 0) {
      const key = this.#longOf.get(row);
      if (key !== undefined) {
        this.#longOf.delete(row);
        this.#long.delete(key);
      }
    }
    this.#table.remove(row);
  }

  /** A number of the row's own; what it is in a new one is nothing to rely on. */
  numberOf(row: number): number {
    return this.#table.numberOf(row);
  }

  setNumber(row: number, value: number): void {
    this.#table.setNumber(row, value);
  }

  /** Tells a row's key from others that it had or will have. */
  ageOf(row: number): number {
    return this.#table.ageOf(row);
  }

  *entries(): IterableIterator<readonly [key: string, row: number]> {
    for (let row = 0; row < this.#table.made; row++) {
      if (this.#table.isUsed(row)) yield [this.keyOf(row), row];
    }
  }

  /** As `keyMaker` makes it. */
  keyOf(row: number): string {
    const long = this.#longOf.size > 0 ? this.#longOf.get(row) : undefined;
    if (long !== undefined) return long;
    const texts = this.#table.membersOf(row);
    return this.#stringOf(Object.fromEntries(this.#scope.map((member, i) => [member, texts[i]])));
  }

  /** Looks at the next few rows, and begins anew at the end. */
  #forget(most: number): void {
    for (let left = Math.min(most, this.#table.made); left > 0; left--) {
      if (this.#sweep >= this.#table.made) this.#sweep = 0;
      const row = this.#sweep++;
      if (this.#table.isUsed(row) && this.#isIdle(row)) this.remove(row);
    }
  }
}
