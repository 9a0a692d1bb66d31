import { type KeyWords, textOf, wordsFrom, wordsOf } from './key-words.js';
import { pageMask, pageShift, WordPages } from './pages.js';

/**
 * Of each row, which is as long as a line of most caches: the next of its bucket, its hash, its age, its shape, a double, the piece that
 * has more of its words, and its first words.
 */
const stride = 16;
const hashAt = 1;
const ageAt = 2;
const shapeAt = 3;
const doubleAt = 2;
const moreAt = 6;
const wordsAt = 7;
const ownWords = 9;
/** The shape of no key: one of its members would be too long. */
const unlisted = -1;
/** A piece: words, and the next piece. */
const pieceStride = 4;
const pieceWords = 3;
/** Buckets for each row: chains are short, and a bucket is no more than 4 bytes. */
const bucketsPerRow = 2;

/**
 * Rows by their keys, in typed arrays: 72 bytes for a key of up to 36 characters with a number of its
 * own, and 16 for any 12 more, at every size. A linear hash
 * table (Litwin 1980): with every new row two buckets are divided, so there is no moment at which all is made anew, and none at which
 * half of it lies empty. Rows, pieces and buckets are numbered from 1 where they are referred to, so 0 is none.
 */
export class KeyTable {
  /** Of the members that are read, those that make the key. */
  readonly #members: readonly number[];
  readonly #rows = new WordPages(stride);
  readonly #pieces = new WordPages(pieceStride);
  readonly #buckets = new WordPages(1);
  /** Rows ever made, those that are free again included. */
  made = 0;
  size = 0;
  #freeRow = 0;
  #freePiece = 0;
  #piecesMade = 0;
  /** Buckets in use: those below `#round` twice over, less those that are not divided yet. */
  #bucketCount = 1;
  #round = 1;

  constructor(members: readonly number[]) {
    this.#members = members;
    this.#buckets.grow(1);
  }

  /** The row of a key; -1 without one. */
  find(key: KeyWords): number {
    // All requests have the one key of no members.
    if (this.#members.length === 0) return this.size === 0 ? -1 : 0;
    const hash = key.hashOf(this.#members);
    const shape = key.shapeOf(this.#members);
    const bucket = this.#bucketOf(hash);
    let row = this.#buckets.all[bucket >>> pageShift]![bucket & pageMask]!;
    while (row !== 0) {
      row--;
      const page = this.#rows.all[row >>> pageShift]!;
      const at = (row & pageMask) * stride;
      if (page[at + hashAt] === hash && page[at + shapeAt] === shape && this.#isSame(page, at, key))
        return row;
      row = page[at]!;
    }
    return -1;
  }

  /** Makes a row for a key that has none. */
  add(key: KeyWords): number {
    const row = this.#newRow();
    const page = this.#rows.all[row >>> pageShift]!;
    const at = (row & pageMask) * stride;
    page[at + hashAt] = key.hashOf(this.#members);
    page[at + shapeAt] = key.shapeOf(this.#members);
    this.#write(page, at, key);
    this.#link(row, page, at);
    return row;
  }

  /** Makes a row that is found elsewhere. */
  addUnlisted(): number {
    const row = this.#newRow();
    this.#rows.all[row >>> pageShift]![(row & pageMask) * stride + shapeAt] = unlisted;
    return row;
  }

  remove(row: number): void {
    const page = this.#rows.all[row >>> pageShift]!;
    const at = (row & pageMask) * stride;
    if (page[at + shapeAt] !== unlisted) this.#unlink(row, page[at + hashAt]!, page[at]!);
    for (let piece = page[at + moreAt]!; piece !== 0; ) {
      const pieces = this.#pieces.all[(piece - 1) >>> pageShift]!;
      const nextAt = ((piece - 1) & pageMask) * pieceStride + pieceWords;
      const next = pieces[nextAt]!;
      pieces[nextAt] = this.#freePiece;
      this.#freePiece = piece;
      piece = next;
    }
    page[at + moreAt] = 0;
    page[at + ageAt]!++;
    page[at] = this.#freeRow;
    this.#freeRow = row + 1;
    this.size--;
  }

  /** Another number each time the row is given to a key or taken from it; odd while it has one. */
  ageOf(row: number): number {
    return this.#rows.all[row >>> pageShift]![(row & pageMask) * stride + ageAt]!;
  }

  /** The double of a row; what it is in a new one is nothing to rely on. */
  numberOf(row: number): number {
    return this.#rows.doubles[row >>> pageShift]![(row & pageMask) * (stride / 2) + doubleAt]!;
  }

  setNumber(row: number, value: number): void {
    this.#rows.doubles[row >>> pageShift]![(row & pageMask) * (stride / 2) + doubleAt] = value;
  }

  isUsed(row: number): boolean {
    return (this.ageOf(row) & 1) === 1;
  }

  /** The members of a row's key, in the order of the scope. */
  membersOf(row: number): (string | undefined)[] {
    const page = this.#rows.all[row >>> pageShift]!;
    const at = (row & pageMask) * stride;
    const words = Array.from(page.subarray(at + wordsAt, at + wordsAt + ownWords));
    for (let piece = page[at + moreAt]!; piece !== 0; ) {
      const pieces = this.#pieces.all[(piece - 1) >>> pageShift]!;
      const from = ((piece - 1) & pageMask) * pieceStride;
      for (let i = 0; i < pieceWords; i++) words.push(pieces[from + i]!);
      piece = pieces[from + pieceWords]!;
    }
    let from = 0;
    return this.#members.map((_, i) => {
      const shape = (page[at + shapeAt]! >>> (i << 3)) & 0xff;
      const start = from;
      from += wordsOf(shape);
      return textOf(shape, (word) => words[start + word]!);
    });
  }

  #newRow(): number {
    let row = this.#freeRow - 1;
    if (row === -1) {
      row = this.made++;
      this.#rows.grow(this.made);
      while (this.#bucketCount < this.made * bucketsPerRow) this.#divide();
    }
    const page = this.#rows.all[row >>> pageShift]!;
    const at = (row & pageMask) * stride;
    if (this.#freeRow !== 0) this.#freeRow = page[at]!;
    page[at + ageAt]!++;
    this.size++;
    return row;
  }

  /** Of the rows of the next bucket to be divided, those whose hash has one bit more go to a new one. */
  #divide(): void {
    const from = this.#bucketCount - this.#round;
    const to = this.#bucketCount++;
    this.#buckets.grow(this.#bucketCount);
    const fromPage = this.#buckets.all[from >>> pageShift]!;
    const toPage = this.#buckets.all[to >>> pageShift]!;
    let row = fromPage[from & pageMask]!;
    fromPage[from & pageMask] = 0;
    while (row !== 0) {
      const page = this.#rows.all[(row - 1) >>> pageShift]!;
      const at = ((row - 1) & pageMask) * stride;
      const next = page[at]!;
      const isMoved = (page[at + hashAt]! & this.#round) !== 0;
      const heads = isMoved ? toPage : fromPage;
      const head = (isMoved ? to : from) & pageMask;
      page[at] = heads[head]!;
      heads[head] = row;
      row = next;
    }
    if (this.#bucketCount === this.#round * 2) this.#round *= 2;
  }

  #bucketOf(hash: number): number {
    const bucket = hash & (this.#round * 2 - 1);
    return bucket < this.#bucketCount ? bucket : bucket & (this.#round - 1);
  }

  #link(row: number, page: Int32Array, at: number): void {
    const bucket = this.#bucketOf(page[at + hashAt]!);
    const heads = this.#buckets.all[bucket >>> pageShift]!;
    page[at] = heads[bucket & pageMask]!;
    heads[bucket & pageMask] = row + 1;
  }

  #unlink(row: number, hash: number, next: number): void {
    const bucket = this.#bucketOf(hash);
    let page = this.#buckets.all[bucket >>> pageShift]!;
    let at = bucket & pageMask;
    while (page[at] !== row + 1) {
      const before = page[at]! - 1;
      page = this.#rows.all[before >>> pageShift]!;
      at = (before & pageMask) * stride;
    }
    page[at] = next;
  }

  #isSame(page: Int32Array, at: number, key: KeyWords): boolean {
    const { words, shapes } = key;
    let filled = 0;
    let piece = page[at + moreAt]!;
    let from = page;
    let place = at + wordsAt;
    let room = ownWords;
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#members[i]!;
      const first = wordsFrom(member);
      const end = first + wordsOf(shapes[member]!);
      for (let word = first; word < end; word++) {
        // Nine words in a row, three in each piece.
        if (filled === room) {
          room = pieceWords;
          filled = 0;
          from = this.#pieces.all[(piece - 1) >>> pageShift]!;
          place = ((piece - 1) & pageMask) * pieceStride;
          piece = from[place + pieceWords]!;
        }
        if (from[place + filled] !== words[word]) return false;
        filled++;
      }
    }
    return true;
  }

  #write(page: Int32Array, at: number, key: KeyWords): void {
    const { words, shapes } = key;
    let filled = 0;
    let to = page;
    let place = at + wordsAt;
    let nextAt = at + moreAt;
    let last = 0;
    let room = ownWords;
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#members[i]!;
      const first = wordsFrom(member);
      const end = first + wordsOf(shapes[member]!);
      for (let word = first; word < end; word++) {
        if (filled === room) {
          room = pieceWords;
          filled = 0;
          const piece = this.#newPiece();
          // A page may have been replaced by a longer one.
          if (last !== 0) to = this.#pieces.all[(last - 1) >>> pageShift]!;
          to[nextAt] = piece;
          last = piece;
          to = this.#pieces.all[(piece - 1) >>> pageShift]!;
          place = ((piece - 1) & pageMask) * pieceStride;
          nextAt = place + pieceWords;
          to[nextAt] = 0;
        }
        to[place + filled] = words[word]!;
        filled++;
      }
    }
  }

  #newPiece(): number {
    const piece = this.#freePiece;
    if (piece === 0) {
      this.#pieces.grow(++this.#piecesMade);
      return this.#piecesMade;
    }
    const page = this.#pieces.all[(piece - 1) >>> pageShift]!;
    this.#freePiece = page[((piece - 1) & pageMask) * pieceStride + pieceWords]!;
    return piece;
  }
}
