import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CliError, codeOf, reasonOf } from '../cli/failure.js';
import { syncFolder } from '../whole-file.js';
import { type ClientFile, readClientFile } from './client-file.js';

/** Backups of one file; more are a sign that something goes wrong. */
const backupsMax = 100;

/** The names that backups of a file have, oldest first. */
export function backupNames(path: string): string[] {
  return Array.from({ length: backupsMax }, (_, at) => {
    return at === 0 ? `${path}.gatebook-backup` : `${path}.gatebook-backup-${at + 1}`;
  });
}

/** Those backups that are there and can be read, newest first. */
export function readBackups(path: string): ClientFile[] {
  const there = backupNames(path).filter((name) => fs.existsSync(name));
  return there.reverse().flatMap((name) => {
    try {
      return [readClientFile(name, '')];
    } catch {
      // It only tells how entries were written, and they can be undone without.
      return [];
    }
  });
}

/** Copies the file beside itself under a name that is free, with its mode; returns that name. One with the same bytes will do. */
export function backUp(file: ClientFile): string {
  for (const name of backupNames(file.path)) {
    try {
      writeNew(name, file.bytes, file.mode, fs.statSync(file.path));
      return name;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw unwritable(file, error);
      if (sameBytes(name, file.bytes)) return name;
    }
  }
  const message = `${file.name} has ${backupsMax} backups (….gatebook-backup-N) already; move some away`;
  throw new CliError(1, message);
}

/** Puts other bytes in the place of the file, whole or not at all; its mode and owner stay. Refuses where it changed meanwhile. */
export function replaceClientFile(file: ClientFile, bytes: Buffer): void {
  const { path } = file;
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    writeNew(draft, bytes, file.mode, fs.statSync(path));
    if (!sameBytes(path, file.bytes)) {
      throw new CliError(
        1,
        `${file.name} was changed meanwhile; nothing was written, run it again`,
      );
    }
    fs.renameSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    fs.rmSync(draft, { force: true });
    throw error instanceof CliError ? error : unwritable(file, error);
  }
}

function writeNew(path: string, bytes: Buffer, mode: number, owner: fs.Stats): void {
  // Closed to others until it has its owner and its mode.
  const fd = fs.openSync(path, 'wx', 0o600);
  try {
    if (owner.uid !== process.getuid?.() && process.getuid?.() === 0) {
      fs.fchownSync(fd, owner.uid, owner.gid);
    }
    fs.writeFileSync(fd, bytes);
    fs.fchmodSync(fd, mode);
    fs.fsyncSync(fd);
  } catch (error) {
    fs.rmSync(path, { force: true });
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

function sameBytes(path: string, bytes: Buffer): boolean {
  const stat = fs.lstatSync(path);
  return stat.isFile() && stat.size === bytes.length && fs.readFileSync(path).equals(bytes);
}

function unwritable(file: ClientFile, error: unknown): CliError {
  const folder = dirname(file.path);
  return new CliError(
    1,
    `${file.name} cannot be written: ${reasonOf(error)}; it and ${folder} must be writable for you`,
    { cause: error },
  );
}
