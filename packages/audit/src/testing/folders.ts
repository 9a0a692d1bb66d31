import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { onTestFinished } from 'vitest';

/** The folder of this package, whose `dist` holds the running test. */
export const packageRoot = path.resolve(import.meta.dirname, '..', '..');

export function makeTemporary(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'gatebook-audit-'));
}

export function removeTemporary(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
}

/** A folder of its own that is gone when the running test has finished. */
export function temporaryFolder(): string {
  const folder = makeTemporary();
  onTestFinished(() => removeTemporary(folder));
  return folder;
}

export interface Folders {
  readonly dir: string;
  readonly keysDir: string;
}

export function foldersIn(folder: string): Folders {
  return { dir: path.join(folder, 'log'), keysDir: path.join(folder, 'keys') };
}

/** Paths for a log and its keys that do not exist yet. */
export function temporaryLog(): Folders {
  return foldersIn(temporaryFolder());
}

/** A copy of a log and its keys that a test may spoil. */
export function copyOf(folders: Folders): Folders {
  const copy = temporaryLog();
  copyFolder(folders.dir, copy.dir);
  copyFolder(folders.keysDir, copy.keysDir);
  return copy;
}

/** Copies a folder as it is: from Node 22 on `cpSync` alone makes folders that are open to other users. */
export function copyFolder(from: string, to: string): void {
  fs.cpSync(from, to, { recursive: true });
  for (const name of ['', ...fs.readdirSync(from, { recursive: true, encoding: 'utf8' })]) {
    const stat = fs.lstatSync(path.join(from, name));
    if (stat.isDirectory()) fs.chmodSync(path.join(to, name), stat.mode);
  }
}

export function segmentFiles(dir: string): string[] {
  const folder = path.join(dir, 'segments');
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => path.join(folder, name));
}

/** All lines of a log, without newlines. */
export function linesOf(dir: string): string[] {
  return segmentFiles(dir).flatMap((file) =>
    fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
}
