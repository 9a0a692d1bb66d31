import { type Dimension, dimensions, type Span, TallyScan } from './tally-scan.js';
import { Frontier, type Hash, leafHash } from './tree.js';

/**
 * The tally of a segment: how many of its records have each type, actor, tool, risk and decision. Its sorted lines are the
 * leaves of a tree whose root stands in the segment's seal; docs/format.md §3.1.
 */

/** More lines or bytes than this no tally may have. */
export const tallyLinesMax = 2 ** 20;
export const tallyBytesMax = 128 * 1024 * 1024;

export interface TallyCount {
  readonly dimension: Dimension;
  /** JSON text, its bytes as latin1. */
  readonly value: string;
  readonly count: number;
}

/** Counts as they pass between threads. */
export interface TallyPart {
  readonly counts: readonly TallyCount[];
  /** The lowest and the highest timestamp, as latin1; empty before the first record. */
  readonly first: string;
  readonly last: string;
  readonly overflow: boolean;
}

interface Cell {
  count: number;
}

/** A value that was seen lately, found again without making a string of it. */
interface Seen {
  readonly bytes: Uint8Array;
  readonly cell: Cell;
}

const slots = 256;
const lineFrameBytes = 40;

export class Tally {
  readonly #cells = new Map<Dimension, Map<string, Cell>>();
  readonly #seen = new Map<Dimension, (Seen | undefined)[]>();
  readonly #none = new Map<Dimension, Cell>();
  readonly #scan = new TallyScan();
  #lines = 0;
  #bytes = 0;
  #overflow = false;
  #first: Buffer = Buffer.alloc(0);
  #last: Buffer = Buffer.alloc(0);

  constructor() {
    for (const dimension of dimensions) {
      this.#cells.set(dimension, new Map());
      this.#seen.set(dimension, new Array<Seen | undefined>(slots).fill(undefined));
      this.#none.set(dimension, { count: 0 });
    }
  }

  /** Lines so far, at most five too many. */
  get lineCount(): number {
    return this.#lines + dimensions.length;
  }

  /** Upper bound of the bytes of the lines. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** Whether there were more values than a tally may have; it is of no use then. */
  get overflow(): boolean {
    return this.#overflow;
  }

  /** Lowest and highest timestamp. */
  get first(): string {
    return this.#first.toString('utf8');
  }

  get last(): string {
    return this.#last.toString('utf8');
  }

  /** Counts the line `buf[start..end)`, whose form must be good. */
  addLine(buf: Buffer, start: number, end: number): void {
    const scan = this.#scan;
    scan.read(buf, start, end);
    this.#addTime(buf, scan.timestamp);
    for (const dimension of dimensions) {
      const span = scan.values[dimension];
      if (span.start < 0) this.#none.get(dimension)!.count++;
      else this.#addValue(dimension, buf, span);
    }
  }

  /** Counts whole lines, each with its newline. */
  addLines(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(10, at);
      this.addLine(bytes, at, end);
      at = end + 1;
    }
  }

  #addTime(buf: Buffer, { start, end }: Span): void {
    const from = start + 1;
    const to = end - 1;
    if (this.#last.length === 0) {
      this.#first = Buffer.from(buf.subarray(from, to));
      this.#last = this.#first;
      return;
    }
    if (order(buf, from, to, this.#last) > 0) this.#last = Buffer.from(buf.subarray(from, to));
    else if (order(buf, from, to, this.#first) < 0)
      this.#first = Buffer.from(buf.subarray(from, to));
  }

  #addValue(dimension: Dimension, buf: Buffer, { start, end }: Span): void {
    const seen = this.#seen.get(dimension)!;
    let slot = end - start;
    for (let i = Math.max(start, end - 12); i < end; i++) slot = (slot * 31 + buf[i]!) & 0xffffff;
    slot %= slots;
    const entry = seen[slot];
    if (entry !== undefined && order(buf, start, end, entry.bytes) === 0) {
      entry.cell.count++;
      return;
    }
    const cell = this.#cell(dimension, canonical(buf, start, end));
    if (cell === undefined) return;
    cell.count++;
    seen[slot] = { bytes: Uint8Array.prototype.slice.call(buf, start, end), cell };
  }

  #cell(dimension: Dimension, value: string): Cell | undefined {
    const cells = this.#cells.get(dimension)!;
    const known = cells.get(value);
    if (known !== undefined) return known;
    this.#lines++;
    this.#bytes += value.length + lineFrameBytes;
    if (this.lineCount > tallyLinesMax || this.#bytes > tallyBytesMax) {
      this.#overflow = true;
      return undefined;
    }
    const cell = { count: 0 };
    cells.set(value, cell);
    return cell;
  }

  /** Adds counts made elsewhere. */
  add(part: TallyPart): void {
    this.#overflow ||= part.overflow;
    for (const { dimension, value, count } of part.counts) {
      const cell = value === 'null' ? this.#none.get(dimension) : this.#cell(dimension, value);
      if (cell !== undefined) cell.count += count;
    }
    for (const time of [part.first, part.last]) {
      if (time === '') continue;
      const bytes = Buffer.from(`"${time}"`, 'latin1');
      this.#addTime(bytes, { start: 0, end: bytes.length });
    }
  }

  part(): TallyPart {
    const counts: TallyCount[] = [];
    for (const dimension of dimensions) {
      for (const [value, { count }] of this.#cells.get(dimension)!)
        counts.push({ dimension, value, count });
      const { count } = this.#none.get(dimension)!;
      if (count > 0) counts.push({ dimension, value: 'null', count });
    }
    const [first, last] = [this.#first.toString('latin1'), this.#last.toString('latin1')];
    return { counts, first, last, overflow: this.#overflow };
  }

  /** The lines without newlines, sorted by their bytes, as latin1. */
  lines(): string[] {
    return this.part().counts.map(formatTallyLine).sort();
  }
}

/** `["actor","ann",17]`, as latin1. */
export function formatTallyLine({ dimension, value, count }: TallyCount): string {
  return `["${dimension}",${value},${count}]`;
}

const linePattern = /^\["(actor|decision|risk|tool|type)",(.*),([1-9][0-9]{0,15})\]$/s;

/** Reads a line back; undefined when it is none. */
export function parseTallyLine(line: string): TallyCount | undefined {
  const match = linePattern.exec(line);
  if (match === null) return undefined;
  return { dimension: match[1] as Dimension, value: match[2]!, count: Number(match[3]) };
}

/** The bytes of a tally's file. */
export function tallyBytes(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
}

/** RFC 6962 root over the lines. */
export function tallyRoot(lines: readonly string[]): Hash {
  const tree = new Frontier();
  for (const line of lines) tree.append(leafHash(Buffer.from(line, 'latin1')));
  return tree.root();
}

/** The one spelling of a value: JSON text as `JSON.stringify` writes it. */
function canonical(buf: Buffer, start: number, end: number): string {
  const text = buf.toString('latin1', start, end);
  // Without an escape there is only one way to write a string.
  if (!text.includes('\\')) return text;
  const value: unknown = JSON.parse(buf.toString('utf8', start, end));
  return Buffer.from(JSON.stringify(value)).toString('latin1');
}

/** Compares `buf[start..end)` with other bytes. */
function order(buf: Uint8Array, start: number, end: number, other: Uint8Array): number {
  const length = Math.min(end - start, other.length);
  for (let i = 0; i < length; i++) {
    const difference = buf[start + i]! - other[i]!;
    if (difference !== 0) return difference;
  }
  return end - start - other.length;
}
