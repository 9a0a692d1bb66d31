/** A binary heap whose items know their places in it, so that any of them can be taken out. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #isBefore: (one: T, other: T) => boolean;
  readonly #note: (item: T, place: number) => void;

  /** `note` is told where an item lies, and -1 when it is taken out. */
  constructor(isBefore: (one: T, other: T) => boolean, note: (item: T, place: number) => void) {
    this.#isBefore = isBefore;
    this.#note = note;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  shift(): T | undefined {
    const [first] = this.#items;
    if (first !== undefined) this.remove(0);
    return first;
  }

  remove(place: number): void {
    const items = this.#items;
    const item = items[place]!;
    const last = items.pop()!;
    if (place < items.length) {
      this.#sink(last, place);
      if (items[place] === last) this.#rise(last, place);
    }
    this.#note(item, -1);
  }

  #rise(item: T, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >>> 1;
      if (!this.#isBefore(item, this.#items[above]!)) break;
      this.#put(this.#items[above]!, place);
      place = above;
    }
    this.#put(item, place);
  }

  #sink(item: T, from: number): void {
    let place = from;
    for (;;) {
      let below = place * 2 + 1;
      if (below >= this.#items.length) break;
      const other = below + 1;
      if (other < this.#items.length && this.#isBefore(this.#items[other]!, this.#items[below]!))
        below = other;
      if (!this.#isBefore(this.#items[below]!, item)) break;
      this.#put(this.#items[below]!, place);
      place = below;
    }
    this.#put(item, place);
  }

  #put(item: T, place: number): void {
    this.#items[place] = item;
    this.#note(item, place);
  }
}
