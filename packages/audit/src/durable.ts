import * as fs from 'node:fs';
import * as path from 'node:path';
import { systemCode } from './errors.js';

/** Files and folders that must be on disk before anything relies on them: every rename and creation is synced twice, file and folder. */

/** Makes a folder's entries durable: creations, renames and removals in it. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Creates a folder and its missing parents (0700) and makes each of them durable in its parent. */
export function makeFolder(folder: string): void {
  const parent = path.dirname(folder);
  if (parent !== folder && !fs.existsSync(parent)) makeFolder(parent);
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    return;
  }
  syncFolder(parent);
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

/** The text of a file, or undefined when there is none. */
export function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
