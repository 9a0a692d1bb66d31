/** Rows of a page; one that holds more would be long in the making, one that holds fewer would be one of many. */
const pageRows = 4_096;
const firstRows = 16;

export const pageShift = 12;
export const pageMask = pageRows - 1;

/**
 * A growing list of rows of so many words each, 0 at first, in pages: nothing is copied when it grows but a first page that is not
 * whole yet, and no more than a page lies idle.
 */
export class WordPages {
  readonly all: Int32Array[] = [];
  /** The same pages as doubles. */
  readonly doubles: Float64Array[] = [];
  readonly #stride: number;
  #rows = 0;

  constructor(stride: number) {
    this.#stride = stride;
  }

  /** Makes room for so many rows. */
  grow(rows: number): void {
    while (this.#rows < rows) {
      if (this.#rows >= pageRows || this.#rows === 0) {
        const more = this.#rows === 0 ? firstRows : pageRows;
        this.#put(this.all.length, new Int32Array(more * this.#stride));
        this.#rows += more;
      } else {
        const page = new Int32Array(this.#rows * 2 * this.#stride);
        page.set(this.all[0]!);
        this.#put(0, page);
        this.#rows *= 2;
      }
    }
  }

  #put(number: number, page: Int32Array): void {
    this.all[number] = page;
    this.doubles[number] = new Float64Array(page.buffer);
  }
}
