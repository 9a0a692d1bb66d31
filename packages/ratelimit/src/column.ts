import { pageMask, pageShift } from './pages.js';

const pageLength = pageMask + 1;
const firstLength = 16;

/** A growing column of doubles, 0 at first, in pages as those of `WordPages`. */
export class Column {
  readonly #pages: Float64Array[] = [];

  get(row: number): number {
    return this.#pages[row >>> pageShift]![row & pageMask]!;
  }

  /** `row` is one that was set before, or on the same page as one, or on the next. */
  set(row: number, value: number): void {
    const page = this.#pages[row >>> pageShift];
    const at = row & pageMask;
    if (page === undefined || at >= page.length) this.#grow(row, value);
    else page[at] = value;
  }

  #grow(row: number, value: number): void {
    const number = row >>> pageShift;
    const at = row & pageMask;
    let length = number === 0 ? firstLength : pageLength;
    while (length <= at) length *= 2;
    const page = new Float64Array(length);
    const before = this.#pages[number];
    if (before !== undefined) page.set(before);
    page[at] = value;
    this.#pages[number] = page;
  }
}
