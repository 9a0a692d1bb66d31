import * as fs from 'node:fs';
import * as path from 'node:path';
import { ArchiveFault, ArchiveFile } from './archive-file.js';
import { systemCode } from './errors.js';

/**
 * The bytes of a file of lines, be it plain or archived: places are bytes of the lines, so that who reads need not know which
 * it is. A segment may be archived between the listing of the folder and its opening, so where one form is gone the other is taken.
 */

/** A file of lines as it lies on disk. */
export class PlainFile {
  readonly #fd: number;

  constructor(file: string) {
    this.#fd = fs.openSync(file, 'r');
  }

  /** Fills a part of `into` from `position` on; 0 at the end. */
  read(into: Buffer, start: number, room: number, position: number): number {
    return fs.readSync(this.#fd, into, start, room, position);
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

export type LineBytes = PlainFile | ArchiveFile;

const archivePattern = /^([0-9]{20})\.jsonl\.gz$/;

/** Whether a file is an archived segment, by its name. */
export function isArchive(file: string): boolean {
  return archivePattern.test(path.basename(file));
}

/** Opens a file of lines. Throws as `openSync` does; what is wrong with an archive shows as an `ArchiveFault` when it is read. */
export function openBytes(file: string): LineBytes {
  try {
    return openAs(file);
  } catch (error) {
    const other = systemCode(error) === 'ENOENT' ? otherForm(file) : undefined;
    // Nobody has listed it, and a pipe would keep the reader waiting.
    if (other === undefined || !fs.lstatSync(other, { throwIfNoEntry: false })?.isFile())
      throw error;
    return openAs(other);
  }
}

function openAs(file: string): LineBytes {
  const digits = archivePattern.exec(path.basename(file))?.[1];
  return digits === undefined ? new PlainFile(file) : new ArchiveFile(file, Number(digits));
}

/** Only a segment has another form: what is kept of a deleted one has not. */
function otherForm(file: string): string | undefined {
  if (path.basename(path.dirname(file)) !== 'segments') return undefined;
  return isArchive(file) ? file.slice(0, -'.gz'.length) : `${file}.gz`;
}

/** No line of a record is shorter; in an archive none takes less, for its hash looks like chance to who compresses it. */
const lineBytesMin = { plain: 150, archived: 32 };

/** A number that the lines of a segment do not exceed, by its size on disk; 0 where there is none. */
export function linesAtMost(file: string): number {
  const plain = file.replace(/\.gz$/, '');
  const size = fs.statSync(plain, { throwIfNoEntry: false })?.size;
  if (size !== undefined) return Math.ceil(size / lineBytesMin.plain);
  const archived = fs.statSync(`${plain}.gz`, { throwIfNoEntry: false })?.size ?? 0;
  return Math.ceil(archived / lineBytesMin.archived);
}

/** Fills `into` from `position` on; returns how many bytes there were. */
export function readBytes(bytes: LineBytes, into: Buffer, position: number): number {
  let done = 0;
  while (done < into.length) {
    const got = bytes.read(into, done, into.length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

/** Bytes of the lines of a file; 0 where there is none. Of a damaged archive those of the members before the damage. */
export function lineBytesIn(file: string): number {
  let bytes: LineBytes;
  try {
    bytes = openBytes(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
  try {
    return readableBytes(bytes);
  } finally {
    bytes.close();
  }
}

/** Bytes of the lines; of a damaged archive those of the members before the damage. */
export function readableBytes(bytes: LineBytes): number {
  try {
    return bytes.size();
  } catch (error) {
    if (error instanceof ArchiveFault) return error.offset;
    throw error;
  }
}

/** Runs `read`; gives `otherwise` where a damaged archive ends it. For who looks for something without verifying. */
export function unlessDamaged<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ArchiveFault) return otherwise;
    throw error;
  }
}
