/** Rows added at a time. */
const pageRows = 4_096;

/** A growing column of doubles, 0 at first, in pages: nothing is copied when it grows, and no more than a page lies idle. */
export class Column {
  readonly #pages: Float64Array[] = [];

  get(row: number): number {
    return this.#pages[row >>> 12]![row & 4_095]!;
  }

  /** `row` is one that was set before, or the next. */
  set(row: number, value: number): void {
    const page = row >>> 12;
    if (page === this.#pages.length) this.#pages.push(new Float64Array(pageRows));
    this.#pages[page]![row & 4_095] = value;
  }
}
