import { randomFillSync } from 'node:crypto';
import { checked, type LimitRequest, type Member, members, type Scope } from './request.js';

/** A member of more characters than this is no matter for columns. */
export const mostChars = 120;
/** Words that one member can fill: two characters a word where one of them is beyond Latin-1, else four. */
const memberWords = mostChars / 2;
const places = members.length;
/** Of each member's length and each of its characters, two random numbers. */
const randoms = 2 * (mostChars + 1);

/**
 * Up to four members of a key, as words to be compared and numbers to be found by. `shape` of a member says how long it is and how it
 * is written, 0 that it is absent: equal shapes and equal words are equal members, and no others are.
 *
 * The sums are multilinear (Dietzfelbinger 1996): each character times a random number of its own, of which the upper 17 bits are
 * strongly universal. So nobody who does not know the numbers can choose keys that meet more often than any others do.
 */
export class KeyWords {
  readonly words = new Int32Array(places * memberWords);
  readonly shapes = new Int32Array(places);
  /** What was read last, and a bit for each of its members that is too long. */
  request: LimitRequest = {};
  long = 0;
  readonly #first = new Int32Array(places);
  readonly #second = new Int32Array(places);
  readonly #randoms: Int32Array;

  constructor(random: Int32Array = randomFillSync(new Int32Array(places * randoms))) {
    this.#randoms = random;
  }

  /**
   * Reads the members that have a bit in `wanted`.
   *
   * @throws RateLimitError `bad_request`
   */
  readRequest(request: LimitRequest, wanted: number): void {
    this.request = request;
    this.long = 0;
    if ((wanted & 1) !== 0) this.#readMember(0, 'actor', request.actor);
    if ((wanted & 2) !== 0) this.#readMember(1, 'channel', request.channel);
    if ((wanted & 4) !== 0) this.#readMember(2, 'session', request.session);
    if ((wanted & 8) !== 0) this.#readMember(3, 'tool', request.tool);
  }

  #readMember(place: number, member: Member, text: string | undefined): void {
    if (!this.read(place, text === undefined ? text : checked(text, member)))
      this.long |= 1 << place;
  }

  /** Reads one member; false when it is too long. */
  read(place: number, text: string | undefined): boolean {
    if (text === undefined) {
      this.shapes[place] = 0;
      this.#first[place] = 0;
      this.#second[place] = 0;
      return true;
    }
    const { length } = text;
    if (length > mostChars) return false;
    const { words } = this;
    const random = this.#randoms;
    let at = place * randoms;
    let first = Math.imul(length + 1, random[at]!);
    let second = Math.imul(length + 1, random[at + 1]!);
    let word = place * memberWords;
    let filling = 0;
    let all = 0;
    for (let i = 0; i < length; i++) {
      const char = text.charCodeAt(i);
      at += 2;
      first = (first + Math.imul(char, random[at]!)) | 0;
      second = (second + Math.imul(char, random[at + 1]!)) | 0;
      all |= char;
      filling |= char << ((i & 3) << 3);
      if ((i & 3) === 3) {
        words[word++] = filling;
        filling = 0;
      }
    }
    if ((length & 3) !== 0) words[word] = filling;
    this.#first[place] = first;
    this.#second[place] = second;
    this.shapes[place] = length + 1;
    if (all > 0xff) this.#widen(place, text);
    return true;
  }

  /** By what the key that is made of these members is found: 15 and 17 of the universal bits, mixed so that each tells in all of it. */
  hashOf(places: readonly number[]): number {
    let first = 0;
    let second = 0;
    for (let i = 0; i < places.length; i++) {
      first = (first + this.#first[places[i]!]!) | 0;
      second = (second + this.#second[places[i]!]!) | 0;
    }
    let hash = (first & 0xfffe_0000) | (second >>> 15);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    return hash ^ (hash >>> 16);
  }

  /** The lengths of all members, a byte each. */
  shapeOf(places: readonly number[]): number {
    let shape = 0;
    for (let i = 0; i < places.length; i++) shape |= this.shapes[places[i]!]! << (i << 3);
    return shape;
  }

  #widen(place: number, text: string): void {
    const { length } = text;
    let word = place * memberWords;
    for (let i = 0; i < length; i += 2) {
      const second = i + 1 < length ? text.charCodeAt(i + 1) : 0;
      this.words[word++] = text.charCodeAt(i) | (second << 16);
    }
    this.shapes[place] = wide + length;
  }
}

/** Added to the length of a member that is written in two characters a word; it is at least 1, so the sum is no narrow one's. */
const wide = 0x80;

/** The places of a scope's members. */
export function placesOf(scope: Scope): number[] {
  return scope.map((member) => members.indexOf(member));
}

/** A bit for each of them. */
export function bitsOf(places: readonly number[]): number {
  return places.reduce((bits, place) => bits | (1 << place), 0);
}

/** Where a member's words begin. */
export function wordsFrom(member: number): number {
  return member * memberWords;
}

/** How many words a member of this shape has. */
export function wordsOf(shape: number): number {
  if (shape === 0) return 0;
  return shape < wide ? (shape + 2) >>> 2 : (shape - wide + 1) >>> 1;
}

/** The member that has this shape and these words; undefined when it is absent. */
export function textOf(shape: number, word: (at: number) => number): string | undefined {
  if (shape === 0) return undefined;
  const isWide = shape >= wide;
  const length = isWide ? shape - wide : shape - 1;
  let text = '';
  for (let i = 0; i < length; i++) {
    text += String.fromCharCode(
      isWide
        ? (word(i >>> 1) >>> ((i & 1) << 4)) & 0xffff
        : (word(i >>> 2) >>> ((i & 3) << 3)) & 0xff,
    );
  }
  return text;
}
