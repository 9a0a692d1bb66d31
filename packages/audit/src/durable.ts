import * as fs from 'node:fs';
import * as path from 'node:path';
import { AuditError, systemCode } from './errors.js';

/** Files and folders that must be on disk before anything relies on them: every rename and creation is synced twice, file and folder. */

/** Whether something stands at `file`. Throws where that cannot be said: a look that failed is no absence. */
export function isThere(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** Makes a folder's entries durable: creations, renames and removals in it. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Creates a folder and its missing parents (0700) and makes each of them durable in its parent; also one that is there
 * already, for whoever made it may have been killed before it was synced.
 */
export function makeFolder(folder: string): void {
  const parent = path.dirname(folder);
  if (parent !== folder && !isThere(parent)) makeFolder(parent);
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    syncReadable(parent);
    return;
  }
  syncFolder(parent);
}

/**
 * Creates a folder and its missing parents (0700), without making them durable. Node's own recursive `mkdir` never ends where a parent is
 * there and nothing can be made in it, as in `/proc`.
 */
export function createFolder(folder: string): void {
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    const parent = path.dirname(folder);
    if (systemCode(error) !== 'ENOENT' || parent === folder) throw error;
    createFolder(parent);
    createIn(folder);
  }
}

function createIn(folder: string): void {
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Makes a folder and all above it durable. */
export function settleFolder(folder: string): void {
  for (let at = folder; ; at = path.dirname(at)) {
    syncReadable(at);
    if (path.dirname(at) === at) return;
  }
}

/** A folder that this user may not read holds nothing that this user has made there. */
function syncReadable(folder: string): void {
  try {
    syncFolder(folder);
  } catch (error) {
    if (systemCode(error) !== 'EACCES' && systemCode(error) !== 'EPERM') throw error;
  }
}

/** Replaces a file whole or not at all; its bytes are synced, its name only after `syncFolder`. */
export function replaceFile(file: string, content: string | Uint8Array, mode = 0o600): void {
  const temporary = `${file}.tmp`;
  const fd = fs.openSync(temporary, 'w', mode);
  try {
    fs.fchmodSync(fd, mode);
    writeAll(fd, typeof content === 'string' ? Buffer.from(content) : content, 0);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, file);
}

/** Replaces a file and makes the replacement durable. */
export function replaceFileDurably(file: string, content: string | Uint8Array, mode = 0o600): void {
  replaceFile(file, content, mode);
  syncFolder(path.dirname(file));
}

/** Writes all of `bytes` at `position`; a short write is continued. */
export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/**
 * A regular file's bytes, undefined when there is none. A folder somebody else could write in may hold a pipe, a link or
 * an endless file in its place; those are refused, never waited for.
 */
export function readRegular(file: string, bytesMax: number): Buffer | undefined {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    // A link (or a loop of them) and a socket cannot be opened this way.
    if (systemCode(error) !== 'ELOOP' && systemCode(error) !== 'ENXIO') throw error;
    throw new AuditError('log_damaged', `${file} is not a regular file`, { cause: error });
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw new AuditError('log_damaged', `${file} is not a regular file`);
    if (stat.size > bytesMax) {
      throw new AuditError('log_damaged', `${file} is larger than ${bytesMax} bytes`);
    }
    const bytes = Buffer.alloc(stat.size);
    return bytes.subarray(0, readAll(fd, bytes, 0));
  } finally {
    fs.closeSync(fd);
  }
}

/** Whether an error of listing a folder means that there is none: nothing, a file, or links that lead nowhere. */
export function isNoFolder(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '');
}

/** The names in a folder, in no order; none when there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    if (isNoFolder(error)) return [];
    throw error;
  }
}

/** Fills `bytes` from `position`; returns how many there were. */
export function readAll(fd: number, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const got = fs.readSync(fd, bytes, done, bytes.length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

/** The text of a small file, or undefined when there is none. */
export function readIfThere(file: string): string | undefined {
  return readRegular(file, 1024 * 1024)?.toString('utf8');
}
