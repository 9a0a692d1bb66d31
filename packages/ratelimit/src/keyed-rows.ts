/** Entries looked at for each new key, so that what is forgotten keeps up with what comes. */
const sweptPerInsert = 4;
/** Entries looked at when there is no room, before a new key is refused. */
const sweptWhenFull = 256;

/**
 * Keys and the number of the row that each has in some columns. A row whose key says nothing any more is given to another: a few
 * entries are looked at for every new key, so there is no timer, no scan of all, and no key that is still limiting is lost.
 */
export class KeyedRows {
  readonly #rows = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #isIdle: (row: number) => boolean;
  #sweep: MapIterator<[string, number]>;
  #made = 0;

  /** How many keys it has at most. */
  most: number;

  /** At most `most` keys; `isIdle` tells a row that is as good as none. */
  constructor(most: number, isIdle: (row: number) => boolean) {
    this.most = most;
    this.#isIdle = isIdle;
    this.#sweep = this.#rows.entries();
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The row of a key, -1 without one. */
  find(key: string): number {
    return this.#rows.get(key) ?? -1;
  }

  /** Whether `add` would find room; makes some if it can. */
  hasRoom(): boolean {
    if (this.#rows.size < this.most) return true;
    this.#forget(sweptWhenFull);
    return this.#rows.size < this.most;
  }

  /** A row for a key that has none. */
  add(key: string): number {
    this.#forget(sweptPerInsert);
    const row = this.#free.pop() ?? this.#made++;
    this.#rows.set(key, row);
    return row;
  }

  remove(key: string): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    this.#free.push(row);
  }

  entries(): MapIterator<[string, number]> {
    return this.#rows.entries();
  }

  /** Looks at the next few entries; a Map's iterator goes on through changes, and begins anew at the end. */
  #forget(most: number): void {
    for (let left = Math.min(most, this.#rows.size); left > 0; left--) {
      let next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#rows.entries();
        next = this.#sweep.next();
        if (next.done === true) return;
      }
      const [key, row] = next.value;
      if (this.#isIdle(row)) this.remove(key);
    }
  }
}
