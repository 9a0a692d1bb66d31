import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeFolder, namesIn, readAll, syncFolder, writeAll } from './durable.js';
import { sequenceName } from './segment.js';

/**
 * The files of sealed content: `content/<first seq of the segment, 20 digits>.jsonl`, one for each segment whose records have
 * any; docs/format.md §12. A line is `{"ref":…,"subject":…,"nonce":…,"data":…}`, or `{"ref":…,"erased":…}` in the place of one
 * that was erased.
 */

const linePattern = /^\{"ref":"(cnt_[0-9a-f-]{36})","(subject|erased)":"(psn_[0-9a-f]{32})"/;
/** What the pattern needs to see of a line. */
const headBytes = 128;
/** A longer line is not what this package writes. */
export const contentLineBytesMax = 16 * 1024 * 1024;
const filePattern = /^([0-9]{20})\.jsonl$/;

export function contentFolder(dir: string): string {
  return path.join(dir, 'content');
}

export function contentPath(dir: string, firstSeq: number): string {
  return path.join(contentFolder(dir), `${sequenceName(firstSeq)}.jsonl`);
}

export interface ContentFile {
  readonly firstSeq: number;
  readonly path: string;
}

export function listContents(dir: string): ContentFile[] {
  return namesIn(contentFolder(dir))
    .map((name) => filePattern.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map((digits) => ({ firstSeq: Number(digits), path: contentPath(dir, Number(digits)) }))
    .sort((a, b) => a.firstSeq - b.firstSeq);
}

export interface ContentPlace {
  readonly ref: string;
  readonly subject: string;
  readonly erased: boolean;
  readonly offset: number;
  /** Without the newline. */
  readonly length: number;
}

const blockBytes = 1024 * 1024;

/** Whole lines of a file that are of the form, in order; what is not is passed over, and an unfinished last line too. */
export function* contentPlaces(file: string): Generator<ContentPlace> {
  for (const { offset, length, head } of linesOf(file)) {
    const [, ref, kind, subject] = linePattern.exec(head) ?? [];
    if (ref === undefined || subject === undefined) continue;
    yield { ref, subject, erased: kind === 'erased', offset, length };
  }
}

interface Line {
  readonly offset: number;
  readonly length: number;
  /** Its first bytes. */
  readonly head: string;
}

function* linesOf(file: string): Generator<Line> {
  const fd = fs.openSync(file, 'r');
  try {
    const block = Buffer.alloc(blockBytes);
    let head = '';
    let start = 0;
    for (let at = 0; ; ) {
      const got = readAll(fd, block, at);
      if (got === 0) return;
      let from = 0;
      while (from < got) {
        const end = block.subarray(0, got).indexOf(10, from);
        const to = end < 0 ? got : end;
        if (head.length < headBytes) {
          head += block.toString('latin1', from, Math.min(to, from + headBytes - head.length));
        }
        from = to + 1;
        if (end < 0) break;
        yield { offset: start, length: at + end - start, head };
        head = '';
        start = at + end + 1;
      }
      at += got;
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** One line, as an object; undefined where there is none. */
export function readContentLine(file: string, place: ContentPlace): unknown {
  if (place.length > contentLineBytesMax) return undefined;
  const fd = fs.openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(place.length);
    readAll(fd, bytes, place.offset);
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** The file of the open segment. Lines are appended, and whole or not at all. */
export class ContentAppender {
  readonly firstSeq: number;
  readonly #path: string;
  readonly #fd: number;
  #bytes: number;
  #unsynced = false;

  constructor(dir: string, firstSeq: number) {
    this.firstSeq = firstSeq;
    this.#path = contentPath(dir, firstSeq);
    makeFolder(contentFolder(dir));
    this.#fd = fs.openSync(this.#path, 'a+', 0o600);
    try {
      fs.fchmodSync(this.#fd, 0o600);
      this.#bytes = endOfLines(this.#fd);
      fs.ftruncateSync(this.#fd, this.#bytes);
      syncFolder(contentFolder(dir));
    } catch (error) {
      fs.closeSync(this.#fd);
      throw error;
    }
  }

  /** With `sync` the lines are on disk then. After an error nothing of them stays. */
  append(lines: Uint8Array, sync: boolean): void {
    try {
      writeAll(this.#fd, lines, this.#bytes);
      this.#unsynced = true;
      if (sync) this.sync();
      this.#bytes += lines.length;
    } catch (error) {
      fs.ftruncateSync(this.#fd, this.#bytes);
      throw error;
    }
  }

  sync(): void {
    if (!this.#unsynced) return;
    fs.fdatasyncSync(this.#fd);
    this.#unsynced = false;
  }

  /** Whether the file still lies where readers look for it. */
  get isThere(): boolean {
    const there = fs.statSync(this.#path, { throwIfNoEntry: false });
    const own = fs.fstatSync(this.#fd);
    return there?.ino === own.ino && there.dev === own.dev;
  }

  /** What was written is on disk then. */
  close(): void {
    try {
      this.sync();
    } finally {
      this.abandon();
    }
  }

  /** After an error. */
  abandon(): void {
    fs.closeSync(this.#fd);
  }
}

/** The byte behind the last newline. */
function endOfLines(fd: number): number {
  const block = Buffer.alloc(64 * 1024);
  for (let end = fs.fstatSync(fd).size; end > 0; ) {
    const from = Math.max(0, end - block.length);
    const got = readAll(fd, block.subarray(0, end - from), from);
    const newline = block.subarray(0, got).lastIndexOf(10);
    if (newline >= 0) return from + newline + 1;
    end = from;
  }
  return 0;
}

/**
 * Replaces a file by one in which the lines of these subjects say only that they were erased, durably; the place of the old one
 * is taken in one step. Returns how many there were; with none the file stays as it is.
 */
export function eraseFromFile(file: string, subjects: ReadonlySet<string>): number {
  let erased = 0;
  for (const place of contentPlaces(file)) {
    if (!place.erased && subjects.has(place.subject)) erased++;
  }
  if (erased === 0) return 0;
  const temporary = `${file}.tmp`;
  const from = fs.openSync(file, 'r');
  const to = fs.openSync(temporary, 'w', 0o600);
  try {
    let at = 0;
    for (const place of contentPlaces(file)) {
      const goes = !place.erased && subjects.has(place.subject);
      const line = goes
        ? Buffer.from(`{"ref":"${place.ref}","erased":"${place.subject}"}\n`)
        : readBytes(from, place.offset, place.length + 1);
      writeAll(to, line, at);
      at += line.length;
    }
    fs.fsyncSync(to);
  } finally {
    fs.closeSync(from);
    fs.closeSync(to);
  }
  fs.renameSync(temporary, file);
  syncFolder(path.dirname(file));
  return erased;
}

function readBytes(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readAll(fd, bytes, offset);
  return bytes;
}
